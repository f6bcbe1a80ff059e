"""Averages over correlated or weighted draws, and their standard errors."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, stdtrit

from .draws import Draws, Estimate

_ENOUGH_UNITS = 16  # so many independent units give their spread, and so the error, to 20 %
_FEW_OF_THE_UNITS = 0.25
_BLOCK_LENGTH = 5  # in integrated autocorrelation times; means of such blocks have 90 % of the full variance


def normalised_weights(draws: Draws) -> np.ndarray:
    r"""Return the weight of every draw, (n_chains, n_draws), with sum 1.

    Inside chain c it is w_t / sum_t w_t. Chain c as a whole has a weight proportional to its estimate Z_c of the
    partition sum, because <f> = sum_c Z_c <f>_c / sum_c Z_c is a ratio of two unbiased estimates. Without estimates,
    all chains have the same weight.
    """
    shape = draws.configurations.shape[:2]
    log_w = np.zeros(shape) if draws.log_weight is None else np.asarray(draws.log_weight, dtype=float)
    log_w = log_w - log_sum_exp(log_w, axis=1)[:, None]
    if draws.log_partition is not None:
        log_w = log_w + np.asarray(draws.log_partition, dtype=float)[:, None]
    w = np.exp(log_w - log_w.max())
    return w / w.sum()


def log_sum_exp(x: np.ndarray, axis: int) -> np.ndarray:
    """Return ln sum exp x without overflow."""
    largest = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - largest).sum(axis=axis)) + largest.squeeze(axis)


def unit_starts(n_chains: int, n_draws: int, tau: float) -> np.ndarray:
    """Return the first draw of every independent unit in the concatenated chains.

    A unit is a chain. If chains are few, it is a block of a chain that is long compared with the integrated
    autocorrelation time `tau`; with tau = inf chains are never cut.
    """
    n_blocks = max(1, min(math.ceil(2 * _ENOUGH_UNITS / n_chains), int(n_draws / (_BLOCK_LENGTH * tau))))
    if n_chains >= _ENOUGH_UNITS:
        n_blocks = 1
    blocks = np.arange(n_blocks) * n_draws // n_blocks
    return np.add.outer(np.arange(n_chains) * n_draws, blocks).ravel()


def leave_one_out(values: np.ndarray, weight: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the weighted mean of all `values`, then the means without unit 1, without unit 2, ..."""
    mean = (weight * values).sum()
    unit_weight = np.add.reduceat(weight.ravel(), starts)
    unit_sum = np.add.reduceat((weight * (values - mean)).ravel(), starts)
    weight_of_others = np.where(unit_weight < 1, 1 - unit_weight, math.nan)  # 0 if one population has all the weight
    others = mean - unit_sum / weight_of_others if len(starts) > 1 else [math.nan]
    return np.array([mean, *others])


def log_mean_leave_one_out(log_z: np.ndarray) -> np.ndarray:
    """Return ln of the mean of all exp `log_z`, then the same without entry 1, without entry 2, ..."""
    n = len(log_z)
    others = [log_sum_exp(np.delete(log_z, c), axis=0) - np.log(n - 1) for c in range(n)] if n > 1 else [math.nan]
    return np.array([log_sum_exp(log_z, axis=0) - np.log(n), *others])


def jackknife(replicates: np.ndarray) -> Estimate:
    r"""Return the first entry with its error; each further entry x_u is the same estimate without one of B units.

    .. math:: \sigma^2 = t_{B-1}^2 \, \frac{B - 1}{B} \sum_u (x_u - \bar x)^2

    With the quantile t of Student's distribution (1.08 for B = 8, 1.03 for 16) value +- sigma is a 68 % interval
    also for few units. With one unit the error is nan.
    """
    value, x = replicates[0], replicates[1:]
    n_units = len(x)
    t = float(stdtrit(n_units - 1, ndtr(1.0)))
    deviation = math.hypot(*(x - x.mean()))  # the sum of squares may overflow
    return Estimate(float(value), t * math.sqrt((n_units - 1) / n_units) * deviation)


def autocorrelation_time(x: np.ndarray) -> float:
    r"""Return the integrated autocorrelation time of chains `x`, (n_chains, n_draws); at least 1.

    .. math:: \tau = 1 + 2 \sum_{t=1}^{W} \rho(t), \quad W = \min \{t : t \ge 5 \tau(t)\}

    (Madras and Sokal, J. Stat. Phys. 50, 109 (1988)). The mean over all chains is subtracted, so that chains in
    different valleys count as slow. n draws are worth n / tau independent ones.
    """
    n = x.shape[1]
    frequency = np.fft.rfft(x - x.mean(), 2 * n, axis=1)
    autocovariance = np.fft.irfft(np.abs(frequency) ** 2, axis=1)[:, :n].mean(axis=0)
    if autocovariance[0] <= 1e-28 * np.max(np.abs(x)) ** 2 * n:  # a constant, up to rounding
        return 1.0
    tau = 2 * np.cumsum(autocovariance / autocovariance[0]) - 1
    cutoff = np.argmax(np.append(np.arange(n) >= 5 * tau, True))
    return max(1.0, float(tau[min(cutoff, n - 1)]))


def effective_sample_size(values: np.ndarray, weight: np.ndarray, starts: np.ndarray) -> float:
    """Return how many independent draws would give the mean of `values` with the same error.

    If the units are whole chains or populations, this is var / error^2, with the error from the spread of the units,
    and at most n = (sum w)^2 / sum w^2. If a few of the units have nearly all the weight, it is the number of these,
    because their spread does not tell the error. If chains were cut into blocks, it is n / tau.
    """
    n = 1 / (weight**2).sum()
    if np.ptp(values) <= 1e-13 * np.max(np.abs(values)):  # a constant, up to rounding
        return float(n)
    if len(starts) > len(values):
        return n / autocorrelation_time(values)
    n_units = 1 / (np.add.reduceat(weight.ravel(), starts) ** 2).sum()
    if n_units < _FEW_OF_THE_UNITS * len(starts):
        return float(n_units)
    mean, error = jackknife(leave_one_out(values, weight, starts))
    variance = (weight * (values - mean) ** 2).sum()
    return float(n if error == 0 else variance / np.maximum(error**2, variance / n))


def r_hat(values: np.ndarray, weight: np.ndarray) -> float:
    r"""Return the potential scale reduction of chains or populations; it is close to 1 if they agree.

    .. math:: \hat R^2 = 1 - \frac1n + \frac{\mathrm{var}_c \langle f \rangle_c}{W}

    with W the mean variance inside c, one of 8 to 15 groups of chains of n draws (Gelman et al., Bayesian Data
    Analysis, 11.4). Short chains are grouped because their own means have too large errors. Chains of equal weights are
    cut in halves, to detect a drift. The result is nan for a single population or draw.
    """
    n_chains, n_draws = values.shape
    halves = 2 if n_draws >= 4 and np.ptp(weight) <= 1e-12 * weight.max() else 1
    group, n = max(1, n_chains // 8), n_draws // halves

    def grouped(x: np.ndarray) -> np.ndarray:
        x = x[: n_chains // group * group, : n * halves].reshape(-1, group, halves, n)
        return x.transpose(0, 2, 1, 3).reshape(-1, group * n)

    f, w = grouped(values), grouped(weight)
    if min(f.shape) < 2:
        return math.nan
    sums = w.sum(axis=1, keepdims=True)
    w = w / np.where(sums > 0, sums, math.nan)  # 0 if another population has all the weight
    mean = (w * f).sum(axis=1)
    n = f.shape[1]
    within = ((w * (f - mean[:, None]) ** 2).sum(axis=1) * n / (n - 1)).mean()
    if within <= 1e-28 * float(np.max(np.abs(values))) ** 2:
        return 1.0 if np.ptp(mean) <= 1e-14 * np.max(np.abs(values)) else math.inf
    return math.sqrt(1 - 1 / n + mean.var(ddof=1) / within)
