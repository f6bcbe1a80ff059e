"""Soft-thresholded training: weights that carry only noise vanish, and the law comes nearer to the true one."""

import numpy as np
import pytest
from laws import numbers
from sklearn.base import clone

from skhamiltonian import IsingSampler, MADEHamiltonian
from skhamiltonian._made.parameters import make_plan
from skhamiltonian._made.training import MaskedNetwork
from skhamiltonian._utils.alphabet import enumerate_states

torch = pytest.importorskip("torch")

CHAIN = IsingSampler(lattice_shape=(10,), temperature=1.5, boundary="open", random_state=0)
RAW = MADEHamiltonian(1.5, hidden_layer_sizes=(32,), max_iter=100, calibrate=False, random_state=0)


def schedule(model, n_samples, n_sites):
    return make_plan(model.get_params(), n_samples, n_sites, numbers(2)).schedule


def test_shrinking_moves_towards_zero_and_not_beyond():
    network = MaskedNetwork(2, numbers(2), (3,), "relu", True, 0)
    with torch.no_grad():
        network.weights[0].copy_(torch.tensor([[0.5, -0.5], [0.1, -0.1], [0.0, 0.2]]))
        network.skip.fill_(-0.3)
        network.biases[0].fill_(0.1)
    network.shrink(0.2)
    expected = torch.tensor([[0.3, -0.3], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(network.weights[0].data, expected)
    torch.testing.assert_close(network.skip.data, torch.full((2, 2), -0.1))
    torch.testing.assert_close(network.biases[0].data, torch.full((3,), 0.1))


@pytest.fixture(scope="module")
def chains():
    X = CHAIN.sample(n_samples=3000)
    return clone(RAW).fit(X), clone(RAW).set_params(sparsity=0.0).fit(X)


def test_a_chain_is_learned_as_a_chain(chains):
    """In drawing order each site depends on the one before alone: most other weights are exactly zero."""
    sparse, dense = (model.skip_coef_ for model in chains)
    before = np.eye(10, k=1, dtype=bool)
    earlier = np.triu(np.ones((10, 10), bool), 2)
    assert np.all(sparse[before] > 0)
    assert np.mean(sparse[earlier] == 0) > 0.5
    assert np.mean(dense[earlier] == 0) == 0


def test_sparse_training_is_nearer_to_the_truth(chains):
    states = enumerate_states((-1, 1), 10).astype(np.int8)
    log_q = -CHAIN.energy(states) / 1.5
    log_q -= np.logaddexp.reduce(log_q)
    sparse, dense = (np.exp(log_q) @ (log_q - model.score_samples(states)) for model in chains)
    assert 0 < sparse < 0.5 * dense


def test_auto_is_the_noise_of_updates_and_of_data():
    few_updates = schedule(clone(RAW).set_params(max_iter=1), 100_000, 10)
    many_updates = schedule(clone(RAW).set_params(max_iter=10_000), 100_000, 10)
    torus = clone(RAW).set_params(max_iter=10_000, lattice_shape=(10,), symmetries=("translation",))
    images = schedule(torus, 100_000, 10)
    assert few_updates.sparsity > many_updates.sparsity > images.sparsity
    known = 2_140_000 * 469 / (8 * 10 * (32 + 5))  # rows seen a weight, over those that are enough
    assert images.sparsity == pytest.approx(np.hypot(2.6 / np.sqrt(2_140_000) / known, 1.3 * np.sqrt(469 / 1_000_000)))


@pytest.mark.parametrize(("hidden", "rate"), [((), 8e-3), ((180, 120), 8e-3), (512, 8e-3), ((64, 1024), 4e-3)])
def test_wide_layers_learn_at_a_lower_rate(hidden, rate):
    auto = clone(RAW).set_params(hidden_layer_sizes=hidden, learning_rate_init="auto", max_iter=1)
    assert schedule(auto, 100, 10).learning_rate == pytest.approx(rate)
    assert schedule(auto, 100, 8192).learning_rate == pytest.approx(2e-3)
    X = CHAIN.sample(n_samples=20, random_state=0)
    given = clone(auto).set_params(learning_rate_init=rate).fit(X)
    assert np.array_equal(auto.fit(X).intercepts_[-1], given.intercepts_[-1])
    slower = clone(auto).set_params(learning_rate_init=rate / 2).fit(X)
    assert not np.array_equal(given.intercepts_[-1], slower.intercepts_[-1])


def test_streams_are_not_thinned_out_part_by_part():
    X = CHAIN.sample(n_samples=500)
    model = clone(RAW)
    for part in np.array_split(X, 5):
        model.partial_fit(part)
    assert np.all(model.skip_coef_[np.triu(np.ones((10, 10), bool), 1)] != 0)
