"""Innovations as inputs of a network: folded into its weights they change nothing, and they find what is linear."""

import numpy as np
import pytest
from laws import numbers

from skhamiltonian import MADEHamiltonian
from skhamiltonian._made.network import log_prob, masks
from skhamiltonian._made.training import MaskedNetwork, Whitening

torch = pytest.importorskip("torch")


@pytest.fixture(params=[2, 3])
def whitened(request):
    """A network of six sites whose every weight differs from zero where it may."""
    n_states, rng = request.param, np.random.default_rng(0)
    values = np.array([-1.0, 1.0]) if n_states == 2 else np.array([-1.0, 0.1, 0.9])
    matrix = np.tril(rng.normal(size=(6, 6)))
    whitening = Whitening(values, rng.normal(size=6), matrix)
    alphabet = numbers(n_states)
    network = MaskedNetwork(6, alphabet, (7, 5), "silu", True, 0, whitening)
    inputs = masks(6, alphabet.n_inputs + 1, alphabet.n_outputs, (7, 5))
    with torch.no_grad():
        for parameter, mask in zip([*network.weights, network.skip], inputs, strict=True):
            parameter.copy_(torch.from_numpy((rng.normal(size=mask.shape) * mask).T))
    return network, rng.integers(n_states, size=(200, 6)).astype(np.int8)


def test_folded_weights_are_the_same_law(whitened):
    network, codes = whitened
    law = network.to_numpy(np.arange(6)).astype(np.float64)
    expected = [-network.loss(codes[i : i + 1]).item() for i in range(len(codes))]
    np.testing.assert_allclose(log_prob(law, codes), expected, rtol=1e-5, atol=1e-5)


def test_folded_weights_keep_the_masks(whitened):
    network, _ = whitened
    law = network.to_numpy(np.arange(6))
    width = law.alphabet.n_inputs, law.alphabet.n_outputs
    for weight, mask in zip([*law.weights, law.skip], masks(6, *width, (7, 5)), strict=True):
        np.testing.assert_array_equal(weight != 0, mask)


def test_a_law_read_off_does_not_move_when_training_goes_on(whitened):
    network, codes = whitened
    law = network.to_numpy(np.arange(6))
    before = log_prob(law, codes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1.0
    np.testing.assert_array_equal(log_prob(law, codes), before)


def test_training_goes_on_from_folded_weights(whitened):
    network, codes = whitened
    before = network.loss(codes).item()
    network.load(network.to_numpy(np.arange(6)))
    assert network.loss(codes).item() == pytest.approx(before, rel=1e-5)


@pytest.fixture(scope="module")
def overlapping_blocks():
    """Sums of neighbours in chains of 33 independent spins: each tells its own spins given all before, or nearly."""
    s = np.random.default_rng(0).choice([-1, 1], (30_000, 33))
    return (s[:, 1:] + s[:, :-1]).astype(np.int8)


def test_whitening_comes_near_the_entropy_of_overlapping_blocks(overlapping_blocks):
    """The floor is 33 ln 2 = 22.87, as the two chains of alternating spins alone share their blocks."""
    X, X_new = overlapping_blocks[:20_000], overlapping_blocks[20_000:]
    excess = {}
    for whiten in (False, True):
        model = MADEHamiltonian(whiten=whiten, hidden_layer_sizes=(64,), max_iter=6, calibrate=False, random_state=0)
        excess[whiten] = -model.fit(X).score(X_new) - 33 * np.log(2)
    assert 0 < excess[True] < 0.5 * excess[False]


def test_sites_that_never_change_are_no_obstacle():
    for X in (np.ones((300, 4), np.int8), np.tile(np.random.default_rng(0).choice([-1, 0, 1], (300, 1)), 4)):
        model = MADEHamiltonian(states=(-1, 0, 1), whiten=True, max_iter=2, random_state=0).fit(X)
        assert np.isfinite(model.score(X))


@pytest.mark.parametrize("row", [[1, 1, 1, 1], [1, -1, -1, 1]])
def test_rows_that_differ_in_their_sign_only_are_no_obstacle(row):
    """Balanced ground states: their covariance has one direction, and Ledoit and Wolf do not shrink it."""
    X = np.tile([row, np.negative(row)], (50, 1))
    model = MADEHamiltonian(whiten=True, hidden_layer_sizes=(4,), max_iter=200, random_state=0).fit(X)
    assert model.score(X) == pytest.approx(-np.log(2), abs=0.05)
