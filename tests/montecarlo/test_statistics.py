"""Error bars against processes whose averages and autocorrelations are known exactly."""

import numpy as np
import pytest
from scipy.signal import lfilter

from skhamiltonian._montecarlo.draws import Draws
from skhamiltonian._montecarlo.statistics import (
    autocorrelation_time,
    effective_sample_size,
    jackknife,
    leave_one_out,
    log_mean_leave_one_out,
    normalised_weights,
    r_hat,
    unit_starts,
)


def ar1(rng, n_chains, n_draws, rho):
    """Stationary x_t = rho x_{t-1} + noise: mean 0, variance 1, tau = (1 + rho) / (1 - rho)."""
    noise = rng.normal(size=(n_chains, n_draws)) * np.sqrt(1 - rho**2)
    noise[:, 0] = rng.normal(size=n_chains)
    return lfilter([1], [1, -rho], noise, axis=1)


def equal_weights(x):
    return np.full(x.shape, 1 / x.size)


@pytest.mark.parametrize(
    ("n_chains", "n_draws", "rho"), [(1, 2000, 0.8), (4, 1000, 0.9), (16, 200, 0.8), (256, 20, 0.5)]
)
def test_one_error_bar_covers_the_truth_in_68_percent(n_chains, n_draws, rho):
    """Of the mean and of a derived quantity, the variance (exactly 1)."""
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        x = ar1(rng, n_chains, n_draws, rho)
        starts = unit_starts(n_chains, n_draws, autocorrelation_time(x))
        mean, square = (leave_one_out(f, equal_weights(x), starts) for f in (x, x**2))
        estimates = jackknife(mean), jackknife(square - mean**2)
        hits.append([abs(value - truth) < error for (value, error), truth in zip(estimates, (0, 1), strict=True)])
    coverage = np.mean(hits, axis=0)
    assert np.all((coverage > 0.60) & (coverage < 0.76)), coverage


def test_few_populations_have_an_error_bar_that_covers_too():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 4, 1))
    estimates = [jackknife(leave_one_out(row, equal_weights(row), np.arange(4))) for row in x]
    coverage = np.mean([abs(value) < error for value, error in estimates])
    assert coverage == pytest.approx(0.683, abs=0.03)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_ar1(rho):
    x = ar1(np.random.default_rng(2), 8, 50_000, rho)
    assert autocorrelation_time(x) == pytest.approx((1 + rho) / (1 - rho), rel=0.1)


def test_autocorrelation_time_is_the_sum_up_to_the_first_window_of_five_times_itself():
    """Term by term, of chains whose windows are 5 and more draws long, and of one that ends before its window."""
    rng = np.random.default_rng(13)
    for n_chains, n_draws, rho in [(3, 300, 0.0), (2, 300, 0.5), (4, 500, 0.8), (1, 40, 0.9), (2, 3, -0.5)]:
        x = ar1(rng, n_chains, n_draws, rho)
        y = x - x.mean()
        covariance = [np.mean([chain[t:] @ chain[: n_draws - t] for chain in y]) for t in range(n_draws)]
        tau = 1.0
        for t in range(1, n_draws):
            tau += 2 * covariance[t] / covariance[0]
            if t >= 5 * tau:
                break
        assert autocorrelation_time(x) == pytest.approx(max(1, tau))


def test_autocorrelation_time_of_chains_that_have_not_met_is_long():
    x = np.random.default_rng(3).normal(size=(4, 1000)) + 10 * np.arange(4)[:, None]
    assert autocorrelation_time(x) > 300


@pytest.mark.parametrize("n_draws", [100, 50_000])
@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6, 1e9 / 3])
def test_a_constant_has_no_error_and_every_draw_counts(constant, n_draws):
    """Up to the rounding of its mean, which grows with the constant and the number of draws."""
    x = np.full((4, n_draws), constant)
    assert autocorrelation_time(x) == 1
    starts = unit_starts(4, n_draws, 1.0)
    value, error = jackknife(leave_one_out(x, equal_weights(x), starts))
    assert (value, error) == (pytest.approx(constant), pytest.approx(0, abs=1e-9 * abs(constant)))
    assert effective_sample_size(x, equal_weights(x), starts) == pytest.approx(4 * n_draws)
    assert r_hat(x, equal_weights(x)) == 1


@pytest.mark.parametrize(("n_chains", "n_draws"), [(4, 20_000), (400, 200)])
def test_effective_sample_size_of_ar1(n_chains, n_draws):
    """n / tau, from the autocorrelation of few chains and from the spread of many."""
    x = ar1(np.random.default_rng(4), n_chains, n_draws, 0.8)
    starts = unit_starts(n_chains, n_draws, autocorrelation_time(x))
    assert (len(starts) == n_chains) == (n_chains == 400)
    assert effective_sample_size(x, equal_weights(x), starts) == pytest.approx(80_000 / 9, rel=0.2)


def test_effective_sample_size_sees_draws_that_share_ancestors():
    """100 populations of 50 draws, each the copies of 5 ancestors: 500 independent draws."""
    x = np.repeat(np.random.default_rng(5).normal(size=(100, 5)), 10, axis=1)
    draws = Draws(x[..., None], x, log_weight=np.zeros_like(x), log_partition=np.zeros(100))
    weight = normalised_weights(draws)
    assert effective_sample_size(x, weight, unit_starts(100, 50, np.inf)) == pytest.approx(500, rel=0.3)


def test_weights_that_differ_cost_effective_draws():
    """Log-normal weights: (E w)^2 / E w^2 = 1 / e. Populations that agree by chance do not win them back."""
    rng = np.random.default_rng(6)
    log_weight = np.tile(rng.normal(size=1000), (20, 1))
    x = np.tile(rng.normal(size=1000), (20, 1)) + 1e-3 * rng.normal(size=(20, 1))
    weight = normalised_weights(Draws(x[..., None], x, log_weight=log_weight))
    assert effective_sample_size(x, weight, unit_starts(20, 1000, np.inf)) == pytest.approx(20_000 / np.e, rel=0.2)


def test_populations_count_with_their_partition_sums():
    x = np.array([[1.0, 3.0], [5.0, 5.0]])
    draws = Draws(x[..., None], x, log_weight=np.log([[3, 1], [7, 7]]) + 900, log_partition=np.log([1, 3]) - 2000)
    weight = normalised_weights(draws)
    np.testing.assert_allclose(weight, [[3 / 16, 1 / 16], [3 / 8, 3 / 8]])
    assert (weight * x).sum() == pytest.approx(0.25 * 1.5 + 0.75 * 5)


def test_draws_without_weights_all_count_the_same():
    draws = Draws(np.zeros((2, 3, 7)), np.zeros((2, 3)))
    np.testing.assert_allclose(normalised_weights(draws), np.full((2, 3), 1 / 6))


def test_without_partition_sums_all_chains_count_the_same():
    x = np.zeros((2, 3))
    draws = Draws(x[..., None], x, log_weight=np.array([[0.0, 0, 0], [700, 700, 800]]))
    np.testing.assert_allclose(normalised_weights(draws).sum(axis=1), [0.5, 0.5])


def test_leave_one_out_is_what_it_says():
    rng = np.random.default_rng(7)
    x, weight = rng.normal(size=(3, 10)) + 1e6, rng.random((3, 10))
    weight /= weight.sum()
    starts = np.array([0, 5, 10, 15, 20, 25])
    left_out = leave_one_out(x, weight, starts)
    assert left_out[0] == pytest.approx(np.average(x, weights=weight), rel=1e-14)
    for unit in range(6):
        keep = np.arange(30) // 5 != unit
        assert left_out[1 + unit] == pytest.approx(np.average(x.ravel()[keep], weights=weight.ravel()[keep]), rel=1e-14)


def test_log_mean_leave_one_out_is_what_it_says():
    z = np.array([1.0, 2.0, 6.0])
    expected = np.log([3, 4, 3.5, 1.5]) + 5000
    np.testing.assert_allclose(log_mean_leave_one_out(np.log(z) + 5000), expected, rtol=1e-15)


def test_jackknife_of_a_mean_is_the_textbook_error():
    x = np.random.default_rng(8).normal(size=(200, 1))
    value, error = jackknife(leave_one_out(x, equal_weights(x), np.arange(200)))
    assert value == pytest.approx(x.mean())
    assert error == pytest.approx(x.std(ddof=1) / np.sqrt(200), rel=3e-3)


def test_one_unit_has_no_error_bar():
    x = np.random.default_rng(9).normal(size=(1, 20))
    starts = unit_starts(1, 20, 10.0)
    assert np.isnan(jackknife(leave_one_out(x, equal_weights(x), starts)).error)
    assert np.isnan(effective_sample_size(x, equal_weights(x), starts))
    assert np.isnan(jackknife(log_mean_leave_one_out(np.array([1.0]))).error)


def test_blocks_are_long_against_the_autocorrelation_time_and_stay_inside_chains():
    starts = unit_starts(3, 1000, 20.0)
    assert {0, 1000, 2000} <= set(starts)
    assert np.diff(np.append(starts, 3000)).min() >= 100
    np.testing.assert_array_equal(unit_starts(3, 1000, np.inf), [0, 1000, 2000])


@pytest.mark.parametrize(("n_chains", "n_units"), [(1, 32), (5, 35), (15, 45), (16, 16), (100, 100)])
def test_chains_are_cut_only_where_they_are_few(n_chains, n_units):
    assert len(unit_starts(n_chains, 10_000, 1.0)) == n_units


@pytest.mark.parametrize("weighted", [False, True])
def test_r_hat_of_shifted_chains(weighted):
    """Means 0 and delta around unit variance: R^2 = 1 + delta^2 / 2 (whole chains), delta^2 / 3 (each halved)."""
    rng, delta = np.random.default_rng(10), 2.0
    x = rng.normal(size=(2, 100_000)) + np.array([[0], [delta]])
    weight = equal_weights(x) * (rng.permuted(np.tile([0.5, 1.5], 100_000)).reshape(x.shape) if weighted else 1)
    assert r_hat(x, weight) == pytest.approx(np.sqrt(1 + delta**2 / (2 if weighted else 3)), rel=0.01)


@pytest.mark.parametrize(
    ("n_chains", "n_draws", "group", "halves"),
    [(2, 7, 1, 2), (8, 2, 1, 1), (16, 9, 2, 2), (19, 4, 2, 2), (40, 1, 5, 1)],
)
@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_r_hat_is_its_formula(n_chains, n_draws, group, halves, scale):
    """Eight groups at least, halves where there are two draws for each: what is left over is not used."""
    x = np.random.default_rng(14).normal(size=(n_chains, n_draws)) + np.linspace(0, 2, n_chains)[:, None]
    n = n_draws // halves
    places = [(g * group, h * n) for g in range(n_chains // group) for h in range(halves)]
    sets = [x[chain : chain + group, draw : draw + n].ravel() for chain, draw in places]
    within, between = np.var(sets, axis=1, ddof=1).mean(), np.var(np.mean(sets, axis=1), ddof=1)
    wanted = np.sqrt(1 - 1 / (group * n) + between / within)
    assert r_hat(scale * x, equal_weights(x)) == pytest.approx(wanted)


def test_r_hat_is_one_where_chains_agree_and_sees_a_drift():
    x = np.random.default_rng(11).normal(size=(1, 10_000))
    assert r_hat(x, equal_weights(x)) == pytest.approx(1, abs=1e-3)
    assert r_hat(x + np.linspace(0, 3, 10_000), equal_weights(x)) > 1.3
    assert r_hat(np.array([[0.0] * 8, [1.0] * 8]), np.full((2, 8), 1 / 16)) == np.inf
    assert np.isnan(r_hat(x[:, :3], equal_weights(x[:, :3])))


def test_r_hat_is_not_upset_by_many_short_chains_that_agree():
    """256 chains of 40 draws, tau = 19: two independent draws a chain, but 540 together."""
    x = ar1(np.random.default_rng(12), 256, 40, 0.9)
    assert r_hat(x, equal_weights(x)) < 1.03
    stuck = np.repeat(x[:, :1], 40, axis=1) + 0.1 * x
    assert r_hat(stuck[:64], equal_weights(stuck[:64])) > 1.05
    drifting = x + np.linspace(0, 2, 40)
    assert r_hat(drifting, equal_weights(x)) > 1.1


X = np.ones((2, 3, 4))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"configurations": X[0]},
            r"configurations must be an array \(n_chains, n_draws, n_sites\), got shape \(3, 4\)",
        ),
        ({"configurations": X.tolist()}, "configurations must be an array"),
        ({"energy": X[0, :, 0]}, r"one energy per configuration, \(2, 3\) of them, got \(3,\)"),
        ({"energy": X[..., 0].T}, r"one energy per configuration, \(2, 3\) of them, got \(3, 2\)"),
        ({"log_weight": np.zeros(3)}, r"one log_weight per configuration, \(2, 3\) of them, got \(3,\)"),
        ({"log_weight": np.full((2, 3), np.nan)}, "log_weight must have a finite largest value, got nan"),
        ({"log_weight": np.array([[0, 0, 0], [0, np.inf, 0]])}, "log_weight must have a finite largest value, got inf"),
        ({"log_weight": np.array([[0, 0, 0], [-np.inf] * 3])}, "log_weight must have a finite largest value, got -inf"),
        ({"log_partition": np.zeros(3)}, r"one log_partition per chain, \(2,\) of them, got \(3,\)"),
        ({"log_partition": np.array([0, np.nan])}, "log_partition must have a finite largest value, got nan"),
    ],
)
def test_draws_that_have_no_averages_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Draws(**{"configurations": X, **wrong})


def test_a_draw_and_a_chain_may_have_no_weight():
    log_weight = np.array([[0.0, -np.inf, 0.0], [0.0, 0.0, 0.0]])
    weight = normalised_weights(Draws(X, log_weight=log_weight, log_partition=np.array([0.0, -np.inf])))
    np.testing.assert_allclose(weight, [[0.5, 0, 0.5], [0, 0, 0]])


@pytest.mark.parametrize("gap", [30.0, 1e4])
def test_populations_with_nearly_all_weight_are_the_number_of_draws(gap):
    """Two of 16 populations count: one difference of two means does not tell the error of their mean."""
    x = np.random.default_rng(0).normal(size=(16, 1000))
    log_z = np.where(np.arange(16) < 2, 0.0, -gap)
    weight = normalised_weights(Draws(np.ones((*x.shape, 1)), log_partition=log_z))
    starts = unit_starts(*x.shape, np.inf)
    assert effective_sample_size(x, weight, starts) == pytest.approx(2)
    one = normalised_weights(Draws(np.ones((*x.shape, 1)), log_partition=np.where(np.arange(16) < 1, 0.0, -gap)))
    assert effective_sample_size(x, one, starts) == pytest.approx(1)
    assert gap < 1e4 or (np.isnan(jackknife(leave_one_out(x, one, starts)).error) and np.isnan(r_hat(x, one)))


def test_four_of_sixteen_populations_tell_their_error():
    """n_units = 4.03: the error is that of the spread, and the draws are those of four populations at most."""
    x = np.random.default_rng(1).normal(size=(16, 1000))
    log_z = np.where(np.arange(16) < 4, 0.0, -8.0)
    weight = normalised_weights(Draws(np.ones((*x.shape, 1)), log_partition=log_z))
    assert 100 < effective_sample_size(x, weight, unit_starts(*x.shape, np.inf)) < 4100
