"""Fit of the calibrations: the density ratio of data to draws, and the normaliser of a local energy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.utils import gen_batches
from sklearn.utils.extmath import randomized_svd

from .._lattice.terms import TermSum
from .._utils.alphabet import enumerate_states
from .calibration import N_FEATURES, N_NOISE, Calibration, LocalCalibration, features, order_parameter
from .network import Codes, Network, uncalibrated_log_prob
from .sampling.law import Law
from .sampling.tempered import POPULATION, effective_sample_size, populations

# Bytes that the rows or the draws of a calibration may fill.
_MAX_BYTES = 2**26
_MIN_DRAWS = 20_000
_MAX_ROWS = 60_000
# Draws for a row: their noise is then the smaller part.
_DRAWS_PER_ROW = 2
# A coefficient of a standardised feature has the prior standard deviation 0.3; it matters below 2 000 rows.
_INVERSE_PENALTY = 0.1
_EVEN = [0, 1, 2, 3, 4]
_DEGENERATE = 1e-9
# Share of the rows that lies outside each of the two limits of log p.
_TAIL = 1e-3
_MAX_ENUMERATED = 2**16

Array = NDArray[np.float64]


def max_rows(n_sites: int) -> int:
    """Return how many rows a calibration reads at most."""
    return min(_MAX_ROWS, max(1000, _MAX_BYTES // n_sites))


class Sample(NamedTuple):
    """Configurations and their log p by the network alone."""

    codes: Codes
    log_prob: Array


def drawn_sample(network: Network, n_rows: int, seed: np.random.SeedSequence) -> Sample:
    """Return independent draws of the network, enough to compare with so many rows."""
    n_draws = min(max(_DRAWS_PER_ROW * n_rows, _MIN_DRAWS), _DRAWS_PER_ROW * max_rows(network.n_sites))
    blocks = populations(network, POPULATION, Law(1.0), seed.spawn(-(-n_draws // POPULATION)))
    return Sample(*(np.concatenate([getattr(block, name) for block in blocks]) for name in Sample._fields))


def smooth_calibration(
    network: Network, rows: Sample, drawn: Sample, order: tuple[Array | None, bool], seed: np.random.SeedSequence
) -> tuple[dict[str, Any], Array]:
    """Fit the density ratio of data, the Sample `rows`, to the network's draws.

    `order` is a pair: the weights of the sites in the order parameter (None: the leading component), and whether its
    sign has no effect. Returns the fitted numbers by name; and what each row gains in log-likelihood by numbers that
    were fitted to other rows. Where cross-validation speaks against them, log p stays and gains are zero.
    """
    fold_seed, direction_seed = seed.spawn(2)
    direction, even = order
    states = network.alphabet.vectors
    states = states[:, 0] if states.shape[1] == 1 else states
    if direction is None:
        direction = _leading_direction(states, rows.codes, int(direction_seed.generate_state(1)[0]))
    of_rows, of_draws = (order_parameter(states, each.codes, direction) for each in (rows, drawn))
    scales = _scales(rows.log_prob, drawn.log_prob, of_rows, of_draws, even)
    used = _EVEN if even else list(range(N_FEATURES))
    pairs = (rows.log_prob, of_rows), (drawn.log_prob, of_draws)
    x, y = (np.stack(features(*z, scales), axis=1)[:, used] for z in pairs)

    gains = np.empty(len(x))
    for train, test in KFold(5, shuffle=True, random_state=int(fold_seed.generate_state(1)[0])).split(x):
        gains[test] = _gain(_coefficients(x[train], y), x[test], y)
    gain, gain_error = mean_and_error(gains)
    coef = np.zeros(N_FEATURES + 1)
    if helps := gain >= -2 * gain_error:
        coef[used] = _coefficients(x, y)
    else:
        gains, gain, gain_error = np.zeros(len(x)), 0.0, 0.0
    g = y @ coef[used]
    calibration = Calibration(direction, states, scales, coef, np.zeros((N_NOISE, 0)), np.zeros(0))
    coef[-1], error = _log_normaliser(network, calibration, g) if helps else (0.0, 0.0)
    errors, mean_errors = _errors_of_law(
        calibration, Sample(drawn.codes, drawn.log_prob + g - coef[-1]), g, len(x), even
    )
    return {
        "method": "smooth",
        **vars(replace(calibration, errors=errors, mean_errors=mean_errors)),
        "log_normalizer_error": error,
        "effective_share": effective_share(g),
        "gain": gain,
        "gain_error": gain_error,
        "n_rows": len(x),
    }, gains


def local_calibration(network: Network, energy: TermSum, drawn: Sample) -> tuple[LocalCalibration, float, float]:
    """Return a calibration by a local energy in units of T0, its standard error of ln Z, and the share of draws."""
    if network.n_states**network.n_sites <= _MAX_ENUMERATED:
        codes = enumerate_states(np.arange(network.n_states), network.n_sites).astype(np.int8)
        log_weight, log_norm = -energy.energies(codes), 0.0
    else:
        codes, log_norm = drawn.codes, math.log(len(drawn.codes))
        log_weight = -energy.energies(codes) - drawn.log_prob
    log_sum = float(np.logaddexp.reduce(log_weight))
    means = np.exp(log_weight - log_sum) @ energy.energy_errors(codes)
    calibration = LocalCalibration(energy, log_sum - log_norm, means)
    share = effective_share(calibration(drawn.log_prob, drawn.codes))
    error = 0.0 if log_norm == 0 else math.sqrt(max(0.0, 1 / share - 1) / len(codes))
    return calibration, error, share


def effective_share(log_weight: Array) -> float:
    """Return which share of as many draws of equal weight is as good as draws of these weights."""
    return float(effective_sample_size(log_weight) / len(log_weight))


def mean_and_error(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return the mean of independent numbers and its standard error, nan for fewer than two."""
    if len(values) < 2:
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def _leading_direction(states: Array, codes: Codes, seed: int) -> Array:
    """Return the leading principal component: the sum of states that fluctuates most.

    Each component of vectors counts as a row of its own.
    """
    values = states[codes[: max(1000, _MAX_BYTES // 8 // codes.shape[1] // states[0].size)]]
    values = np.moveaxis(values, 2, 0).reshape(-1, values.shape[1]) if states.ndim > 1 else values
    direction = randomized_svd(values - values.mean(axis=0), 1, random_state=seed)[2][0]
    return direction if direction.sum() >= 0 else -direction


def _scales(log_p: Array, drawn_log_p: Array, order: Array, drawn_order: Array, even: bool) -> Array:
    """Return what standardises log p and order parameter, and where the data end."""
    centre, width = drawn_log_p.mean(), drawn_log_p.std() or 1.0
    low, high = np.quantile((np.append(log_p, drawn_log_p) - centre) / width, [_TAIL, 1 - _TAIL])
    both = np.append(order, drawn_order)
    offset = 0.0 if even else both.mean()
    order_width = math.sqrt(np.mean((both - offset) ** 2)) or 1.0
    top = np.max((both - offset) ** 2) / order_width**2
    return np.array([centre, 1 / width, low, high, offset, 1 / order_width, top])


def _coefficients(x: Array, y: Array) -> Array:
    """Return the weights of the features in the log density ratio of x to y."""
    width = y.std(axis=0)
    width[width <= 1e-12 * np.abs(y).max(axis=0)] = 1.0  # constant, up to rounding
    label = np.repeat([True, False], [len(x), len(y)])
    weight = np.where(label, 1.0, len(x) / len(y))
    regression = LogisticRegression(C=_INVERSE_PENALTY, solver="newton-cholesky", tol=1e-8)
    return regression.fit(np.concatenate([x, y]) / width, label, sample_weight=weight).coef_[0] / width


def _errors_of_law(calibration: Calibration, drawn: Sample, g: Array, n_rows: int, even: bool) -> tuple[Array, Array]:
    """Return ``errors`` and ``mean_errors`` of a calibration from its own log p of draws, which have the weights e^g.

    To the noise of the rows is added that of the draws, to which they are compared.
    """
    moving = [*_EVEN, N_NOISE - 1] if even else list(range(N_NOISE))
    y = calibration.noise_features(drawn.log_prob, drawn.codes)[moving].T
    errors = np.zeros((N_NOISE, len(moving)))
    errors[moving], means = _errors(y, g, 1 / (1 / n_rows + 1 / effective_sample_size(g)))
    return errors, means


def _errors(y: Array, g: Array, n_rows: float) -> tuple[Array, Array]:
    """Return combinations of features that n rows leave uncertain by one standard error each, and their means.

    The law that maximises the likelihood of rows within an exponential family has the means of the features in the
    rows, which vary by covariance / n. So the parameters vary by its inverse, / n. Features y of draws of weight e^g
    give the covariance.
    """
    weight = np.exp(g - g.max())
    weight /= weight.sum()
    width = y.std(axis=0)
    width[width <= 1e-12 * np.abs(y).max(axis=0)] = 1.0  # constant, up to rounding
    z = (y - weight @ y) / width
    values, vectors = np.linalg.eigh(z.T @ (weight[:, None] * z))
    values[values <= _DEGENERATE * values[-1]] = math.inf  # features that coincide, as those of one site do
    errors = vectors / width[:, None] / np.sqrt(n_rows * values)
    return errors, weight @ y @ errors


def _gain(coef: Array, x: Array, y: Array) -> Array:
    """Return what the log-likelihood of each row gains, with the normaliser from the model's draws."""
    g = y @ coef
    return x @ coef - g.max() - math.log(np.exp(g - g.max()).mean())


def _log_normaliser(network: Network, calibration: Calibration, g: Array) -> tuple[float, float]:
    """Return ln <e^g> under the model and its standard error: by enumeration, else from draws."""
    if network.n_states**network.n_sites <= _MAX_ENUMERATED:
        codes = enumerate_states(np.arange(network.n_states), network.n_sites).astype(np.int8)
        network = network.astype(np.float64)
        log_p = np.concatenate([uncalibrated_log_prob(network, codes[rows]) for rows in gen_batches(len(codes), 4096)])
        return float(np.logaddexp.reduce(log_p + calibration(log_p, codes))), 0.0
    weight = np.exp(g - g.max())
    return float(g.max() + math.log(weight.mean())), float(weight.std() / weight.mean() / math.sqrt(len(g)))
