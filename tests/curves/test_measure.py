"""Errors of a point: slow observables of the user, and means over models, against their formulas."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from skhamiltonian import Draws, Estimate
from skhamiltonian._curves.measure import Point, estimate, merge
from skhamiltonian._montecarlo.statistics import r_hat


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
