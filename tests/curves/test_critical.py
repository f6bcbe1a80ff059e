"""Peaks and crossings against curves that are known exactly."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from skhamiltonian._curves.critical import (
    _maximum,
    _peak_gain,
    _Points,
    _rising_misfit,
    crossing_temperature,
    peak_temperature,
)
from skhamiltonian._curves.result import PhaseCurve
from skhamiltonian._ising.exact import ising_exact
from skhamiltonian._montecarlo.draws import Estimate
from skhamiltonian._utils.alphabet import enumerate_states

PEAK_16 = 2.317514  # of Kaufman's heat capacity on 16 x 16


def curve(T, value, error, observable="heat_capacity"):
    value, error = (np.broadcast_to(np.asarray(a, dtype=float), np.shape(T)) for a in (value, error))
    ones = np.ones(len(T))
    return PhaseCurve(np.asarray(T), {observable: Estimate(value, error)}, ones, ones, ones, ones, n_sites=1)


def noisy(T, value, error, rng, observable="heat_capacity"):
    return curve(T, value + error * rng.normal(size=len(T)), error, observable)


def test_the_peak_of_a_parabola_is_exact():
    T = np.array([1.7, 1.1, 1.3, 1.5, 1.2, 1.4, 1.6])
    value, error = peak_temperature(curve(T, 3 - 0.5 * (T - 1.43) ** 2, 1e-9))
    assert value == pytest.approx(1.43, abs=1e-6)
    assert error < 1e-6


def test_few_points_of_a_peak_cost_a_tenth_of_their_spacing():
    T = np.array([1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.14, 2.2, 2.3, 2.4])
    value, error = peak_temperature(curve(T, 1 - 4 * (T - 2.02) ** 2, 1e-9))
    assert (value, error) == pytest.approx((2.02, (2.14 - 1.9) / 20), abs=1e-6)


def test_a_tail_beside_a_narrow_peak_does_not_count():
    """The six points of the peak begin with the first, and the last one is higher than some of them."""
    T = np.linspace(1, 2, 11)
    y = 1 - 8 * (T - 1.22) ** 2
    y[-1] = 0.7
    assert peak_temperature(curve(T, y, 1e-9)).value == pytest.approx(1.22, abs=1e-6)


@pytest.mark.parametrize(("spacing", "relative_error"), [(0.1, 0.005), (0.05, 0.01), (0.02, 0.02)])
def test_error_of_a_peak_covers_kaufmans(spacing, relative_error):
    """At least 68 % of 200 noisy curves have the true peak inside their error, which is at most 0.02."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(200):
        T = np.arange(1.5 + spacing * rng.random(), 3.2, spacing)
        C = ising_exact((16, 16), T).heat_capacity / 256
        value, error = peak_temperature(noisy(T, C, relative_error * C, rng))
        hits.append(abs(value - PEAK_16) < error < 0.02)
    assert np.mean(hits) > 0.66


@pytest.mark.parametrize("spacing", [0.02, 0.05])
@pytest.mark.parametrize(("length", "truth"), [(8, 2.361980), (16, PEAK_16), (32, 2.293932)])
def test_the_error_of_a_peak_counts_its_shape(length, truth, spacing):
    """Without noise, what is left is that no peak is a polynomial."""
    T = np.arange(1.5, 3.2, spacing)
    C = ising_exact((length, length), T).heat_capacity
    value, error = peak_temperature(curve(T, C, 1e-6 * C))
    assert abs(value - truth) < 2 * error


def test_points_count_by_their_errors():
    T = np.linspace(1, 2, 11)
    y, sigma = -((T - 1.52) ** 2), np.full(11, 1e-6)
    y[3], sigma[3] = -0.15, 10.0
    assert peak_temperature(curve(T, 1 + y, sigma)).value == pytest.approx(1.52, abs=1e-4)


def test_the_error_of_a_peak_is_its_scatter_where_the_shape_is_known():
    rng, T = np.random.default_rng(1), np.linspace(-1, 1, 21) + 3
    found = np.array([peak_temperature(noisy(T, 2 - (T - 3) ** 2 / 4, 1e-3, rng)) for _ in range(300)])
    assert np.std(found[:, 0]) / np.sqrt(np.mean(found[:, 1] ** 2)) == pytest.approx(0.95, abs=0.12)


@pytest.mark.parametrize("T", [np.linspace(1, 2, 9), np.linspace(3, 4, 9), np.linspace(2.2, 2.4, 5)])
def test_a_peak_at_the_end_or_of_few_points_is_refused(T):
    with pytest.raises(
        ValueError, match=rf"heat_capacity must have a peak.*got {len(T)} points from T = {T[0]:g} to {T[-1]:g}"
    ):
        peak_temperature(curve(T, ising_exact((16, 16), T).heat_capacity, 0.1))


def test_points_without_error_bars_do_not_count():
    T = np.linspace(2, 3, 11)
    error = np.where(T > 2.45, np.nan, 0.01)
    with pytest.raises(ValueError, match=r"got 5 points from T = 2 to 2\.4"):
        peak_temperature(curve(T, -((T - 2.3) ** 2), error))
    with pytest.raises(ValueError, match="got no points with error bars"):
        peak_temperature(curve(T, T, np.nan))
    spoilt = curve(np.append(T, 2.31), np.append(-((T - 2.3) ** 2), 99), np.append(0 * T + 1e-6, np.nan))
    assert peak_temperature(spoilt).value == pytest.approx(2.3, abs=1e-4)


def test_lines_cross_where_they_do():
    T = np.linspace(1, 2, 8)
    first, second = curve(T, 3 - T, 1e-9, "mine"), curve(T[::-1] + 0.03, 2 * (T[::-1] + 0.03) - 1, 1e-9, "mine")
    for pair in ((first, second), (second, first)):
        assert crossing_temperature(*pair, observable="mine") == (pytest.approx(4 / 3), pytest.approx(0, abs=1e-6))


def binder_cumulant(shape, T):
    s = enumerate_states((-1, 1), np.prod(shape)).reshape(-1, *shape)
    H = -np.sum(s * np.roll(s, 1, axis=1) + s * np.roll(s, 1, axis=2), axis=(1, 2))
    w = np.exp(-(H - H.min()) / T[:, None])
    m2 = s.mean(axis=(1, 2)) ** 2
    return 1 - (w @ m2**2) * w.sum(axis=1) / (3 * (w @ m2) ** 2)


@pytest.mark.parametrize("noise", [1e-4, 1e-3])
def test_error_of_a_crossing_is_honest(noise):
    """Enumerated Binder cumulants of 2 x 3 and 3 x 4 spins with noise, from deep in the ordered phase on."""
    fine = np.linspace(1.0, 3.0, 2001)
    small, large = (binder_cumulant(shape, fine) for shape in ((2, 3), (3, 4)))
    (crossing,) = np.flatnonzero(np.diff(large > small))
    truth = fine[crossing : crossing + 2].mean()
    rng, T, z = np.random.default_rng(2), np.linspace(1.0, 3.0, 21), []
    for _ in range(200):
        pair = [noisy(T, np.interp(T, fine, U), noise, rng, "binder_cumulant") for U in (small, large)]
        value, error = crossing_temperature(*pair)
        z.append((value - truth) / error)
    assert 0.6 < np.mean(np.abs(z) < 1) < 0.9, np.mean(np.abs(z) < 1)


def test_a_crossing_is_that_of_either_curve_with_the_other():
    """Only one curve has an error that counts, the first or the second; temperatures need not be the same."""
    T, others = np.linspace(1, 2, 11), np.linspace(0.93, 2.1, 17)
    sure, noisy_one = curve(T, T, np.full(11, 1e-9)), curve(others, 3 - others, np.full(17, 0.01))
    there, back = (crossing_temperature(*pair, "heat_capacity") for pair in ((sure, noisy_one), (noisy_one, sure)))
    assert there.value == pytest.approx(1.5, abs=1e-6)
    assert there == pytest.approx(back)
    assert 0.001 < there.error < 0.01  # 0.01 over the slope 2, of a fit to six points


def learned(T, value, error, shift, name):
    """A curve whose parameters shift all points; its errors are those of points and of parameters."""
    shift = np.broadcast_to(shift, (len(T), np.shape(shift)[-1]))
    total = np.hypot(error, np.linalg.norm(shift, axis=1))
    return replace(curve(T, value, total), parameter_shifts={"heat_capacity": shift}, parameters=name)


APART = np.linalg.norm([2, 5, 1, 1])


@pytest.mark.parametrize(
    ("names", "wanted"), [(("a", "a"), np.hypot(2 - 1, 5 - 1)), (("a", "b"), APART), ((None, None), APART)]
)
def test_parameters_in_common_shift_both_curves_alike(names, wanted):
    """Lines with slopes 4 and 1. Two parameters shift the first by 2 and 5, and the second by 1 and 1 hundredths."""
    T = np.linspace(1, 2, 6)
    first = learned(T, 4 * (T - 1.5), 1e-9, [0.02, 0.05], names[0])
    second = learned(T, T - 1.5, 1e-9, [0.01, 0.01], names[1])
    value, error = crossing_temperature(first, second, "heat_capacity")
    assert value == pytest.approx(1.5)
    assert error == pytest.approx(wanted / 100 / (4 - 1), rel=1e-6)


def test_errors_of_draws_and_of_parameters_add_in_quadrature():
    T = np.linspace(1, 2, 6)
    pairs = [
        [learned(T, slope * (T - 1.5), draws, [shift * slope], "a") for slope in (4, 1)]
        for draws, shift in ((0.03, 0.0), (1e-5, 0.06), (0.03, 0.06))
    ]
    by_draws, by_parameters, both = (crossing_temperature(*pair, "heat_capacity").error for pair in pairs)
    assert by_parameters == pytest.approx(0.06, rel=1e-5)  # both curves move along T
    assert both == pytest.approx(np.hypot(by_draws, by_parameters), rel=1e-5)


def test_a_crossing_is_significant_although_the_parameters_are_poorly_known():
    """Errors by parameters are larger than the curves are apart, but both move together."""
    T = np.linspace(1, 2, 7)
    pair = [learned(T, slope * (T - 1.5), 0.01, [10 * slope], "a") for slope in (1.2, 1)]
    assert crossing_temperature(*pair, "heat_capacity").error == pytest.approx(10, rel=1e-3)
    with pytest.raises(ValueError, match="no significant crossing"):
        crossing_temperature(pair[0], replace(pair[1], parameters="b"), "heat_capacity")


def test_a_peak_moves_with_its_parameters():
    """A parabola about 1.5 that a parameter moves along T by 0.2, and another one lifts by 3."""
    T = np.linspace(1, 2, 21)
    along = np.stack([2 * 0.2 * (T - 1.5), np.full(21, 3.0)], axis=1)
    value, error = peak_temperature(learned(T, 1 - (T - 1.5) ** 2, 1e-6, along, None))
    assert value == pytest.approx(1.5, abs=1e-4)
    assert error == pytest.approx(0.2, rel=1e-3)


def test_equal_temperatures_share_their_parameters():
    """The mean of two draws at one temperature has half their variance, and the same parameters."""
    T = np.linspace(1, 2, 11)
    shift = np.stack([2 * 0.2 * (T - 1.5)], axis=1)
    once = learned(T, -((T - 1.5) ** 2), 0.02, shift, None)
    each, shifts = np.repeat(T, 2), np.repeat(shift, 2, axis=0)
    twice = learned(each, -((each - 1.5) ** 2), 0.02 * np.sqrt(2), shifts, None)
    np.testing.assert_allclose(peak_temperature(twice), peak_temperature(once), rtol=1e-6)


def test_what_is_no_pair_of_curves_is_refused():
    T = np.linspace(1, 2, 8)
    one = curve(T, T, 0.1)
    with pytest.raises(ValueError, match="the same curve: pass those of two systems"):
        crossing_temperature(one, one, "heat_capacity")
    with pytest.raises(TypeError, match="must be PhaseCurve objects, whole and not one observable, got Estimate"):
        crossing_temperature(one["heat_capacity"], one["heat_capacity"])


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_curves_that_do_not_cross_are_refused(shift):
    """One above the other; or without common temperatures."""
    T = np.linspace(1, 2, 8)
    with pytest.raises(ValueError, match=r"must cross inside a common range.*got 8 points from T = 1 to 2"):
        crossing_temperature(curve(T, T, 0.1), curve(T + shift, T + 1, 0.1), "heat_capacity")
    with pytest.raises(ValueError, match=r"and no points with error bars"):
        crossing_temperature(curve(T, T, 0.1), curve(T, T, np.nan), "heat_capacity")


@pytest.mark.parametrize("z", [2.9, 3.1])
def test_curves_cross_by_errors_in_quadrature(z):
    """The largest sum of the differences 1, 3, 5 over its error is 9 / sqrt(3), in units of both errors."""
    T = np.arange(1.0, 7.0)
    difference = z / 9 * np.sqrt(3) * 5 * np.array([5, 3, 1, -1, -3, -5])
    pair = curve(T, difference, 3.0), curve(T, 0.0, 4.0)
    if z > 3:
        assert crossing_temperature(*pair, "heat_capacity").value == pytest.approx(3.5)
        return
    with pytest.raises(ValueError, match=r"differ by 2\.9 standard errors only"):
        crossing_temperature(*pair, "heat_capacity")


def test_a_mirrored_peak_has_the_same_error():
    """At unequal distances, with fewer than 6 points above 80 % of the peak."""
    T = np.array([1.0, 1.4, 1.5, 2.1, 2.25, 2.7, 3.3])
    y = 1 / (1 + 4 * (T - 2.05) ** 2)
    value, error = peak_temperature(curve(T, y, 0.01))
    mirrored = peak_temperature(curve(5 - T, y, 0.01))
    assert mirrored == (pytest.approx(5 - value), pytest.approx(error))
    assert peak_temperature(curve(2 * T, 3 * y, 0.03)) == (pytest.approx(2 * value), pytest.approx(2 * error))


def test_noise_that_hides_a_peak_is_said():
    T = np.linspace(1, 2, 7)
    with pytest.raises(ValueError, match="has no significant peak"):
        peak_temperature(curve(T, [0, 3, 0, 0, 0, 0, 2], [1, 1, 1e-3, 1, 1e-3, 1, 1e-3]))


@pytest.mark.parametrize(("center", "cure"), [(0.9, "below T = 1"), (1.15, "below T = 1"), (2.1, "above T = 2")])
@pytest.mark.parametrize("height", [1, 100])
def test_a_peak_at_an_end_is_to_be_measured_beyond_it(center, cure, height):
    """At an end, and next to it and hidden by noise."""
    T = np.linspace(1, 2, 8)
    with pytest.raises(ValueError, match=f"measure {cure}, too$"):
        peak_temperature(curve(T, height * np.exp(-((T - center) ** 2)), 0.05 * height))


def test_too_few_temperatures_are_to_be_more():
    with pytest.raises(ValueError, match=r"measure more temperatures$"):
        peak_temperature(curve(np.arange(1.0, 6.0), np.array([0, 1, 2, 1, 0]), 0.1))


def test_curves_that_do_not_cross_are_to_be_measured_over_a_wider_range():
    """More draws would not help: the lines cross at T = 2.2."""
    T = np.linspace(1, 2, 8)
    with pytest.raises(ValueError, match=r"must cross inside .* over a wider range$"):
        crossing_temperature(curve(T, 2.2 - T, 0.01), curve(T, 0 * T, 0.01), "heat_capacity")


SHAPES = {  # what has neither a peak nor, from the same shape and a constant away, a crossing
    "flat": lambda T: np.ones_like(T),
    "rising": lambda T: 1 + 0.02 * T,
    "falling": lambda T: 1 - 0.02 * T,
}


@pytest.mark.parametrize("n_points", [7, 11, 31])
@pytest.mark.parametrize("shape", SHAPES)
def test_noise_has_no_critical_temperature(shape, n_points):
    """At most 5 % of 200 curves of noise have a peak, or cross; errors known to 20 degrees of freedom."""
    rng, T = np.random.default_rng(n_points), np.linspace(1, 2, n_points)

    def draw(offset):
        noise = 0.05 * rng.normal(size=n_points)
        error = 0.05 * np.sqrt(rng.chisquare(20, n_points) / 20)
        return curve(T, SHAPES[shape](T) + offset + noise, error)

    def found(function, *arguments):
        try:
            function(*arguments, "heat_capacity")
        except ValueError:
            return False
        return True

    assert np.mean([found(peak_temperature, draw(0)) for _ in range(200)]) <= 0.05
    for offset in (0.0, 0.02, 0.05):
        assert np.mean([found(crossing_temperature, draw(0), draw(offset)) for _ in range(200)]) <= 0.05


@pytest.mark.parametrize("relative_error", [0.01, 0.03])
def test_kaufmans_peak_is_found_by_every_seed(relative_error):
    T = np.linspace(1.8, 3.0, 13)
    C = ising_exact((16, 16), T).heat_capacity
    for seed in range(50):
        value, error = peak_temperature(noisy(T, C, relative_error * C, np.random.default_rng(seed)))
        assert abs(value - PEAK_16) < max(5 * error, 0.1)


def test_a_crossing_of_sizes_is_found_by_every_seed():
    T = np.linspace(1.0, 3.0, 11)
    small, large = (binder_cumulant(shape, T) for shape in ((2, 3), (3, 4)))
    for seed in range(50):
        rng = np.random.default_rng(seed)
        pair = [noisy(T, U, 0.001, rng, "binder_cumulant") for U in (small, large)]
        assert np.isfinite(crossing_temperature(*pair)).all()


def test_a_drop_at_the_end_of_a_rise_gains_its_own_misfit():
    y = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 2.5])
    for each in (y, y[::-1]):
        assert _peak_gain(each, np.full(6, 0.5)) == pytest.approx(1.5**2 / 2 / 0.25)


def test_a_minimum_nearer_to_the_largest_point_is_no_peak():
    x = np.linspace(-1, 1, 9)
    y = -(x**3) / 3 + 0.2 * x**2 + 0.05 * x  # slope (0.5 - x) (x + 0.1)
    assert _maximum(_Points(x, y, np.full(9, 1e-6), np.zeros((9, 0))), 3).value == pytest.approx(0.5)


def test_chi2_of_a_rise_is_that_of_isotonic_regression():
    rng = np.random.default_rng(0)
    for n in (1, 2, 9, 30):
        y, sigma = rng.normal(size=n), rng.uniform(0.5, 2, n)
        fits = [isotonic_regression(y[:k], sample_weight=sigma[:k] ** -2) for k in range(1, n + 1)]
        expected = [np.sum(((y[: len(fit)] - fit) / sigma[: len(fit)]) ** 2) for fit in fits]
        np.testing.assert_allclose(_rising_misfit(y, sigma), [0, *expected], atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_rare_events_are_no_crossing(seed):
    """Deep in the ordered phase most draws are alike; at some temperatures nothing has happened yet, with error 0."""
    T, n = np.linspace(0.6, 1.6, 11), 4000
    rng, curves = np.random.default_rng(seed), []
    for N in (64, 16):
        flips = rng.poisson(n * N * np.exp(-8 / T))
        deficit = flips / n / N
        curves.append(curve(T, 2 / 3 - deficit, np.sqrt(flips) / n / N, "binder_cumulant"))
    with pytest.raises(ValueError, match=r"must cross inside|no significant crossing"):
        crossing_temperature(*curves)


@pytest.mark.parametrize("unit", [1e-90, 1e-21, 1e-8, 1e-4, 1e5, 1e21, 1e90])
def test_the_unit_of_temperatures_has_no_effect(unit):
    """Temperatures may be in joules: powers of small or large ones must not vanish in the least squares."""
    T = np.linspace(2, 3, 11)
    peak = 1 / (1 + 20 * (T - 2.47) ** 2) * (1 + 0.3 * (T - 2.47))
    lines = [0.6 - 0.3 * (T - 2.43) + 0.2 * (T - 2.43) ** 2, 0.6 - 0.6 * (T - 2.43)]

    def both(T):
        first, second = (curve(T, line, 0.001, "binder_cumulant") for line in lines)
        return [*peak_temperature(curve(T, peak, 0.01)), *crossing_temperature(first, second)]

    np.testing.assert_allclose(np.divide(both(unit * T), unit), both(T), rtol=1e-7)


def test_an_observable_that_is_an_array_has_no_peak():
    T = np.linspace(2, 3, 11)
    one = curve(T, 3 - (T - 2.5) ** 2, 0.01)
    both = Estimate(*(np.stack([part, part], axis=1) for part in one["heat_capacity"]))
    with pytest.raises(ValueError, match=r"heat_capacity must be one number at each .* shape \(2,\): measure"):
        peak_temperature(replace(one, observables={"heat_capacity": both}))


def test_a_point_at_infinite_temperature_does_not_count():
    T, y = np.append(np.linspace(2, 3, 11), np.inf), np.append(np.linspace(1, 2, 11), 0)
    with pytest.raises(ValueError, match=r"must have a peak inside .*, got 11 points from T = 2 to 3"):
        peak_temperature(curve(T, y, 0.01))


def test_points_at_one_temperature_are_one_point():
    """Five temperatures, four times each, do not determine a quartic; nine, three times each, are their means."""
    T, rng = np.linspace(1.0, 2.0, 9), np.random.default_rng(0)
    y, error = 3 - 0.5 * (T - 1.43) ** 2, rng.uniform(0.01, 0.02, (9, 3))
    noise = error * rng.normal(size=(9, 3))
    noise -= noise.mean(axis=1, keepdims=True)
    every = curve(np.repeat(T, 3)[::-1], (y[:, None] + noise).ravel()[::-1], error.ravel()[::-1])
    merged = curve(T, y, np.linalg.norm(error, axis=1) / 3)
    assert peak_temperature(every) == pytest.approx(peak_temperature(merged), rel=1e-9)
    other = curve(T, y + 0.3 * (T - 1.5), 0.01)
    assert crossing_temperature(every, other, "heat_capacity") == pytest.approx(
        crossing_temperature(merged, other, "heat_capacity"), rel=1e-9
    )
    few = np.repeat(T[2:7], 4)
    with pytest.raises(ValueError, match="a peak inside at least 6 temperatures, got 5 points"):
        peak_temperature(curve(few, 3 - 0.5 * (few - 1.43) ** 2, 1e-9))
    with pytest.raises(ValueError, match="got no points with error bars"):
        peak_temperature(curve(T, y, np.nan))
