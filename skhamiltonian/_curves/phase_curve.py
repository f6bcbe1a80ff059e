"""Thermal averages as functions of the temperature, for a true and for a learned system alike."""

import inspect
import math
import warnings
from collections.abc import Mapping

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from .._montecarlo.sampler import Draws, Estimate
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
from .._utils.checks import check_integer, check_number, check_temperatures, seed_sequence
from .result import PhaseCurve

_ENOUGH_DRAWS = 50  # below, the error of the error bar is more than about 10 %
_TOO_FEW_DRAWS = 10  # below, there is no error bar at all
_R_HAT_LIMIT = 1.05
_BUILT_IN = (
    "magnetization",
    "abs_magnetization",
    "energy",
    "susceptibility",
    "heat_capacity",
    "binder_cumulant",
    "free_energy",
    "entropy",
)


def phase_curve(
    sampler,
    temperatures,
    *,
    field=0.0,
    observables=None,
    n_samples=10_000,
    method="auto",
    n_jobs=None,
    random_state=None,
):
    r"""Measure thermal averages of a sampler at a list of temperatures, with standard errors.

    Parameters
    ----------
    sampler : object
        An :class:`IsingSampler`, a fitted :class:`MADEHamiltonian`, a fitted Pipeline that ends in one of
        them, or any object with ``sample(temperature, n_samples=...)``. Such an object's draws are taken as
        one Markov chain in the order given; ``energy(X)``, ``states_`` and the arguments ``field`` and
        ``random_state`` of its ``sample`` are used where they exist. A list of models that were fitted
        independently gives the mean over them, with an error that counts their disagreement.
    temperatures : array-like of shape (n_temperatures,)
        Positive temperatures, in any order.
    field : float, default=0.0
        External field h added to the system: weight exp(h sum_i s_i / T).
    observables : dict of str to callable, default=None
        Further quantities to average: functions of configurations X (n, n_sites) that return (n,) numbers.
    n_samples : int, default=10_000
        Configurations drawn at each temperature.
    method : str, default="auto"
        How a learned model is sampled; see :meth:`MADEHamiltonian.sample`.
    n_jobs : int, default=None
        Processes over the temperatures, as in scikit-learn. Results do not depend on it.
    random_state : int, RandomState, Generator or None, default=None
        Seed; every temperature has its own stream.

    Returns
    -------
    PhaseCurve
        For N sites, with m the mean of X over the largest absolute state and averages at temperature T:

        - ``magnetization`` <m>, ``abs_magnetization`` <\|m\|>;
        - ``energy`` <H> / N. The energy of a learned model is relative to F(T0), the free energy at the
          temperature of its data;
        - ``susceptibility`` N (<m^2> - <\|m\|>^2) / T, ``heat_capacity`` var(H) / (N T^2);
        - ``binder_cumulant`` 1 - <m^4> / (3 <m^2>^2);
        - ``free_energy`` F / N = -T ln Z / N and ``entropy`` (ln Z + <H> / T) / N, where the sampler estimates
          ln Z = ln sum_s exp(-H(s) / T). A learned free energy is relative to F(T0) too, so the entropy is
          absolute, in nats.

        Errors are standard errors by jackknife over independent chains, populations or long blocks and, for a
        list of models, at least that of the mean over the models. What all models share, such as too small a
        network, no error shows.

    Raises
    ------
    TypeError
        If `sampler` cannot sample, or an observable is not callable.
    ValueError
        If a temperature is not positive, an observable does not return one finite number a configuration, or
        models of a list differ in size or in the temperature of their data.

    Warns
    -----
    ConvergenceWarning
        If the draws at some temperatures are too few, or their chains disagree or are frozen. Below 10
        independent draws the error bars are nan.

    Examples
    --------
    >>> from skhamiltonian import IsingSampler, phase_curve
    >>> ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5)
    >>> curve = phase_curve(ising, [2.0, 2.5, 3.0], n_samples=2000, random_state=0)
    >>> value, error = curve["abs_magnetization"]
    >>> bool(abs(value[1] - 0.76471239) < 4 * error[1])
    True
    """
    samplers = [as_sampler(one) for one in (sampler if isinstance(sampler, (list, tuple)) else [sampler])]
    temperatures = check_temperatures(temperatures, ndim=1)
    if not (len(temperatures) and len(samplers)):
        raise ValueError(f"there must be a temperature and a sampler, got temperatures={temperatures!r}, {sampler!r}")
    field = check_number(field, "field", include_low=False, include_high=False)
    functions = _check_observables(observables)
    n_samples = check_integer(n_samples, "n_samples", minimum=1)
    data_temperature = _data_temperature(samplers)
    seeds = seed_sequence(random_state, "phase_curve").spawn(len(temperatures))
    points = Parallel(n_jobs=n_jobs)(
        delayed(_measure)(one, float(T), field, functions, n_samples, method, child)
        for T, seed in zip(temperatures, seeds, strict=True)
        for one, child in zip(samplers, seed.spawn(len(samplers)), strict=True)
    )
    points = [_merge(points[i : i + len(samplers)]) for i in range(0, len(points), len(samplers))]
    curve = _assemble(points, temperatures, field, data_temperature)
    frozen = np.array([point["frozen"] for point in points])
    if frozen.any():
        warnings.warn(
            f"The chains at {_list(temperatures[frozen], len(frozen))}) are frozen, with an acceptance down to "
            f"{100 * np.min(curve.acceptance[frozen]):.2g} %: method={method!r} adds nothing to where they start; "
            f"method='window' moves several sites at once, 'tempered' needs no chains",
            ConvergenceWarning,
            stacklevel=2,
        )
    _warn_if_too_short(curve, ~frozen, n_samples)
    return curve


def as_sampler(sampler):
    """Return the last step of a Pipeline, or `sampler` itself, if it can sample."""
    last = sampler.steps[-1][1] if isinstance(sampler, Pipeline) else sampler
    if isinstance(last, type) or not callable(getattr(last, "sample", None)):
        raise TypeError(f"sampler must have a method sample(temperature, n_samples=...), got {last!r}")
    return last


def _check_observables(observables):
    if observables is None:
        return {}
    if not isinstance(observables, Mapping):
        raise TypeError(f"observables must be a dict of names and functions of X, got {observables!r}")
    for name, function in observables.items():
        if not isinstance(name, str) or not callable(function):
            raise TypeError(f"observables must map names to functions of X, got {name!r}: {function!r}")
        if name in _BUILT_IN:
            raise ValueError(f"observables has {name!r}, which is measured already: choose another name")
    return dict(observables)


def _data_temperature(samplers):
    """Return the temperature of the data behind learned models; None where there is none."""
    T0 = {
        float(getattr(sampler, "temperature_", sampler.temperature)) if hasattr(sampler, "_support") else None
        for sampler in samplers
    }
    if len(T0) > 1:
        raise ValueError(f"models of one curve must be learned at the same temperature, got {T0}")
    return T0.pop()


def _measure(sampler, T, field, functions, n_samples, method, seed):
    """Return estimates and diagnostics at one temperature."""
    draws = _draw(sampler, T, n_samples, field, method, seed)
    n_chains, n_draws, n_sites = draws.configurations.shape
    weight = normalised_weights(draws)
    series = _series(draws, weight, _largest_state(sampler, draws.configurations), functions)
    slow = [name for name in ("abs_m", "E", *functions) if name in series]  # <m> = 0 needs no chain to flip its sign
    tau = math.inf if draws.log_partition is not None else max(autocorrelation_time(series[name]) for name in slow)
    starts = unit_starts(n_chains, n_draws, tau)  # a population shares ancestors and is never cut
    mean = {name: leave_one_out(values, weight, starts) for name, values in series.items()}
    if draws.log_partition is not None:
        mean["log_z"] = log_mean_leave_one_out(np.asarray(draws.log_partition, dtype=float))
    with np.errstate(invalid="ignore", divide="ignore"):  # F(T = inf), and the cumulant of m = 0
        replicates = _observables(mean, T, n_sites) | {name: mean[name] for name in functions}
        estimates = {name: jackknife(values) for name, values in replicates.items()}
    ess = min(effective_sample_size(series[name], weight, starts) for name in slow)
    if not ess >= _TOO_FEW_DRAWS:
        estimates = {name: Estimate(value, math.nan) for name, (value, _) in estimates.items()}
    return {
        "observables": estimates,
        "effective_sample_size": ess,
        "r_hat": max(r_hat(series[name], weight) for name in slow),
        "support": sampler._support(T, field, seed.spawn(1)[0]) if hasattr(sampler, "_support") else math.nan,
        "acceptance": draws.acceptance,
        "frozen": draws.frozen,
        "n_sites": n_sites,
    }


def _draw(sampler, T, n_samples, field, method, seed):
    """Return Draws from a sampler of ours, or the plain samples of another as one chain."""
    if hasattr(sampler, "_draw"):
        return sampler._draw(T, n_samples, field=field, method=method, seed=seed)
    if method != "auto":
        raise ValueError(f"method must be 'auto' for {type(sampler).__name__}, got {method!r}")
    accepted = inspect.signature(sampler.sample).parameters
    options = {"random_state": int(seed.generate_state(1)[0])} if "random_state" in accepted else {}
    if field:
        if "field" not in accepted:
            raise ValueError(f"{type(sampler).__name__}.sample has no argument field, got field={field!r}")
        options["field"] = field
    X = np.asarray(sampler.sample(T, n_samples=n_samples, **options))
    energy = np.asarray(sampler.energy(X))[None] - field * X.sum(axis=1) if hasattr(sampler, "energy") else None
    return Draws(X[None], energy)


def _largest_state(sampler, configurations):
    states = getattr(sampler, "states_", None)
    return np.max(np.abs(configurations if states is None else np.asarray(states, dtype=float))) or 1


def _series(draws, weight, largest_state, functions):
    """Return what is averaged, each (n_chains, n_draws)."""
    X = draws.configurations
    m = X.mean(axis=2, dtype=float) / largest_state
    series = {"m": m, "abs_m": np.abs(m), "m2": m**2, "m4": m**4}
    if draws.energy is not None:
        E = np.asarray(draws.energy, dtype=float)
        series |= {"E": E, "dE2": (E - (weight * E).sum()) ** 2}
    for name, function in functions.items():
        values = np.asarray(function(X.reshape(-1, X.shape[2])), dtype=float)
        if values.shape != (m.size,):
            raise ValueError(
                f"observable {name!r} must return one number a configuration, shape {(m.size,)}, got {values.shape}"
            )
        series[name] = values.reshape(m.shape)
    for name, values in series.items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"observable {name!r} is not finite: {values[~np.isfinite(values)][0]} for some configuration"
            )
    return series


def _observables(mean, T, N):
    """Return the built-in observables as functions of the averages that are known."""
    m, abs_m, m2, m4 = (mean[name] for name in ("m", "abs_m", "m2", "m4"))
    values = {
        "magnetization": m,
        "abs_magnetization": abs_m,
        "susceptibility": N * (m2 - abs_m**2) / T,
        "binder_cumulant": 1 - m4 / (3 * m2**2),
    }
    if "E" in mean:
        E, variance = mean["E"], mean["dE2"] - (mean["E"] - mean["E"][0]) ** 2
        values |= {"energy": E / N, "heat_capacity": variance / (N * T**2)}
    if "log_z" in mean:
        log_z = mean["log_z"]
        values |= {"free_energy": -T * log_z / N, "entropy": (log_z + E / T) / N}
    return values


def _merge(points):
    """Return the point of the mean over models that were fitted independently: they are the units of its error."""
    if len(points) == 1:
        return points[0]
    n_sites = {point["n_sites"] for point in points}
    if len(n_sites) > 1:
        raise ValueError(f"models of one curve must have the same number of sites, got {n_sites}")
    observables, spread = {}, {}
    for name in points[0]["observables"]:
        value, error = np.transpose([point["observables"][name] for point in points])
        n = len(value)
        between = jackknife(np.append(value.mean(), (value.sum() - value) / (n - 1))).error
        observables[name] = Estimate(value.mean(), np.maximum(between, math.hypot(*error) / n))
        spread[name] = value.std(ddof=1)
    diagnostics = {
        name: summary([point[name] for point in points])
        for name, summary in {
            "effective_sample_size": sum,
            "r_hat": max,
            "support": min,
            "acceptance": np.mean,
            "frozen": any,
        }.items()
    }
    return diagnostics | {"observables": observables, "spread": spread, "n_sites": n_sites.pop()}


def _assemble(points, temperatures, field, data_temperature):
    """Turn one dict a temperature into one PhaseCurve; what a temperature does not know is nan."""
    known = {name: None for point in points for name in point["observables"]}
    names = sorted(known, key=lambda name: _BUILT_IN.index(name) if name in _BUILT_IN else len(_BUILT_IN))
    unknown = Estimate(math.nan, math.nan)
    observables = {
        name: Estimate(*np.transpose([point["observables"].get(name, unknown) for point in points])) for name in names
    }
    diagnostics = {
        name: np.array([point[name] for point in points], dtype=float)
        for name in ("effective_sample_size", "r_hat", "support", "acceptance")
    }
    spread = None
    if "spread" in points[0]:
        spread = {name: np.array([point["spread"].get(name, math.nan) for point in points]) for name in names}
    n_sites = points[0]["n_sites"]
    return PhaseCurve(
        temperatures,
        observables,
        **diagnostics,
        n_sites=n_sites,
        field=field,
        data_temperature=data_temperature,
        spread=spread,
    )


def _warn_if_too_short(curve, unfrozen, n_samples):
    ess, rhat = curve.effective_sample_size, curve.r_hat
    short = unfrozen & (~(ess >= _ENOUGH_DRAWS) | (rhat > _R_HAT_LIMIT))
    if short.any():
        warnings.warn(
            f"The error bars at {_list(curve.temperatures[short], len(short))}; "
            f"effective sample size down to {np.min(ess[short]):.0f}, wanted {_ENOUGH_DRAWS}; "
            f"r_hat up to {np.fmax.reduce(rhat[short]):.2f}, wanted {_R_HAT_LIMIT}) are not to be trusted: "
            f"draw more than n_samples={n_samples}, or choose another method",
            ConvergenceWarning,
            stacklevel=3,
        )


def _list(temperatures, n):
    some = ", ".join(f"{T:g}" for T in temperatures[:8]) + (", ..." if len(temperatures) > 8 else "")
    return f"{len(temperatures)} of {n} temperatures (T = {some}"
