"""Errors of a point: slow observables of the user, and means over models, against their formulas."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from skhamiltonian import Draws, Estimate, PhaseCurve, ThermalSampler
from skhamiltonian._curves.measure import Point, Request, assemble, check_observables, estimate, measure, merge
from skhamiltonian._montecarlo.statistics import jackknife, r_hat


def test_an_observable_that_is_slower_than_the_magnetization_has_its_own_error():
    """One site of 40 flips once in 50 draws: its mean has the error sqrt(tau / n) with tau = 49, in a vector too."""
    rng, n = np.random.default_rng(0), 40_000
    X = rng.choice(np.array([-1, 1], np.int8), (n, 40))
    X[:, 0] = np.cumprod(rng.choice([-1, 1], n, p=[0.02, 0.98]))
    for slow in (lambda X: X[:, 0], lambda X: X[:, :2]):
        point = estimate(Draws(X[None]), {"slow": slow}, 1.0)
        assert np.ravel(point.observables["slow"].error)[0] == pytest.approx(np.sqrt(49 / n), rel=0.35)
        assert point.effective_sample_size == pytest.approx(n / 49, rel=0.4)
    assert estimate(Draws(X[None]), {}, 1.0).effective_sample_size > n / 3


def point(value, error, **diagnostics):
    a, b = Estimate(value, error), Estimate(np.array([value, 1.0]), np.array([error, 0.3]))
    return Point({"a": a, "b": b}, 9, **diagnostics)


def test_the_error_of_a_mean_over_models_is_the_larger_of_two():
    """The spread over n models as t (n - 1) sd / sqrt(n), or their own errors as root of sum of squares over n."""
    values, n = np.array([1.0, 2.0, 4.0, 2.5]), 4
    t = student.isf(norm.sf(1), n - 1)
    for own, between in ((0.1, True), (50.0, False)):
        points = [point(v, own, effective_sample_size=10.0, r_hat=1.0, support=5.0, acceptance=0.5) for v in values]
        merged = merge(points)
        wanted = t * values.std(ddof=1) / np.sqrt(n) if between else own / np.sqrt(n)
        for name, shape in (("a", ()), ("b", (2,))):
            value, error = merged.observables[name]
            assert np.shape(value) == np.shape(error) == np.shape(merged.spread[name]) == shape
            assert np.ravel(value)[0] == pytest.approx(values.mean())
            assert np.ravel(error)[0] == pytest.approx(wanted)
            assert np.ravel(merged.spread[name])[0] == pytest.approx(values.std(ddof=1))
        assert merged.observables["b"].error[1] == pytest.approx(0.3 / np.sqrt(n))


def test_diagnostics_of_several_models_are_sums_and_the_worst():
    each = ({"r_hat": 1.3, "support": 7.0, "acceptance": 0.2}, {"r_hat": 1.1, "support": 3.0, "acceptance": 0.6})
    merged = merge([point(1.0, 0.1, effective_sample_size=100.0 * (1 + k), **one) for k, one in enumerate(each)])
    assert merged.effective_sample_size == 300
    assert (merged.r_hat, merged.support, merged.acceptance) == (1.3, 3.0, pytest.approx(0.4))


def test_the_worst_of_all_observables_speaks_for_the_chains():
    """Energies of two chains disagree, their magnetizations agree: R-hat and effective size are those of the energy."""
    rng = np.random.default_rng(0)
    X = rng.choice(np.array([-1, 1], np.int8), (2, 2000, 16))
    E = rng.normal(size=(2, 2000)) + np.array([[0.0], [2.0]])
    point = estimate(Draws(X, E), {}, 1.0)
    assert point.r_hat == pytest.approx(r_hat(E, np.full(E.shape, 1 / E.size)))
    assert point.r_hat > 1.3
    assert point.effective_sample_size < 100
    assert estimate(Draws(X, E - E.mean(axis=1, keepdims=True)), {}, 1.0).r_hat < 1.01


def test_a_partition_sum_without_energies_has_a_free_energy():
    X = np.random.default_rng(0).choice([-1, 1], (20, 50, 4))
    point = estimate(Draws(X, log_partition=np.full(20, 4 * np.log(2))), {}, 2.0)
    assert point.observables["free_energy"].value == pytest.approx(-2 * np.log(2))
    assert not {"energy", "entropy"} & set(point.observables)


def test_the_order_of_models_has_no_effect():
    """Python's max(nan, 2) is nan, and max(2, nan) is 2."""
    X = np.random.default_rng(0).choice([-1, 1], (2, 20, 50, 4))
    known, unknown = (estimate(Draws(one), {}, 2.0) for one in X)
    known, unknown = replace(known, r_hat=2.0, support=5.0), replace(unknown, r_hat=np.nan, support=np.nan)
    for points in ([known, unknown], [unknown, known]):
        both = merge(points)
        assert (both.r_hat, both.support) == (2.0, 5.0)


def test_an_observable_has_a_component():
    X = np.ones((1, 50, 4))
    with pytest.raises(ValueError, match=r"observable 'none' must return .* shape \(50, \.\.\.\), got \(50, 0\)"):
        estimate(Draws(X), {"none": lambda X: X[:, :0]}, 2.0)


RING = np.array(list(itertools.product((-1, 1), repeat=6)), np.int8)
BONDS = (RING * np.roll(RING, 1, axis=1)).sum(axis=1) + 0.4 * RING[:, 0]


def enumerated(T, n_populations=16):
    """All states of a ring with their weights, as so many equal populations."""
    E = -BONDS.astype(float)
    log_w = -E / T
    each = [np.stack([x] * n_populations) for x in (RING, E, log_w)]
    return Draws(*each, log_partition=np.full(n_populations, np.logaddexp.reduce(log_w)))


def test_observables_are_derivatives_of_the_partition_sum():
    """Of ln Z by the inverse temperature, the field, and a field that acts on |M|."""
    T, n, step = 1.7, 6, 1e-4
    M = RING.sum(axis=1)

    def log_z(beta=1 / T, h=0.0, h_abs=0.0):
        return np.logaddexp.reduce(beta * (BONDS + h * M + h_abs * np.abs(M)))

    def slope(**at):
        return (log_z(**at) - log_z(**{name: -x for name, x in at.items()})) / 2 / step

    def energy(T):
        return -(log_z(1 / T + step) - log_z(1 / T - step)) / 2 / step

    curvature = (log_z(h_abs=step) + log_z(h_abs=-step) - 2 * log_z()) / step**2
    m2, m4 = (np.exp(BONDS / T - log_z()) @ (M / n) ** power for power in (2, 4))
    found = estimate(enumerated(T), {}, T).observables
    wanted = {
        "magnetization": T * slope(h=step) / n,
        "abs_magnetization": T * slope(h_abs=step) / n,
        "energy": energy(T) / n,
        "susceptibility": T * curvature / n,
        "heat_capacity": (energy(T + step) - energy(T - step)) / 2 / step / n,
        "binder_cumulant": 1 - m4 / (3 * m2**2),
        "free_energy": -T * log_z() / n,
        "entropy": (log_z() + energy(T) / T) / n,
    }
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value, rel=1e-5), name
        assert found[name].error < 1e-10


def test_an_entropy_at_low_temperature_has_the_error_of_rounding():
    """ln Z + <H> / T is a difference of numbers of 6.4 / T."""
    T = 1e-6
    assert estimate(enumerated(T), {}, T).observables["entropy"].error == pytest.approx(1e-14 * 6.4 / T / 6, rel=1e-3)


@pytest.mark.parametrize("n_draws", [10, 11])
def test_fewer_than_ten_draws_have_no_error_bar(n_draws):
    """The last draw counts half."""
    log_w = np.where(np.arange(n_draws) == n_draws - 1, np.log(0.29), 0.0)[None]
    point = estimate(Draws(np.ones((1, n_draws, 4)), log_weight=log_w), {"one": lambda X: X[:, :2]}, 1.0)
    assert point.effective_sample_size == pytest.approx(n_draws - 0.5, abs=0.01)
    for name, shape in (("magnetization", ()), ("one", (2,))):
        np.testing.assert_array_equal(point.observables[name].error, np.full(shape, 0.0 if n_draws == 11 else np.nan))


class Given(ThermalSampler):
    """Draws these rows; `states_` are as given."""

    def __init__(self, rows, states=None):
        self.rows = rows
        if states is not None:
            self.states_ = states

    def _draw(self, temperature, n_samples, field, method, seed):
        return Draws(self.rows[None])


@pytest.mark.parametrize(
    ("low", "high", "states", "largest"),
    [(-3, 2, None, 3), (-1, 2, None, 2), (-1, 2, np.array([-1, 2]), np.nan), (-1.0, 2.0, None, np.nan)],
)
def test_integers_without_states_are_in_units_of_the_largest(low, high, states, largest):
    sampler = Given(np.where(np.arange(60).reshape(20, 3) % 7 < 3, low, high), states)
    point = measure(sampler, 2.0, Request(20, 0.0, "auto", {}), np.random.SeedSequence(0))
    np.testing.assert_equal(point.largest_state, largest)


def test_one_curve_is_of_one_number_of_sites():
    points = [replace(point(1.0, 0.1, effective_sample_size=9.0, r_hat=1.0), n_sites=n) for n in (4, 9)]
    with pytest.raises(ValueError, match="same number of sites"):
        merge(points)
    with pytest.raises(ValueError, match=r"same number of sites, got \[4, 9\]"):
        assemble(points, np.array([1.0, 2.0]), 0.0, None)
    curve = assemble([points[1]] * 2, np.array([1.0, 2.0]), 0.0, None)
    assert curve["n_sites"] == 9
    assert curve["observables"]["b"].value.shape == (2, 2)


@pytest.mark.parametrize(
    ("observables", "message"),
    [
        ({1: np.sum}, "got 1: "),
        ({"a": 3}, "got 'a': 3"),
        ([np.sum], "must be a dict"),
        ({"a": np.sum, "b": None}, "'b'"),
    ],
)
def test_observables_are_functions_by_name(observables, message):
    with pytest.raises(TypeError, match=message):
        check_observables(observables)


def test_responses_have_the_errors_of_left_out_chains():
    """Twenty chains are twenty units; each variance is about the mean of the draws that it is of."""
    rng, T = np.random.default_rng(0), 1.3
    X = np.sign(rng.normal(size=(20, 5, 6)) + rng.normal(size=(20, 1, 1)))
    E = 3 * X[:, :, 0] + rng.normal(size=(20, 5)) + rng.normal(size=(20, 1))
    found = estimate(Draws(X, E), {}, T).observables
    for name, x, unit in (("susceptibility", np.abs(X.mean(axis=2)), 6 / T), ("heat_capacity", E, 1 / 6 / T**2)):
        variances = [np.var(x)] + [np.var(np.delete(x, chain, axis=0)) for chain in range(20)]
        value, error = jackknife(unit * np.array(variances))
        assert found[name].value == pytest.approx(value)
        assert found[name].error == pytest.approx(error)


def test_rounding_of_a_constant_energy_is_no_heat_capacity():
    E = np.where(np.arange(400).reshape(20, 20) % 3, 1e6, np.nextafter(1e6, 2e6))
    point = estimate(Draws(np.ones((20, 20, 4)), E), {}, 1e-6)
    assert point.observables["heat_capacity"] == (0.0, 0.0)


def telegraph(n_draws, every):
    """Aligned spins that all flip at the given number of draws."""
    return np.where(np.arange(n_draws) // every % 2, -1, 1)[:, None] * np.ones((1, 4), np.int8)


def test_the_error_of_a_magnetization_counts_its_own_flips():
    """Spins that flip once in 200 draws do not tell <m>; |m| is 1 without an error."""
    curve = PhaseCurve.from_samples({1.0: telegraph(200, 100)})
    assert curve["magnetization"].value[0] == 0
    assert np.isnan(curve["magnetization"].error[0])
    assert np.ravel(curve["abs_magnetization"]) == pytest.approx([1, 0])
    assert curve.effective_sample_size[0] == pytest.approx(200)


def test_the_error_of_a_magnetization_is_that_of_its_autocorrelation_time():
    """Flips with probability p: tau = (1 - p) / p, and the error is sqrt(tau / n)."""
    p, errors = 0.002, []
    for seed in range(60):
        signs = np.cumprod(1 - 2 * (np.random.default_rng(seed).random(20_000) < p))
        errors.append(PhaseCurve.from_samples({1.0: signs[:, None] * np.ones((1, 2))})["magnetization"].error[0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.sqrt((1 - p) / p / 20_000), rel=0.15)
