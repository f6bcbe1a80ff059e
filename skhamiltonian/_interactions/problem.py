"""From the parameters of InteractionExpansion to its operators, and to the problem that its couplings solve."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._lattice.checks import check_sites
from .._montecarlo.statistics import log_sum_exp
from .._utils.checks import check_choice, refuse_misread
from .._utils.configurations import check_counts, check_groups
from .._utils.memory import room
from .._utils.names import rows_for, without_names
from .._utils.repeatable import check_repeatable
from .operators import FAMILIES, Geometry, Operator, lattice_operators, operator_sums
from .projection import Floats, Problem, contrast, project
from .translation import own_operator

LARGEST_POWER = 4
_MATRICES = 4  # matrices of the size of the covariance that a fit holds at once
_ROUNDING = 1e-7  # an operator whose share in the energy is smaller counts as absent


class Asked(NamedTuple):
    """The arguments of `fit`: y, the rows with their names, the seed of draws, and the energies of a projection."""

    y: Any
    rows: Any
    seed: np.random.SeedSequence | None = None
    energies: Floats | None = None  # (n_samples, n_models)


def projection(operators: Sequence[Operator], X: NDArray, asked: Asked, weight: Floats) -> Problem:
    """Return the problem of least squares on the energies of X."""
    energies = asked.energies
    assert energies is not None
    mean = energies.mean(axis=1)
    rounding = _ROUNDING * math.sqrt(np.average((mean - np.average(mean, weights=weight)) ** 2, weights=weight))
    estimate = partial(project, energies=energies, weight=weight, errors=energy_errors(asked.y, X))
    return Problem(operator_sums(X, operators), weight, estimate, rounding, weight.sum())


def contrastive(operators: Sequence[Operator], X: NDArray, asked: Asked, weight: Floats) -> Problem:
    """Return the problem of separating X from as many draws of the models."""
    y, rows, seed, _ = asked
    models = list(y) if isinstance(y, (list, tuple)) else [y]
    for model in models:
        if not all(hasattr(model, name) for name in ("score_samples", "sample", "temperature_")):
            wanted = "a fitted model with score_samples, sample and temperature_, such as MADEHamiltonian, or a list of"
            raise TypeError(f"y must be {wanted} them for method='contrastive', got {model!r}")
    temperatures = {float(model.temperature_) for model in models}
    if len(temperatures) != 1:
        raise ValueError(f"y must be models of data at one temperature, got {sorted(temperatures)}")
    (T0,) = temperatures
    seeds = [None] * len(models) if seed is None else seed.generate_state(len(models)).tolist()
    n_each = -(-len(X) // len(models))
    parts = [model.sample(n_samples=n_each, random_state=one) for model, one in zip(models, seeds, strict=True)]
    draws = np.concatenate(parts)
    both = np.concatenate([X, draws])
    log_p = [[m.score_samples(rows_for(m, rows, X)), without_names(m).score_samples(draws)] for m in models]
    log_q = log_sum_exp(np.stack([np.concatenate(one) for one in log_p]), axis=0) - math.log(len(models))
    everyone = np.append(weight, np.ones(len(both) - len(X)))
    from_data = np.arange(len(both)) < len(X)
    estimate = partial(contrast, log_q=log_q, from_data=from_data, temperature=T0, weight=everyone)
    values, rounding = operator_sums(both, operators), _ROUNDING * T0 * log_q.std()
    return Problem(values, everyone, estimate, rounding, weight.sum())


PROBLEMS = {"projection": projection, "contrastive": contrastive}
METHODS = (*PROBLEMS, "pseudolikelihood")


def weighted_rows(
    rows: Any, X: NDArray, y: Any, sample_weight: ArrayLike | None, groups: ArrayLike | None = None
) -> tuple[Any, NDArray, Any, Floats, NDArray[np.intp] | None]:
    """Return the rows with a positive weight: as the user gave them, as X, their y, weights and groups."""
    group = check_groups(groups, len(X))
    counts = check_counts(sample_weight, len(X))
    if counts is None:
        return rows, X, y, np.ones(len(X)), group
    weight = counts.astype(np.float64)
    if weight.all():
        return rows, X, y, weight, group
    if y is not None and is_noisy(y):
        check_consistent_length(X, y)
        refuse_misread(y, "y")
        y = np.asarray(y)[weight > 0]
    group = None if group is None else check_groups(group[weight > 0], int((weight > 0).sum()))
    return _safe_indexing(rows, np.flatnonzero(weight)), X[weight > 0], y, weight[weight > 0], group


def energies_of(y: Any, X: NDArray, rows: Any) -> Floats:
    """Return the energies of X by every model, (n_samples, n_models)."""
    if y is None:
        raise ValueError("this method requires y to be passed, but the target y is None: give energies of X or a model")
    energies = [_energy(one, X, rows) if _is_model(one) else one for one in (y if _are_models(y) else [y])]
    for energy in energies:
        refuse_misread(energy, "energies")
    columns = [column_or_1d(energy, dtype=np.float64, warn=True) for energy in energies]
    check_consistent_length(X, *columns)
    for column in columns:
        if not np.isfinite(column).all():
            bad = np.flatnonzero(~np.isfinite(column))[0]
            raise ValueError(f"energies must be finite, got {column[bad]} in row {bad}")
    return np.stack(columns, axis=1)


def energy_errors(y: Any, X: NDArray) -> Floats:
    """Return the changes of the energies by one standard error of each parameter of the model, (n_samples, n).

    There are none if the errors of y are unknown, or if y is several models, whose spread holds them.
    """
    owners = _owners(y)
    known = getattr(owners[0], "_energy_errors_of", None) if len(owners) == 1 else None
    errors = None if known is None else known(X)
    return np.zeros((len(X), 0)) if errors is None else errors


def is_noisy(y: Any) -> bool:
    """Return whether y holds numbers, which may have noise; a function has none."""
    return not _is_model(y) and not _are_models(y)


def refuse_models_of_other_rows(y: Any) -> None:
    """Raise an error if y is, or holds, a model of angles, a Pipeline, whose model sees other rows, or a search."""
    for owner in _owners(y):
        if isinstance(owner, Pipeline):
            raise TypeError(
                "y must be a model of the rows in X, got a Pipeline: pass pipe[:-1].transform(X) and pipe[-1]"
            )
        if hasattr(owner, "best_estimator_"):
            raise TypeError(f"y must be a model, got {type(owner).__name__}: pass its best_estimator_")
        if getattr(owner, "_are_angles", False):
            raise ValueError(
                "y must not be a model of angles, because operators are products of the values in X, got "
                f"{type(owner).__name__}: fit LocalHamiltonian(states='angle') to the rows, whose couplings are those "
                "of cosines"
            )


def temperature_of(y: Any) -> float:
    """Return the temperature of a model or of several; nan if it is unknown, or they differ."""
    owners = [owner for owner in _owners(y) if _is_model(owner)]
    found = {getattr(owner, "temperature_", getattr(owner, "temperature", None)) for owner in owners}
    (only,) = found if len(found) == 1 else (None,)
    return float(only) if isinstance(only, numbers.Real) else math.nan


def _owners(y: Any) -> list[Any]:
    """Return the models, each also if only its method is given."""
    return [getattr(model, "__self__", model) for model in (y if _are_models(y) else [y])]


def _is_model(y: Any) -> bool:
    return callable(y) or callable(getattr(y, "energy", None))


def _are_models(y: Any) -> bool:
    return isinstance(y, (list, tuple)) and len(y) > 0 and all(map(_is_model, y))


def _energy(model: Any, X: NDArray, rows: Any) -> Any:
    energy = model.energy if callable(getattr(model, "energy", None)) else model
    return energy(rows_for(energy, rows, X))


def check_states(states: NDArray, symmetries: Sequence[str]) -> None:
    """Raise ValueError if a symmetry flips the states of X, and they cannot be flipped."""
    if "spin-flip" in symmetries and 0 in states and states.min() >= 0:
        raise ValueError(f"'spin-flip' needs states symmetric about zero, such as 2 * X - 1, got {states[:8].tolist()}")


def operators_of(wanted: Any, geometry: Geometry, on_lattice: bool) -> list[Operator]:
    """Return the operators that the parameter `operators` names, of all families for "auto"."""
    entries, shape = wanted, geometry.shape
    check_repeatable(entries, "operators")
    if isinstance(entries, str) and entries == "auto":
        entries = FAMILIES if on_lattice else FAMILIES[:2]
    if not isinstance(entries, (list, tuple)):
        raise TypeError(f"operators must be 'auto' or a list of names and (name, sites), got {entries!r}")
    operators: list[Operator] = []
    if not on_lattice and "pairs" in [entry for entry in entries if isinstance(entry, str)]:
        check_couplings(math.prod(shape) * (math.prod(shape) - 1) // 2)
    for entry in entries:
        if isinstance(entry, str):
            check_choice(entry, "each of operators", FAMILIES if on_lattice else FAMILIES[:2])
            found = lattice_operators(entry, geometry)
            operators += found if on_lattice else [one._replace(distance=math.nan, patterns=()) for one in found]
        elif isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str):
            name, sites = entry[0], check_sites(entry[1], math.prod(shape), "operators")
            plain = Operator(name, sites, math.nan)
            operators.append(own_operator(name, sites, shape, geometry.periodic) if on_lattice else plain)
        else:
            raise TypeError(f"each of operators must be a name or (name, sites), got {entry!r}")
    if not operators:
        raise ValueError(f"operators must name at least one that exists on {shape}, got {wanted!r}")
    check_couplings(len(operators))
    return operators


def check_couplings(n_couplings: int) -> None:
    """Raise MemoryError if the covariance of so many couplings does not fit into memory."""
    n_bytes = _MATRICES * 8 * n_couplings**2
    if n_bytes > room():
        raise MemoryError(
            f"{n_couplings} couplings have a covariance of shape ({n_couplings}, {n_couplings}), and {_MATRICES} such "
            f"matrices need {n_bytes / 2**30:,.0f} GiB: reduce the number of couplings by lattice_shape, a smaller "
            "max_distance, fewer operators, or symmetries"
        )
