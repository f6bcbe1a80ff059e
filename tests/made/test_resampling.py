"""Draws from p^exponent exp(tilt) by whole configurations: exact laws, and rows that part."""

import numpy as np
import pytest
from laws import enumerated_law, g_test
from scipy import stats

from skhamiltonian._made.network import log_prob
from skhamiltonian._made.sampling.chains import ChainPlan, chain_draws, parted_codes
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.tempered import (
    N_POPULATIONS,
    Population,
    ancestral_log_weight,
    effective_sample_size,
    equal_weight_codes,
    independent_populations,
    joint_log_weight,
    support,
    tempered_draws,
)
from skhamiltonian._utils.alphabet import enumerate_states


@pytest.mark.parametrize(
    ("exponent", "n_sweeps", "n_sites", "n_states", "calibrated"),
    [
        (0.5, 0, 6, 2, False),
        (0.5, 0, 4, 3, True),
        (1.0, 0, 6, 2, True),
        (2.0, 0, 4, 3, False),
        (2.0, 1, 6, 2, True),
        (2.0, 1, 4, 3, False),
        (4.0, 0, 6, 2, False),  # few draws count: a population on its own would be resampled
    ],
)
def test_proposed_configurations_keep_the_law(random_network, n_sites, n_states, exponent, n_sweeps, calibrated):
    """Without sweeps, draws and flips alone must make it; chains start in the law, so draws 10 apart are thinned."""
    network = random_network(n_sites, n_states, scale=0.5, calibrated=calibrated)
    law = Law(exponent, np.linspace(-0.2, 0.3, n_states))
    seed = np.random.SeedSequence(1)
    draws = chain_draws(network, law, ChainPlan(64, 600, 0, n_sweeps, "independence"), seed)
    assert 0.3 < draws.acceptance < 1
    thinned = draws.codes[:, 9::10].reshape(-1, n_sites)
    assert g_test(thinned, network, enumerated_law(network, law)[0]) > 1e-4


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("n_states", [2, 3])
def test_weight_of_a_configuration_is_the_weight_it_is_drawn_with(random_network, n_states, calibrated):
    network = random_network(9, n_states, scale=0.8, calibrated=calibrated)
    law = Law(4.0, np.linspace(-0.2, 0.3, n_states))
    drawn = tempered_draws(network, 50, law, np.random.default_rng(0), resample=False)
    np.testing.assert_allclose(ancestral_log_weight(network, drawn.codes, law), drawn.log_weight, atol=1e-4)
    assert effective_sample_size(drawn.log_weight) < 25  # few enough to be resampled, were it not forbidden


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize(
    ("exponent", "field"), [(2.0, 0.0), (0.3, 0.0), (0.0, 0.0), (1.0, 0.2), (1.0, 0.0), (1.01, 0.0)]
)
def test_support_is_the_effective_number_of_draws_that_reweighting_leaves(random_network, exponent, field, calibrated):
    network = random_network(8, 3, scale=0.3, calibrated=calibrated)
    tilt, states = field * np.arange(3), enumerate_states(np.arange(3), 8).astype(np.int8)
    log_p = log_prob(network, states)
    if calibrated:
        network.calibration.coef[-1] += np.logaddexp.reduce(log_p)
        log_p -= np.logaddexp.reduce(log_p)
    p, w = np.exp(log_p), np.exp((exponent - 1) * log_p + tilt[states].sum(axis=1))
    exact = (p @ w) ** 2 / (p @ w**2)
    found = [support(network, Law(exponent, tilt), np.random.SeedSequence(seed)) for seed in range(20)]
    assert np.exp(np.mean(np.log(found))) == pytest.approx(exact, rel=0.05)
    assert np.std(np.log(found)) < 0.2
    assert max(found) <= 1


def test_support_falls_below_one_configuration(random_network):
    """Where the draws themselves would say that one of them carries all the weight."""
    network = random_network(60, 2, scale=0.15)
    assert 0 < support(network, Law(6.0), np.random.SeedSequence(0)) < 1e-6


def test_repeated_rows_part(random_network):
    """Resampling repeats a twentieth of the rows, sweeps part them all, and the law stays."""
    network, law = random_network(40, 2, scale=0.15), Law(2.0)
    repeated = equal_weight_codes(network, 2000, law, np.random.SeedSequence(0).spawn(2)[0])
    parted = parted_codes(network, 2000, law, np.random.SeedSequence(0))
    assert len(np.unique(repeated, axis=0)) < 1950 < 1990 < len(np.unique(parted, axis=0))
    assert (parted != repeated).any(axis=1).all()
    small = random_network(6, 2, scale=0.5)
    rows = np.concatenate([parted_codes(small, 100, law, np.random.SeedSequence(s)) for s in range(60)])
    assert g_test(rows, small, enumerated_law(small, law)[0]) > 1e-4


def test_draws_are_exact_of_the_law_itself_and_of_no_law_at_all(random_network):
    network, calibrated = (random_network(4, 2, calibrated=c) for c in (False, True))
    tilt = np.array([0.0, 0.1])
    assert [Law(exponent).is_exact(network) for exponent in (0.0, 0.5, 1.0, 2.0)] == [True, False, True, False]
    assert [Law(exponent, np.zeros(2)).is_exact(calibrated) for exponent in (0.0, 0.5, 1.0, 2.0)] == [
        True,
        False,
        False,
        False,
    ]
    assert not any(Law(exponent, tilt).is_exact(network) for exponent in (0.0, 1.0))


@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("n_samples", [1, 1024, 1025, 5000])
def test_draws_of_equal_weight_are_as_many_as_wanted_and_keep_the_law(random_network, n_samples, exponent):
    network, law = random_network(6, 2, scale=0.5), Law(exponent)
    codes = equal_weight_codes(network, n_samples, law, np.random.SeedSequence(2))
    assert codes.shape == (n_samples, 6)
    if n_samples == 5000:
        assert g_test(codes, network, enumerated_law(network, law)[0]) > 1e-4
        half, other = (np.bincount(part @ 2 ** np.arange(6), minlength=64) for part in (codes[:2500], codes[2500:]))
        assert stats.chi2_contingency([half + 1, other + 1]).pvalue > 1e-4  # rows are in no order


def test_resampled_rows_come_from_twice_as_many_draws(random_network, monkeypatch):
    sizes = []

    def counted(network, size, law, rng):
        sizes.append(size)
        return tempered_draws(network, size, law, rng)

    monkeypatch.setattr("skhamiltonian._made.sampling.tempered.tempered_draws", counted)
    network = random_network(4, 2)
    for n_samples, exponent, least in [(3000, 2.0, 6000), (10, 2.0, 20), (3000, 1.0, 3000), (1024, 1.0, 1024)]:
        sizes.clear()
        equal_weight_codes(network, n_samples, Law(exponent), np.random.SeedSequence(0))
        assert least <= sum(sizes) < least + 2 * 1024 + 1


@pytest.mark.parametrize(("n_samples", "size"), [(1, 128), (2048, 128), (2049, 129), (16_000, 1000)])
def test_populations_are_independent_and_enough_for_an_error_bar(random_network, n_samples, size):
    blocks = independent_populations(random_network(9, 2), n_samples, Law(2.0), np.random.SeedSequence(0))
    assert [block.codes.shape for block in blocks] == [(size, 9)] * N_POPULATIONS
    assert len({block.codes.tobytes() for block in blocks}) == N_POPULATIONS


def test_populations_weigh_their_partition_sums():
    log_weight = np.log([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    blocks = [Population(None, None, w, z) for w, z in zip(log_weight, np.log([2.0, 0.5]), strict=True)]
    np.testing.assert_allclose(np.exp(joint_log_weight(blocks)), [[1.0, 3.0, 2.0], [0.5, 0.5, 0.5]])
