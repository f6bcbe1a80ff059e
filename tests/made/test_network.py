"""Masks and draws of the autoregressive network: the Jacobian's pattern, normalisation, exact tempering."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skhamiltonian._made.network import (
    Network,
    encode,
    hidden_degrees,
    log_prob,
    outputs,
)
from skhamiltonian._utils.alphabet import enumerate_states

architectures = {
    "n_sites": st.integers(1, 6),
    "n_states": st.integers(2, 4),
    "hidden": st.lists(st.integers(1, 9), max_size=3).map(tuple),
    "skip": st.booleans(),
    "seed": st.integers(0, 2**16),
}


@given(**architectures)
@settings(max_examples=60, deadline=None)
def test_probabilities_of_all_states_sum_to_one(random_network, n_sites, n_states, hidden, skip, seed):
    network = random_network(n_sites, n_states, hidden, skip, "tanh", seed)
    states = enumerate_states(np.arange(n_states), n_sites).astype(np.int8)
    assert np.exp(log_prob(network, states)).sum() == pytest.approx(1, abs=1e-12)


@given(**architectures)
@settings(max_examples=60, deadline=None)
def test_a_conditional_sees_only_sites_drawn_before(random_network, n_sites, n_states, hidden, skip, seed):
    """Change one site: outputs up to it stay to the last bit; with skip connections all later ones move."""
    network = random_network(n_sites, n_states, hidden, skip, "tanh", seed)
    rng = np.random.default_rng(seed)
    codes = rng.integers(n_states, size=(1, n_sites)).astype(np.int8)
    before = outputs(network, encode(codes, network)).reshape(n_sites, -1)
    for position, site in enumerate(network.ordering):
        changed = codes.copy()
        changed[0, site] = (codes[0, site] + 1) % n_states
        moved = (outputs(network, encode(changed, network)).reshape(n_sites, -1) != before).any(axis=1)
        assert not moved[: position + 1].any()
        if skip:
            assert moved[position + 1 :].all()


def test_every_allowed_dependence_exists_with_wide_hidden_layers(random_network):
    """Without skip connections: the Jacobian of a (12, 12) tanh net is non-zero everywhere below the diagonal."""
    network = random_network(7, 2, (12, 12), False, "tanh")
    jacobian = np.zeros((7, 7))
    inputs = np.random.default_rng(0).normal(size=(1, 7))
    for d in range(7):
        step = np.zeros((1, 7))
        step[0, d] = 1e-4
        jacobian[:, d] = (outputs(network, inputs + step) - outputs(network, inputs - step))[0] / 2e-4
    assert (jacobian[np.triu_indices(7)] == 0).all()
    assert (jacobian[np.tril_indices(7, -1)] != 0).all()


@given(n_sites=st.integers(1, 300), n_units=st.integers(1, 300))
def test_degrees_ascend_between_one_and_the_last_site(n_sites, n_units):
    degrees = hidden_degrees(n_sites, n_units)
    assert (np.diff(degrees) >= 0).all()
    assert degrees.min() >= 1
    assert degrees.max() <= max(1, n_sites - 1)
    if n_units >= n_sites > 1:
        assert len(np.unique(degrees)) == n_sites - 1


def test_ordering_only_relabels_sites(random_network):
    network = random_network(5, 3, (6,), activation="tanh")
    natural = Network(network.weights, network.biases, network.skip, np.arange(5), network.alphabet, "tanh")
    codes = np.random.default_rng(1).integers(3, size=(20, 5)).astype(np.int8)
    np.testing.assert_array_equal(log_prob(network, codes), log_prob(natural, codes[:, network.ordering]))


def test_two_states_as_one_logit_or_as_two_are_one_function(random_network):
    """One-hot inputs (1-x)/2, (1+x)/2 and logits 0, z give the probabilities of input x and logit z."""
    one = random_network(5, 2, (8,), False, "tanh", seed=3)
    w, v = one.weights
    first = np.stack([-w, w], axis=1).reshape(10, 8)
    last = np.stack([np.zeros_like(v), v], axis=2).reshape(8, 10)
    bias = np.stack([np.zeros(5), one.biases[1]], axis=1).ravel()
    inputs = enumerate_states((0, 1), 5).astype(np.int8)
    one_hot = (inputs[:, one.ordering, None] == np.arange(2)).reshape(len(inputs), -1).astype(float)
    z = (np.tanh(one_hot @ first + one.biases[0]) @ last + bias).reshape(-1, 5, 2)
    chosen = np.take_along_axis(z, inputs[:, one.ordering, None].astype(int), 2)[..., 0]
    np.testing.assert_allclose(log_prob(one, inputs), (chosen - np.logaddexp.reduce(z, 2)).sum(1), atol=1e-12)
    assert one.alphabet.n_inputs == one.alphabet.n_outputs == 1
