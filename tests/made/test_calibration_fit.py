"""The fit of a calibration, part by part: rows and draws, direction, coefficients, gain and normaliser."""

import math
from dataclasses import fields

import numpy as np
import pytest
from scipy.optimize import minimize

from skhamiltonian._made import calibration_fit as _density_ratio
from skhamiltonian._made.calibration import N_FEATURES, Calibration, features
from skhamiltonian._made.calibration_fit import (
    Sample,
    _coefficients,
    _errors,
    _gain,
    _leading_direction,
    _log_normaliser,
    drawn_sample,
    max_rows,
    smooth_calibration,
)
from skhamiltonian._made.network import uncalibrated_log_prob
from skhamiltonian._utils.alphabet import enumerate_states


@pytest.mark.parametrize("n_sites", [1, 64, 1000, 5000, 10**6])
def test_rows_fill_64_mebibytes_at_most_unless_they_are_few(n_sites):
    n = max_rows(n_sites)
    assert 1000 <= n <= 60_000
    assert n == 1000 or n * n_sites <= 2**26
    assert n == 60_000 or (n + 1) * n_sites > 2**26


@pytest.mark.parametrize(
    ("n_rows", "n_sites", "n_draws"), [(50, 8, 20_000), (12_000, 8, 24_000), (1500, 100_000, 2000)]
)
def test_every_row_has_two_draws_unless_memory_forbids(random_network, monkeypatch, n_rows, n_sites, n_draws):
    """A thousand at a time; twenty thousand of them where rows are few."""
    drawn = []

    def populations(network, size, law, seeds):
        assert law.is_exact(network)
        assert law.exponent == 1.0
        assert len({str(seed.spawn_key) for seed in seeds}) == len(seeds)
        drawn.append(size * len(seeds))
        raise InterruptedError

    monkeypatch.setattr(_density_ratio, "populations", populations)
    network = random_network(8, 2, (6,))
    monkeypatch.setattr(type(network), "n_sites", n_sites)
    with pytest.raises(InterruptedError):
        drawn_sample(network, n_rows, np.random.SeedSequence(0))
    assert n_draws <= drawn[0] < n_draws + 1024


def leading_direction(values):
    """Return the direction of any values, each a state of its own."""
    return _leading_direction(values.ravel(), np.arange(values.size).reshape(values.shape), 0)


def test_the_leading_direction_is_the_first_eigenvector_of_the_covariance_and_points_up():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3000, 12)) @ np.diag(np.linspace(1, 2, 12)) @ rng.normal(size=(12, 12)) + 5
    found = leading_direction(values)
    vectors = np.linalg.eigh(np.cov(values.T))[1]
    assert abs(found @ vectors[:, -1]) == pytest.approx(1, abs=1e-6)
    assert found.sum() > 0
    np.testing.assert_array_equal(leading_direction(-values), found)
    nearly_staggered = np.outer(rng.normal(size=100), [1, -1, 1, -0.9])
    for sign in (1, -1):
        assert 0 < leading_direction(sign * nearly_staggered).sum() < 0.1


@pytest.mark.parametrize(("n_sites", "n_rows"), [(2**13, 1024), (2**14, 1000)])
def test_the_leading_direction_is_found_in_the_rows_that_memory_allows(monkeypatch, n_sites, n_rows):
    """64 mebibytes of floats, but a thousand rows at least."""

    def svd(values, *arguments, **options):
        assert values.shape == (n_rows, n_sites)
        raise InterruptedError

    monkeypatch.setattr(_density_ratio, "randomized_svd", svd)
    with pytest.raises(InterruptedError):
        _leading_direction(np.zeros(2), np.zeros((2000, n_sites), np.int8), 0)


def test_coefficients_are_the_most_likely_ones_under_their_penalty():
    """Brute force: data against draws that weigh as much in all, a normal prior of variance 0.1 per unit of width."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.4, 1, (150, 2)) * [1, 5], rng.normal(0, 1, (600, 2)) * [1, 5]

    def loss(w):
        x_z, y_z = (w[0] + (z / y.std(axis=0)) @ w[1:] for z in (x, y))
        return np.logaddexp(0, -x_z).sum() + 150 / 600 * np.logaddexp(0, y_z).sum() + w[1:] @ w[1:] / (2 * 0.1)

    wanted = minimize(loss, np.zeros(3), tol=1e-10).x[1:] / y.std(axis=0)
    np.testing.assert_allclose(_coefficients(x, y), wanted, rtol=1e-4)
    assert np.all(wanted > 0.01)


def test_coefficients_find_the_density_ratio_of_two_normal_laws():
    """ln of N(0.3, 1) over N(0, 1) is 0.3 x and a constant; the draws weigh the same, however many."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.3, 1, (40_000, 1)), rng.normal(0, 1, (40_000, 1))
    assert _coefficients(x, y)[0] == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(_coefficients(x, np.tile(y, (3, 1))), _coefficients(x, y), rtol=1e-6)


def test_a_feature_that_is_constant_but_for_rounding_keeps_its_unit():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.3, 1, (200, 2)), rng.normal(0, 1, (500, 2))
    x[:, 1], y[:, 1] = 3.0, 3.0 * (1 + 1e-15 * rng.integers(-1, 2, 500))
    coef = _coefficients(x, y)
    np.testing.assert_allclose(coef[0], _coefficients(x[:, :1], y[:, :1])[0], rtol=1e-6)
    assert abs(coef[1]) < 1e-6


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_gain_is_that_of_the_normalised_law(shift):
    """Each row gains g - ln <e^g>, and a constant in g is no gain; numbers beyond e^709 are none either."""
    x, y = np.array([[1.0, 1], [0, 1]]), np.array([[0.0, 1], [1, 1], [3, 1]])
    wanted = np.array([0.5, 0.0]) - math.log((1 + math.exp(0.5) + math.exp(1.5)) / 3)
    np.testing.assert_allclose(_gain(np.array([0.5, shift]), x, y), wanted, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_log_normaliser_of_many_sites_is_that_of_draws(random_network, shift):
    """ln of the mean weight, and the standard error of that mean over the mean."""
    g = np.log([1.0, 1.0, 1.0, 3.0, 2.0]) + shift
    value, error = _log_normaliser(random_network(20, 2, (6,)), None, g)
    assert value == pytest.approx(math.log(1.6) + shift)
    assert error == pytest.approx(np.std([1, 1, 1, 3, 2]) / 1.6 / math.sqrt(5))


@pytest.mark.parametrize(("n_states", "n_sites"), [(2, 16), (3, 10)])
def test_small_systems_are_enumerated(random_network, n_states, n_sites):
    """Up to 65 536 states, in double precision, whatever the draws say."""
    network = random_network(n_sites, n_states, (6,), scale=0.3, calibrated=True)
    codes = enumerate_states(np.arange(n_states), n_sites).astype(np.int8)
    log_p = uncalibrated_log_prob(network, codes)
    value, error = _log_normaliser(network, network.calibration, np.zeros(1))
    assert value == pytest.approx(np.logaddexp.reduce(log_p + network.calibration(log_p, codes)), abs=1e-9)
    assert error == 0


def calibrated_pair(random_network, even, seed=0, strength=1.0):
    """A network, a law that differs by a known density ratio, and 4000 rows of that law."""
    network = random_network(10, 2, (6,), activation="tanh", scale=0.3)
    codes = enumerate_states((0, 1), 10).astype(np.int8)
    log_p = uncalibrated_log_prob(network, codes)
    order = (2.0 * codes - 1).sum(axis=1)
    scales = np.array([log_p.mean(), 1 / log_p.std(), -9, 9, 0, 1 / order.std(), 9])
    coef = strength * np.array([0.3, 0.0, 0.4, 0.0, 0.0, 0.0 if even else 0.5, 0.0])
    log_q = log_p + np.tensordot(coef, np.stack(features(log_p, order, scales)), 1)
    log_q -= np.logaddexp.reduce(log_q)
    rows = np.random.default_rng(seed).choice(len(codes), 4000, p=np.exp(log_q))
    draw_seed, fit_seed = np.random.SeedSequence(seed).spawn(2)
    drawn, data = drawn_sample(network, 4000, draw_seed), Sample(codes[rows], log_p[rows])
    numbers = smooth_calibration(network, data, drawn, (np.ones(10), even), fit_seed)[0]
    return numbers, codes, log_p, log_q


@pytest.mark.parametrize("even", [False, True])
def test_the_density_ratio_is_found_and_its_gain_is_stated(random_network, even):
    """The divergence from the true law falls to the noise of 4000 rows and a penalty; an even one has no odd terms."""
    numbers, codes, log_p, log_q = calibrated_pair(random_network, even)
    calibration = Calibration(*(numbers[f.name] for f in fields(Calibration)))
    found = log_p + calibration(log_p, codes)
    before, after = (np.exp(log_q) @ (log_q - x) for x in (log_p, found))
    assert np.logaddexp.reduce(found) == pytest.approx(0, abs=1e-9)
    assert before > 0.4
    assert 0 <= after < 0.01 * before
    assert abs(numbers["gain"] - (before - after)) < 4 * numbers["gain_error"]
    spread = math.sqrt(np.exp(log_q) @ (found - log_p - (before - after)) ** 2)
    assert numbers["gain_error"] == pytest.approx(spread / math.sqrt(4000), rel=0.05)
    assert np.all(numbers["coef"][5:7] == 0) == even
    assert np.all(numbers["errors"][5:8] == 0) == even
    assert numbers["coef"].shape == (N_FEATURES + 1,)
    assert numbers["n_rows"] == 4000


def test_the_gain_is_stated_for_rows_that_did_not_fit_it(random_network, monkeypatch):
    """Five folds of whole, disjoint rows: every row is judged once, by a fit to the others."""
    fit, judge, fitted, judged = _coefficients, _gain, [], []
    monkeypatch.setattr(_density_ratio, "_coefficients", lambda x, y: (fitted.append(x), fit(x, y))[1])
    monkeypatch.setattr(_density_ratio, "_gain", lambda coef, x, y: (judged.append(x), judge(coef, x, y))[1])
    calibrated_pair(random_network, False)
    whole = fitted.pop()
    assert [len(x) for x in judged] == [800] * 5
    for train, test in zip(fitted, judged, strict=True):
        np.testing.assert_array_equal(*(np.sort(x, axis=0) for x in (np.concatenate([train, test]), whole)))
    np.testing.assert_array_equal(*(np.sort(x, axis=0) for x in (np.concatenate(judged), whole)))
    assert not np.array_equal(judged[0], whole[:800])


@pytest.mark.parametrize("errors", [-5, -2.1, -1.9, 0, 1.9])
def test_a_correction_is_refused_only_where_rows_lose_by_more_than_two_errors(random_network, monkeypatch, errors):
    spread = np.tile([-1.0, 1.0], 400)  # of 4000 rows in all
    mean = errors * math.sqrt(4000 / 3999 / 4000)
    monkeypatch.setattr(_density_ratio, "_gain", lambda coef, x, y: mean + spread)
    numbers = calibrated_pair(random_network, False)[0]
    assert (numbers["effective_share"] == 1) == (errors < -2)
    if errors > -2:
        assert numbers["gain"] == pytest.approx(mean, abs=1e-12)
        assert numbers["gain"] == pytest.approx(errors * numbers["gain_error"], abs=1e-12)


def test_errors_are_one_standard_error_each_and_drop_what_coincides():
    """Weighted draws of five features, of which one is constant and one is the sum of two others."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(5000, 5)) * [1, 1e6, 0, 1e-6, 1] + [0, 3, 7, 0, 0]
    y[:, 4] = y[:, 0] + 1e-6 * y[:, 1]
    g = 0.5 * y[:, 0]
    errors, mean_errors = _errors(y, g, 400)
    weight = np.exp(g) / np.exp(g).sum()
    moved = y @ errors - mean_errors
    np.testing.assert_allclose(weight @ moved, 0, atol=1e-9)
    covariance = 400 * moved.T @ (weight[:, None] * moved)
    np.testing.assert_allclose(np.sort(np.diag(covariance)), [0, 0, 1, 1, 1], atol=1e-9)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)


def test_laws_scatter_as_their_errors_say(random_network):
    """Fits to 4000 rows of a law of the same family: ln Z and the energy at other temperatures, by enumeration."""
    z = np.empty((40, 3, 2))
    for seed in range(40):
        numbers, codes, log_p, log_q = calibrated_pair(random_network, False, seed, strength=0.3)
        calibration = Calibration(*(numbers[f.name] for f in fields(Calibration)))
        found = log_p + calibration(log_p, codes)
        moved = calibration.energy_errors(found, codes)
        for k, exponent in enumerate((0.5, 1.0, 2.0)):
            at_found, true = thermal(found, exponent), thermal(log_q, exponent)
            shifts = [np.subtract(thermal(found + d, exponent), at_found) for d in moved.T]
            z[seed, k] = np.subtract(at_found, true) / np.linalg.norm(shifts, axis=0)
    # chi-square of 40: within 0.4 ... 1.9 but once in 10^4; ln Z at T0 is zero
    assert np.all((np.mean(z**2, axis=0)[[0, 2]] > 0.4) & (np.mean(z**2, axis=0)[[0, 2]] < 1.9))
    assert 0.4 < np.mean(z[:, 1, 1] ** 2) < 1.9


def test_errors_hold_the_noise_of_the_rows_and_of_the_draws(random_network):
    """By enumeration: independent parameters, of which each moves log p by 1/n + 1/m in mean square, with m draws."""
    numbers, codes, log_p, _ = calibrated_pair(random_network, False, strength=0.3)
    calibration = Calibration(*(numbers[f.name] for f in fields(Calibration)))
    found = log_p + calibration(log_p, codes)
    p, moved = np.exp(found), calibration.energy_errors(found, codes)
    wanted = 1 / 4000 + 1 / (numbers["effective_share"] * 20_480)
    moving = np.arange(9) > 1  # the order parameter is m here: two of the nine features say what two others say
    np.testing.assert_allclose(moved.T @ (p[:, None] * moved), np.diag(wanted * moving), atol=0.06 * wanted)
    assert np.abs(p @ moved).max() < 0.05 * np.sqrt(wanted)


def thermal(log_p, exponent):
    """ln Z and the mean energy of p to some power, in units of T0."""
    log_z = np.logaddexp.reduce(exponent * log_p)
    return log_z, -np.exp(exponent * log_p - log_z) @ log_p
