"""Thermal averages at many temperatures."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._montecarlo.sampler import ForeignSampler, ThermalSampler
from .._utils.checks import (
    COLDEST,
    check_field,
    check_flag,
    check_integer,
    check_temperatures,
    check_verbose,
    seed_sequence,
)
from .._utils.names import method_without_names
from .._utils.progress import Progress, ReportingParallel
from .._utils.warn import warn
from .integration import with_entropy
from .measure import Point, Request, assemble, check_observables, measure, merge
from .result import PhaseCurve

_ENOUGH_DRAWS = 50  # fewer make the error of the error bar larger than about 10 %
_R_HAT_LIMIT = 1.05
_N_ERRORS = 6  # no noise violates an inequality by so many standard errors
_SINGLE_PRECISION = 1e-6  # of sums of logits of a network


def phase_curve(
    sampler: Any,
    temperatures: ArrayLike,
    *,
    field: float | ArrayLike = 0.0,
    observables: Mapping[str, Callable[[NDArray], ArrayLike]] | None = None,
    n_samples: int = 10_000,
    method: str = "auto",
    entropy: str | bool = "auto",
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    verbose: int = 0,
) -> PhaseCurve:
    r"""Measure thermal averages of a sampler at a list of temperatures, with standard errors.

    Parameters
    ----------
    sampler : object
        A :class:`ThermalSampler`, such as :class:`IsingSampler` or a fitted :class:`MADEHamiltonian`; a fitted
        Pipeline that ends in one; or any object with ``sample(temperature, n_samples=...)``. The draws of such an
        object count as one Markov chain in their order; ``energy(X)``, ``states_`` and the arguments ``field`` and
        ``random_state`` of its ``sample`` are used if they exist. A list of models that were fitted independently
        gives their mean, with an error that includes their differences.
    temperatures : array-like of shape (n_temperatures,)
        Positive temperatures, in any order.
    field : float or array-like of shape (n_sites,), default=0.0
        External field h added to the system, the same on every site or one for each: weight exp(sum_i h_i s_i / T).
    observables : dict of str to callable, default=None
        Further quantities to average: functions of configurations X (n, n_sites) that return numbers (n,) or
        arrays (n, ...). Averages of arrays have the shape (n_temperatures, ...). X holds 64-bit integers or floats,
        so products do not overflow. A function with a method ``of_averages(averages, temperature)``,
        such as :func:`helicity_modulus`, stands for that function of its averages (n, ...).
    n_samples : int, default=10_000
        Configurations drawn at each temperature.
    method : str, default="auto"
        Method of the sampler, such as those of :meth:`MADEHamiltonian.sample`.
    entropy : "auto" or bool, default="auto"
        Whether to add free energy and entropy if the sampler does not estimate ln Z. They follow from an integral of
        the energy from T = infinity; further temperatures are measured if the integral needs them. "auto" is True
        for local energies.
    n_jobs : int, default=None
        Processes over the temperatures, as in scikit-learn. Results do not depend on it.
    random_state : int, RandomState, Generator or None, default=None
        Seed; every temperature has its own stream.
    verbose : int, default=0
        1 prints a line about every five seconds, with the time left; 2 prints a line at every step.

    Returns
    -------
    PhaseCurve
        For N sites, with m the mean of X over the largest absolute state (the length of the mean vector if X holds
        angles) and averages at temperature T:

        - ``magnetization`` <m>, ``abs_magnetization`` <\|m\|>;
        - ``energy`` <H> / N. The energy of a learned model is relative to F(T0), the free energy at the
          temperature of its data;
        - ``susceptibility`` N (<m^2> - <\|m\|>^2) / T, ``heat_capacity`` var(H) / (N T^2);
        - ``binder_cumulant`` 1 - <m^4> / (3 <m^2>^2);
        - ``free_energy`` F / N = -T ln Z / N and ``entropy`` (ln Z + <H> / T) / N, if the sampler estimates
          ln Z = ln sum_s exp(-H(s) / T) or `entropy` is True. A learned free energy is relative to F(T0), like the
          energy, so the entropy is absolute, in nats.

        Errors are standard errors by jackknife over independent chains, populations or long blocks. Those of a learned
        model also hold the noise of its rows: a local energy knows the errors of its couplings, and a network has them
        by its calibration; without one, errors are those of the draws alone. For a list of models, they are at least
        the error of the mean over the models. The errors do not include bias common to all models, such as that of
        too small a network.

    Raises
    ------
    TypeError
        If `sampler` cannot sample, or an observable is not callable.
    ValueError
        If a temperature is not positive or below 1e-100, an observable is not finite or not given per configuration,
        or models of a list differ in size or in the temperature of their data.

    Warns
    -----
    ConvergenceWarning
        If there are too few draws at some temperatures, chains disagree or are frozen, or draws miss states of low
        energy that draws at another temperature have. With fewer than 10 independent draws the error bars are nan.
    UserWarning
        If a sampler of integers has no `states_`, and its largest state differs between the temperatures; or if the
        states of a model are not symmetric about zero, so that their mean may mean nothing, and no other observable is
        asked for.

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
    if temperatures.min() < COLDEST:
        raise ValueError(f"temperatures must be at least {COLDEST:g}, got {temperatures.min():g}: rescale energies")
    external = check_field(field)
    n_samples = check_integer(n_samples, "n_samples", minimum=1)
    functions = {name: method_without_names(f) for name, f in check_observables(observables).items()}
    request = Request(n_samples, external, method, functions, check_verbose(verbose))
    for one in samplers:
        one._prepare()
    if not functions:
        _warn_of_labels(samplers[0])
    for doubt in {one._doubt(temperatures) for one in samplers}:
        if doubt is not None:
            warn(doubt)
    data_temperature = _data_temperature(samplers)
    if not isinstance(entropy, str) or entropy != "auto":
        check_flag(entropy, "entropy")
    root = seed_sequence(random_state, "phase_curve")
    seeds = root.spawn(len(temperatures))
    progress = Progress(request.verbose, "phase_curve", "temperature", len(temperatures) * len(samplers))
    points = ReportingParallel(n_jobs, progress)(
        delayed(measure)(one, float(T), request, child)
        for T, seed in zip(temperatures, seeds, strict=True)
        for one, child in zip(samplers, seed.spawn(len(samplers)), strict=True)
    )
    each = [points[i :: len(samplers)] for i in range(len(samplers))]
    for i, (one, child) in enumerate(zip(samplers, root.spawn(len(samplers)), strict=True)):
        integrate = one._integrates_entropy if isinstance(entropy, str) else entropy
        if integrate and "entropy" not in each[i][0].observables:
            each[i] = with_entropy(one, temperatures, each[i], request, child)
        _warn_if_units_differ(each[i])
    points = [merge(list(point)) for point in zip(*each, strict=True)]
    parameters = samplers[0]._parameters if len(samplers) == 1 else None
    curve = PhaseCurve(**assemble(points, temperatures, external, data_temperature), parameters=parameters)
    frozen = np.array([point.frozen for point in points])
    _warn_if_frozen(curve, frozen, method)
    short = ~frozen & _is_short(curve)
    _warn_if_too_short(curve, short, n_samples)
    _warn_if_states_are_missed(curve, ~frozen & ~short)
    return curve


def as_sampler(sampler: Any) -> ThermalSampler:
    """Return a ThermalSampler: the object itself, what a Pipeline ends in, or an adapter of a foreign object."""
    last = sampler
    while isinstance(last, (Pipeline, FrozenEstimator)):
        last = last.steps[-1][1] if isinstance(last, Pipeline) else last.estimator
    if isinstance(last, ThermalSampler):
        return last
    if isinstance(last, type) or not callable(getattr(last, "sample", None)):
        raise TypeError(f"sampler must have a method sample(temperature, n_samples=...), got {shown(last)}")
    return ForeignSampler(last, set(inspect.signature(last.sample).parameters))


def shown(model: Any) -> str:
    """Return what an error shows of a model that is no sampler, and which part of it to pass instead."""
    ways = {"to_sampler": "to_sampler()", "best_estimator_": "best_estimator_"}
    # The whole text of a search is long.
    return reprlib.repr(model) + "".join(f": pass its {way}" for name, way in ways.items() if hasattr(model, name))


def _warn_of_labels(sampler: ThermalSampler) -> None:
    states = getattr(sampler, "states_", None)
    if states is None or sampler._are_angles or isinstance(sampler, ForeignSampler):
        return
    if not np.array_equal(states, -np.flip(states)):
        cure = "write them as -1 and 1" if len(states) == 2 else "add your own observable"
        warn(
            f"the magnetization is the mean of the states {reprlib.repr(np.asarray(states).tolist())}, which are not "
            f"symmetric about zero: {cure}. For labels it is observables={{'order': "
            "potts_order_parameter(model.states_)}"
        )


def _data_temperature(samplers: Sequence[ThermalSampler]) -> float | None:
    """Return the temperature of the data of learned models; None without data."""
    T0 = {sampler._data_temperature for sampler in samplers}
    if len(T0) > 1:
        raise ValueError(f"models of one curve must be learned at the same temperature, got {T0}")
    return T0.pop()


def _warn_if_units_differ(points: list[Point]) -> None:
    largest = [point.largest_state for point in points]
    if min(largest) < max(largest):  # false for nan
        warn(
            "the magnetization is in units of the largest state that was drawn, which differs between the "
            f"temperatures, from {min(largest):g} to {max(largest):g}: give the sampler an attribute states_, the "
            "values of a site"
        )


def _warn_if_frozen(curve: PhaseCurve, frozen: NDArray[np.bool_], method: str) -> None:
    if frozen.any():
        warn(
            f"The chains at {_list(curve.temperatures[frozen], len(frozen))}) are frozen, with an acceptance down to "
            f"{100 * np.min(curve.acceptance[frozen]):.2g} %: with method={method!r} they stay near their start; "
            f"method='window' moves several sites at once, 'tempered' needs no chains",
            ConvergenceWarning,
        )


def _is_short(curve: PhaseCurve) -> NDArray[np.bool_]:
    return ~(curve.effective_sample_size >= _ENOUGH_DRAWS) | (curve.r_hat > _R_HAT_LIMIT)


def _warn_if_too_short(curve: PhaseCurve, short: NDArray[np.bool_], n_samples: int) -> None:
    if short.any():
        ess, r_hat = np.min(curve.effective_sample_size[short]), np.fmax.reduce(curve.r_hat[short])
        why = "" if ess >= _ENOUGH_DRAWS else f"; effective sample size down to {ess:.0f} (limit {_ENOUGH_DRAWS})"
        why += f"; r_hat up to {r_hat:.2f} (limit {_R_HAT_LIMIT})" if r_hat > _R_HAT_LIMIT else ""
        warn(
            f"The error bars at {_list(curve.temperatures[short], len(short))}{why}) are not reliable: "
            f"draw more than n_samples={n_samples}, or choose another method",
            ConvergenceWarning,
        )


def _warn_if_states_are_missed(curve: PhaseCurve, reliable: NDArray[np.bool_]) -> None:
    r"""Warn if draws at one temperature show that those at another one miss states of low energy.

    Of all laws, that at T has the least :math:`\langle H \rangle - T S`. So draws at no other temperature may have
    less, and without entropies :math:`\langle H \rangle` grows with T.
    """
    if "energy" not in curve.observables:
        return
    T, (U, dU) = curve.temperatures, map(np.asarray, curve["energy"])
    if "entropy" in curve.observables:
        (S, dS), (F, dF) = (map(np.asarray, curve[name]) for name in ("entropy", "free_energy"))
        with np.errstate(invalid="ignore"):  # T = inf
            others, by_others = U - np.multiply.outer(T, S), np.hypot(dU, np.multiply.outer(T, dS))
            rounding = _SINGLE_PRECISION * (np.max(np.abs(U)) + T * np.max(np.abs(S)))
    else:
        F, dF, by_others, rounding = U, dU, dU, np.full(len(T), _SINGLE_PRECISION * np.max(np.abs(U)))
        others = np.where(T[:, None] < T, U, np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = (F[:, None] - others - rounding[:, None]) / np.hypot(dF[:, None], by_others)
    excess[~(np.outer(reliable, reliable) & (excess > _N_ERRORS))] = 0
    missed = excess.any(axis=1)
    if missed.any():
        witness = T[np.argmax(excess[missed][0])]
        what = "<H> - T S is" if "entropy" in curve.observables else "the energy is"
        warn(
            f"The draws at {_list(T[missed], len(T))}) miss states of low energy, and their error bars are too small: "
            f"{what} smaller in the draws at T = {witness:g}. Choose another method, or a temperature that is closer "
            "to that of the data",
            ConvergenceWarning,
        )


def _list(temperatures: NDArray[np.float64], n: int) -> str:
    some = ", ".join(f"{T:g}" for T in temperatures[:8]) + (", ..." if len(temperatures) > 8 else "")
    return f"{len(temperatures)} of {n} temperatures (T = {some}"
