"""Tempered draws: the law of a site, weights without bias, resampling, products of matrices for blocks of sites."""

import numpy as np
import pytest

from skhamiltonian._made.network import log_prob
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.tempered import (
    ancestral_log_weight,
    draw_site,
    effective_sample_size,
    systematic_resample,
    tempered_draws,
)
from skhamiltonian._utils.alphabet import enumerate_states


@pytest.mark.kernel
@pytest.mark.parametrize("n_states", [2, 3, 5])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_a_site_is_drawn_from_the_tempered_law_of_its_logits(n_states, exponent, scale):
    rng = np.random.default_rng(0)
    z = scale * rng.normal(size=(1 if n_states == 2 else n_states, 300)).astype(np.float32)
    tilt, uniform = rng.normal(size=n_states), rng.random(300)
    code, log_p, log_weight = np.empty(300, np.int8), np.ones(300), np.full(300, 2.0)
    draw_site(z, exponent, tilt, uniform, code, log_p, log_weight)
    logits = np.concatenate([0 * z, z]).astype(float) if n_states == 2 else z.astype(float)
    log_q = logits - np.logaddexp.reduce(logits, axis=0)
    log_term = exponent * log_q + tilt[:, None]
    log_norm = np.logaddexp.reduce(log_term, axis=0)
    cumulative = np.exp(log_term - log_norm).cumsum(axis=0)
    np.testing.assert_array_equal(code, (uniform > cumulative[:-1]).sum(axis=0))
    np.testing.assert_allclose(log_p, 1 + log_q[code, np.arange(300)], rtol=1e-12)
    np.testing.assert_allclose(log_weight, 2 + log_norm, rtol=1e-12)


@pytest.mark.kernel
@pytest.mark.parametrize("hidden", [(), (30,), (60, 25)])
@pytest.mark.parametrize(("n_sites", "n_states"), [(40, 2), (33, 3)])
@pytest.mark.parametrize("skip", [False, True])
def test_draws_know_their_probability_and_their_weight(random_network, n_sites, n_states, hidden, skip):
    network, tilt = random_network(n_sites, n_states, hidden, skip, scale=0.3), np.linspace(-0.5, 0.4, n_states)
    independent = tempered_draws(network, 60, Law(2.5, tilt), np.random.default_rng(0), resample=False)
    np.testing.assert_allclose(
        independent.log_weight, ancestral_log_weight(network, independent.codes, Law(2.5, tilt)), atol=1e-4
    )
    resampled = tempered_draws(network, 60, Law(2.5, tilt), np.random.default_rng(0))
    assert len(np.unique(resampled.codes[:, network.ordering[:5]], axis=0)) < len(
        np.unique(independent.codes[:, network.ordering[:5]], axis=0)
    )
    for draws in (independent, resampled):
        np.testing.assert_allclose(draws.log_prob, log_prob(network, draws.codes), atol=1e-4)


@pytest.mark.kernel
@pytest.mark.parametrize("n_states", [2, 3])
def test_resampled_populations_know_the_partition_sum(random_network, n_states):
    network, tilt = random_network(5, n_states, (4,), scale=1.0, calibrated=True), np.linspace(-0.5, 0.4, n_states)
    states = enumerate_states(np.arange(n_states), 5).astype(np.int8)
    exact = np.logaddexp.reduce(3 * log_prob(network, states) + tilt[states].sum(axis=1))
    draws = [tempered_draws(network, 60, Law(3.0, tilt), np.random.default_rng(seed)) for seed in range(100)]
    ratio = np.exp([population.log_partition - exact for population in draws])
    assert ratio.std() < 0.5
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / 10


@pytest.mark.kernel
@pytest.mark.parametrize(("exponent", "resampled"), [(1.02, False), (1.5, False), (4.0, True)])
def test_populations_are_resampled_where_less_than_half_would_count(random_network, exponent, resampled):
    network, tilt = random_network(20, 2, scale=0.3), np.zeros(2)
    draws = tempered_draws(network, 200, Law(exponent, tilt), np.random.default_rng(0))
    independent = tempered_draws(network, 200, Law(exponent, tilt), np.random.default_rng(0), resample=False)
    assert (effective_sample_size(independent.log_weight) < 100) == resampled
    assert np.array_equal(draws.codes, independent.codes) != resampled
    assert effective_sample_size(draws.log_weight) >= 100


@pytest.mark.parametrize("hidden", [(), (9,), (8, 5)])
@pytest.mark.parametrize(("n_sites", "n_states"), [(8, 2), (5, 3)])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("calibrated", [False, True])
def test_tempered_populations_estimate_the_partition_sum_without_bias(
    random_network, n_sites, n_states, hidden, exponent, calibrated
):
    network = random_network(n_sites, n_states, hidden, activation="tanh", seed=1, calibrated=calibrated)
    tilt = np.linspace(-0.5, 0.4, n_states)
    states = enumerate_states(np.arange(n_states), n_sites).astype(np.int8)
    log_weight = exponent * log_prob(network, states) + tilt[states].sum(1)
    exact = np.logaddexp.reduce(log_weight)
    blocks = [tempered_draws(network, 500, Law(exponent, tilt), np.random.default_rng(seed)) for seed in range(60)]
    ratio = np.exp([block.log_partition - exact for block in blocks])
    assert abs(ratio.mean() - 1) < 4.5 * ratio.std(ddof=1) / np.sqrt(60) + 1e-6
    # The chance of the last state on the first drawn site, by weights and by enumeration.
    site = network.ordering[-1]
    weighted = [
        r * np.average(block.codes[:, site] == n_states - 1, weights=np.exp(block.log_weight))
        for r, block in zip(ratio, blocks, strict=True)
    ]
    truth = np.exp(log_weight - exact) @ (states[:, site] == n_states - 1)
    for block in blocks:
        np.testing.assert_allclose(block.log_prob, log_prob(network, block.codes), atol=1e-4)
    assert abs(np.mean(weighted) - truth) < 4.5 * np.std(weighted, ddof=1) / np.sqrt(60)


def test_ancestral_draws_at_unit_exponent_have_unit_weights(random_network):
    block = tempered_draws(random_network(9, 3, (7,)), 400, Law(1.0), np.random.default_rng(0))
    np.testing.assert_allclose(block.log_weight, 0, atol=1e-12)
    assert block.log_partition == pytest.approx(0, abs=1e-12)


def test_systematic_resampling_keeps_counts_within_one_of_their_mean():
    log_weight = np.log(np.random.default_rng(0).random(50))
    counts = np.bincount(systematic_resample(log_weight, 1000, np.random.default_rng(1)), minlength=50)
    assert np.abs(counts - 1000 * np.exp(log_weight) / np.exp(log_weight).sum()).max() <= 1


@pytest.mark.kernel
@pytest.mark.parametrize("shift", [-1000, 0, 1000])
def test_weights_of_any_size_count_by_their_ratios(shift):
    log_weight = shift + np.log([1.0, 1.0, 3.0])
    assert effective_sample_size(log_weight) == pytest.approx(25 / 11)
    assert systematic_resample(log_weight, 5, np.random.default_rng(0)).tolist() == [0, 1, 2, 2, 2]
    assert effective_sample_size(np.array([shift + 2000.0, shift, shift])) == 1
