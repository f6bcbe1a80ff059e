"""Estimates and diagnostics of one temperature, and their assembly to a curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.draws import Draws, Estimate
from .._montecarlo.order_parameter import mean_state
from .._montecarlo.sampler import ThermalSampler
from .._montecarlo.statistics import (
    autocorrelation_time,
    effective_sample_size,
    jackknife,
    leave_one_out,
    log_mean_leave_one_out,
    normalised_weights,
    r_hat,
    unit_starts,
)
from .._utils.checks import refuse_misread
from .._utils.configurations import wide

_TOO_FEW_DRAWS = 10  # fewer have no error bar
ROUNDING = 1e-14  # relative error of sums over many sites
Floats = NDArray[np.float64]
BUILT_IN = (
    "magnetization",
    "abs_magnetization",
    "energy",
    "susceptibility",
    "heat_capacity",
    "binder_cumulant",
    "free_energy",
    "entropy",
)
DIAGNOSTICS = ("effective_sample_size", "r_hat", "support", "acceptance")


@dataclass(frozen=True)
class Request:
    """The measurement to make at every temperature."""

    n_samples: int
    field: float | np.ndarray
    method: str
    functions: Mapping[str, Callable]
    verbose: int = 0


@dataclass(frozen=True)
class Point:
    """Averages and diagnostics at one temperature."""

    observables: dict[str, Estimate]
    n_sites: int
    effective_sample_size: float
    r_hat: float
    support: float = math.nan
    acceptance: float = math.nan
    frozen: bool = False
    largest_state: float = math.nan  # the unit of the magnetization of integers, without `states_`
    spread: dict[str, Any] | None = None
    # Changes by one standard error of each parameter of the energy, of observables that are one number.
    parameter_shifts: dict[str, Floats] = field(default_factory=dict)

    def parameter_error(self, name: str) -> float:
        """Return the part of an error that is common to all temperatures."""
        return float(np.linalg.norm(self.parameter_shifts.get(name, 0.0)))


def check_observables(observables: Any) -> dict[str, Callable]:
    """Return the functions by name; raise TypeError for anything else, and ValueError for a name that is taken."""
    if observables is None:
        return {}
    if not isinstance(observables, Mapping):
        raise TypeError(f"observables must be a dict of names and functions of X, got {observables!r}")
    parts = {f"{name}_{part}" for name in (*BUILT_IN, *observables) for part in ("error", "spread")}
    for name, function in observables.items():
        if not isinstance(name, str) or not callable(function):
            raise TypeError(f"observables must map names to functions of X, got {name!r}: {function!r}")
        if name in BUILT_IN:
            raise ValueError(f"observables has {name!r}, which is a built-in observable: choose another name")
        if name in {"temperature", *DIAGNOSTICS, *parts}:
            raise ValueError(f"observables has {name!r}, which is another column of a PhaseCurve: choose another name")
    return dict(observables)


def measure(sampler: ThermalSampler, T: float, request: Request, seed: np.random.SeedSequence) -> Point:
    """Return averages and diagnostics of a sampler at one temperature."""
    draws = sampler.draws(T, n_samples=request.n_samples, field=request.field, method=request.method, random_state=seed)
    support = sampler._support(T, request.field, seed.spawn(1)[0])
    point = estimate(draws, request.functions, T, sampler._magnetization)
    X = draws.configurations
    if X.dtype.kind == "f" or getattr(sampler, "states_", None) is not None:
        return replace(point, support=support)
    return replace(point, support=support, largest_state=max(abs(float(X.min())), abs(float(X.max()))))


def estimate(draws: Draws, functions: Mapping[str, Callable], T: float, magnetization: Callable = mean_state) -> Point:
    """Return the averages of draws, with errors and diagnostics."""
    n_sites = draws.configurations.shape[2]
    weight = normalised_weights(draws)
    series = _built_in_series(draws, weight, magnetization(draws.configurations))
    vectors = {name: _values(name, function, draws) for name, function in functions.items()}
    scalars = {(name, i): x for name, values in vectors.items() for i, x in enumerate(_columns(values))}
    # The sign of m is left out: by symmetry, <m> = 0 although no chain flips its sign.
    slow = [series[name] for name in ("abs_m", "E") if name in series] + list(scalars.values())
    starts = _starts(draws, slow)
    mean = {name: leave_one_out(x, weight, starts) for name, x in (series | scalars).items()}
    # The sign of m may flip more rarely than all else changes.
    mean["m"] = leave_one_out(series["m"], weight, _starts(draws, [*slow, series["m"]]))
    if draws.log_partition is not None:
        mean["log_z"] = log_mean_leave_one_out(np.asarray(draws.log_partition, dtype=float))
    with np.errstate(invalid="ignore", divide="ignore"):  # F(T = inf), and the cumulant of m = 0
        estimates = {name: jackknife(x) for name, x in _observables(mean, T, n_sites).items()}
    shifts: dict[str, Floats] = {}
    if draws.energy is not None and draws.energy_errors is not None:
        shifted = shifted_means(series, scalars, weight, np.asarray(draws.energy_errors, dtype=float), T)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # T = inf
            shifts = {name: _shifts(x) for name, x in _observables(shifted, T, n_sites).items()}
        estimates = {name: _with_error(x, float(np.linalg.norm(shifts[name]))) for name, x in estimates.items()}
    if "entropy" in estimates:  # ln Z + <H> / T is a small difference at a low temperature
        by_rounding = ROUNDING * float(np.max(np.abs(series["E"]))) / T / n_sites
        estimates["entropy"] = _with_error(estimates["entropy"], by_rounding)
    for name, values in vectors.items():
        averages = np.stack([mean[name, i] for i in range(len(_columns(values)))], axis=-1)
        estimate = _of_averages(functions[name], averages.reshape(-1, *values.shape[2:]), T)
        if shifts:
            averages = np.stack([shifted[name, i] for i in range(len(_columns(values)))], axis=-1)
            each = _shifts(_of_units(functions[name], averages.reshape(-1, *values.shape[2:]), T))
            estimate = Estimate(estimate.value, np.hypot(estimate.error, np.linalg.norm(each, axis=0))[()])
            shifts |= {name: each} if each.ndim == 1 else {}
        estimates[name] = estimate
    ess = min(effective_sample_size(x, weight, starts) for x in slow)
    if not ess >= _TOO_FEW_DRAWS:
        estimates = {name: Estimate(value, np.full_like(value, math.nan)[()]) for name, (value, _) in estimates.items()}
    disagreement = max(r_hat(x, weight) for x in slow)
    diagnostics: dict[str, Any] = {"acceptance": draws.acceptance, "frozen": draws.frozen}
    return Point(estimates, n_sites, ess, disagreement, parameter_shifts=shifts, **diagnostics)


def shifted_means(series: dict, scalars: dict, weight: Floats, energy_errors: Floats, T: float) -> dict[Any, Floats]:
    r"""Return every average, then its value at one standard error of each parameter above and below.

    With :math:`\phi = \partial H / \partial \theta`, an average changes by :math:`d\langle A \rangle / d\theta =
    \langle \partial A / \partial \theta \rangle - \mathrm{cov}(A, \phi) / T`, and :math:`d \ln Z / d\theta = -\langle
    \phi \rangle / T`.
    """
    phi = np.moveaxis(energy_errors, 2, 0)
    mean_phi = (weight * phi).sum(axis=(1, 2))
    centred = phi - mean_phi[:, None, None]
    change = {name: -(centred * (weight * x)).sum(axis=(1, 2)) / T for name, x in (series | scalars).items()}
    mean = {name: (weight * x).sum() for name, x in (series | scalars).items()}
    if "E" in series:
        change["E"] += mean_phi
        change["dE2"] += 2 * (weight * (series["E"] - mean["E"]) * phi).sum(axis=(1, 2))
    mean["log_z"], change["log_z"] = 0.0, -mean_phi / T
    return {name: np.concatenate([[mean[name]], mean[name] + d, mean[name] - d]) for name, d in change.items()}


def _shifts(x: Floats) -> Floats:
    """Return the change of a value by each parameter, (n_parameters, ...): half the difference of above and below."""
    n = len(x) // 2
    return (x[1 : n + 1] - x[n + 1 :]) / 2


def _with_error(estimate: Estimate, error: float) -> Estimate:
    return Estimate(estimate.value, math.hypot(estimate.error, error))


def _of_averages(function: Callable, averages: Floats, T: float) -> Estimate:
    """Return an observable with its error from its averages over all units, and without each unit."""
    averages = _of_units(function, averages, T)
    each = [jackknife(x) for x in averages.reshape(len(averages), -1).T]
    return Estimate(*(np.reshape(part, averages.shape[1:])[()] for part in zip(*each, strict=True)))


def _of_units(function: Callable, averages: Floats, T: float) -> Floats:
    """Return an observable for each row of averages."""
    return np.asarray(function.of_averages(averages, T), dtype=float) if hasattr(function, "of_averages") else averages


def _starts(draws: Draws, slow: list[Floats]) -> NDArray[np.intp]:
    """Return the first draws of the independent units: chains, blocks of chains, or populations."""
    n_chains, n_draws = draws.configurations.shape[:2]
    tau = math.inf if draws.log_partition is not None else max(autocorrelation_time(x) for x in slow)
    return unit_starts(n_chains, n_draws, tau)


def _built_in_series(draws: Draws, weight: Floats, m: Floats) -> dict[str, Floats]:
    """Return the series that built-in observables average, each (n_chains, n_draws)."""
    _finite("magnetization", m)
    abs_m = np.abs(m)
    series = {"m": m, "abs_m": abs_m, "dm2": _squared_deviations(abs_m, weight), "m2": m**2, "m4": m**4}
    if draws.energy is not None:
        refuse_misread(draws.energy, "energy")
        E = _finite("energy", draws.energy)
        series |= {"E": E, "dE2": _squared_deviations(E, weight)}
    return series


def _squared_deviations(x: Floats, weight: Floats) -> Floats:
    """Return squared deviations from the mean; those within rounding are 0, because a tiny T divides them."""
    d = x - (weight * x).sum()
    d[np.abs(d) <= ROUNDING * np.max(np.abs(x))] = 0.0
    return d**2


def _values(name: str, function: Callable, draws: Draws) -> np.ndarray:
    """Return an observable of every configuration, (n_chains, n_draws, ...)."""
    n_chains, n_draws, n_sites = draws.configurations.shape
    X = draws.configurations.reshape(-1, n_sites)
    values = function(wide(X))
    refuse_misread(values, f"observable {name!r}")
    values = np.asarray(values)
    if values.ndim == 0 or len(values) != len(X) or not values.size:
        raise ValueError(
            f"observable {name!r} must return one number or array per configuration, "
            f"shape ({len(X)}, ...), got {values.shape}"
        )
    return _finite(name, values.reshape(n_chains, n_draws, *values.shape[1:]))


def _finite(name: str, values: Any) -> Floats:
    """Return numbers as floats; raise ValueError if one is not finite."""
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError(f"observable {name!r} must be finite, got {values[~np.isfinite(values)][0]}")
    return values


def _columns(values: Floats) -> Floats:
    """Return the components of an observable, each (n_chains, n_draws)."""
    return np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)


def _observables(mean: Mapping[Any, Floats], T: float, N: int) -> dict[str, Floats]:
    """Return the built-in observables, computed from the averages."""
    m, abs_m, m2, m4 = (mean[name] for name in ("m", "abs_m", "m2", "m4"))
    values = {
        "magnetization": m,
        "abs_magnetization": abs_m,
        "susceptibility": N * (mean["dm2"] - (abs_m - abs_m[0]) ** 2) / T,
        "binder_cumulant": 1 - m4 / (3 * m2**2),
    }
    if "E" in mean:
        E, variance = mean["E"], mean["dE2"] - (mean["E"] - mean["E"][0]) ** 2
        values |= {"energy": E / N, "heat_capacity": variance / N / T / T}  # T^2 may overflow
    if "log_z" in mean:
        log_z = mean["log_z"]
        values["free_energy"] = -T * log_z / N
        if "E" in mean:
            values["entropy"] = (log_z + E / T) / N
    return values


def merge(points: list[Point]) -> Point:
    """Return the mean over models that were fitted independently, with an error from their differences."""
    if len(points) == 1:
        return points[0]
    n_sites = {point.n_sites for point in points}
    if len(n_sites) > 1:
        raise ValueError(f"models of one curve must have the same number of sites, got {n_sites}")
    observables, spread, n = {}, {}, len(points)
    for name in points[0].observables:
        value, error = (np.stack(part) for part in zip(*(point.observables[name] for point in points), strict=True))
        mean = value.mean(axis=0)
        others = (value.sum(axis=0) - value) / (n - 1)
        between = np.reshape(
            [jackknife(x).error for x in np.concatenate([[mean], others]).reshape(n + 1, -1).T], mean.shape
        )
        observables[name] = Estimate(mean, np.maximum(between, np.linalg.norm(error, axis=0) / n))
        spread[name] = value.std(axis=0, ddof=1)
    return Point(
        observables,
        n_sites.pop(),
        effective_sample_size=sum(point.effective_sample_size for point in points),
        r_hat=float(np.fmax.reduce([point.r_hat for point in points])),  # nan is unknown
        support=float(np.fmin.reduce([point.support for point in points])),
        acceptance=float(np.mean([point.acceptance for point in points])),
        frozen=any(point.frozen for point in points),
        spread=spread,
    )


def assemble(
    points: list[Point], temperatures: Floats, field: float | np.ndarray, data_temperature: float | None
) -> dict[str, Any]:
    """Return the fields of a PhaseCurve; an observable that is unknown at a temperature is nan there."""
    n_sites = {point.n_sites for point in points}
    if len(n_sites) > 1:
        raise ValueError(f"configurations of one curve must have the same number of sites, got {sorted(n_sites)}")
    known = {name: value for point in points for name, (value, _) in point.observables.items()}
    names = sorted(known, key=lambda name: BUILT_IN.index(name) if name in BUILT_IN else len(BUILT_IN))

    def stack(each: list[dict], part: Callable) -> dict[str, np.ndarray]:
        unknown = {name: np.full(np.shape(known[name]), math.nan) for name in names}
        return {name: np.stack([part(one[name]) if name in one else unknown[name] for one in each]) for name in names}

    value, error = (stack([point.observables for point in points], lambda pair, k=k: pair[k]) for k in (0, 1))
    diagnostics = {name: np.array([getattr(point, name) for point in points], dtype=float) for name in DIAGNOSTICS}
    spread = [point.spread for point in points if point.spread is not None]
    return {
        "temperatures": temperatures,
        "observables": {name: Estimate(value[name], error[name]) for name in names},
        **diagnostics,
        "n_sites": n_sites.pop(),
        "field": field,
        "data_temperature": data_temperature,
        "spread": stack(spread, lambda x: x) if spread else None,
        "parameter_shifts": _joined_shifts(points, names),
    }


def _joined_shifts(points: list[Point], names: list[str]) -> dict[str, Floats] | None:
    """Return the changes of measured observables by each parameter, (n_temperatures, n_parameters)."""
    each = [point.parameter_shifts for point in points]
    return {name: np.stack([one[name] for one in each]) for name in names if name in each[0]} if all(each) else None
