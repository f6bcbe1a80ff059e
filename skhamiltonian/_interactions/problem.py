"""From the parameters of InteractionExpansion to the operators, and to what their couplings are fitted to."""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._lattice.checks import check_sites, periodic_axes
from .._lattice.symmetry import SYMMETRIES
from .._montecarlo.statistics import log_sum_exp
from .._utils.checks import check_choice, check_flag, check_names, check_number, check_temperature
from .._utils.configurations import check_counts
from .._utils.memory import room
from .._utils.names import rows_for, without_names
from .._utils.repeatable import check_repeatable
from .operators import FAMILIES, Geometry, Operator, lattice_operators, operator_sums
from .regression import contrast, project
from .translation import own_operator

LARGEST_POWER = 4
_MATRICES = 4  # of the size of the covariance that a fit holds at once
_ROUNDING = 1e-7  # an operator whose share in the energy is smaller counts as absent


@dataclass(frozen=True)
class Problem:
    """What couplings are fitted to: operators on configurations, how often each counts, and the fit itself."""

    values: np.ndarray  # (n_rows, n_operators)
    weight: np.ndarray  # (n_rows,)
    estimate: Callable  # from columns of values to a Projection
    rounding: float  # the standard deviation of the energy that counts as zero
    n_samples: float  # configurations that were measured


def projection(operators, X, asked, weight):
    """Return the problem of meeting the energies on X."""
    energies = energies_of(asked[0], X, asked[1])
    mean = energies.mean(axis=1)
    rounding = _ROUNDING * math.sqrt(np.average((mean - np.average(mean, weights=weight)) ** 2, weights=weight))
    estimate = partial(project, energies=energies, weight=weight)
    return Problem(operator_sums(X, operators), weight, estimate, rounding, weight.sum())


def contrastive(operators, X, asked, weight):
    """Return the problem of telling X from as many draws of the models."""
    y, rows, seed = asked
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
    draws = [model.sample(n_samples=n_each, random_state=one) for model, one in zip(models, seeds, strict=True)]
    draws = np.concatenate(draws)
    both = np.concatenate([X, draws])
    log_p = [[m.score_samples(rows_for(m, rows, X)), without_names(m).score_samples(draws)] for m in models]
    log_q = log_sum_exp(np.stack([np.concatenate(parts) for parts in log_p]), axis=0) - math.log(len(models))
    everyone = np.append(weight, np.ones(len(both) - len(X)))
    options = {"log_q": log_q, "from_data": np.arange(len(both)) < len(X), "temperature": T0, "weight": everyone}
    values, rounding = operator_sums(both, operators), _ROUNDING * T0 * log_q.std()
    return Problem(values, everyone, partial(contrast, **options), rounding, weight.sum())


PROBLEMS = {"projection": projection, "contrastive": contrastive}
METHODS = (*PROBLEMS, "pseudolikelihood")


def weighted_rows(rows, X, y, sample_weight):
    """Return the user's rows that count, the same as X, what y says of them, and how often each counts."""
    if sample_weight is None:
        return rows, X, y, np.ones(len(X))
    weight = check_counts(sample_weight, len(X)).astype(np.float64)
    if weight.all():
        return rows, X, y, weight
    several = isinstance(y, (list, tuple)) and len(y) > 0 and all(map(_is_model, y))
    if y is not None and not _is_model(y) and not several:
        check_consistent_length(X, y)
        y = np.asarray(y)[weight > 0]
    return _safe_indexing(rows, np.flatnonzero(weight)), X[weight > 0], y, weight[weight > 0]


def energies_of(y, X, rows):
    """Return the energies of X by every model, (n_samples, n_models)."""
    if y is None:
        raise ValueError("this method requires y to be passed, but the target y is None: give energies of X or a model")
    several = isinstance(y, (list, tuple)) and len(y) > 0 and all(map(_is_model, y))
    energies = [_energy(one, X, rows) if _is_model(one) else one for one in (y if several else [y])]
    columns = [column_or_1d(energy, dtype=np.float64, warn=True) for energy in energies]
    check_consistent_length(X, *columns)
    for column in columns:
        if not np.isfinite(column).all():
            bad = np.flatnonzero(~np.isfinite(column))[0]
            raise ValueError(f"energies must be finite, got {column[bad]} in row {bad}: NaN and inf have no expansion")
    return np.stack(columns, axis=1)


def temperature_of(y):
    """Return the temperature of the model or models behind y; nan if they have none, or several."""
    models = y if isinstance(y, (list, tuple)) and all(map(_is_model, y)) else [y]
    owners = [getattr(model, "__self__", model) for model in models]
    found = {
        getattr(owner, "temperature_", getattr(owner, "temperature", None)) for owner in owners if _is_model(owner)
    }
    (only,) = found if len(found) == 1 else (None,)
    return float(only) if isinstance(only, numbers.Real) else math.nan


def _is_model(y):
    return callable(y) or callable(getattr(y, "energy", None))


def _energy(model, X, rows):
    energy = model.energy if callable(getattr(model, "energy", None)) else model
    return energy(rows_for(energy, rows, X))


def check_states(states, symmetries):
    """Raise ValueError if the states of X cannot be flipped although a symmetry flips them."""
    if "spin-flip" in symmetries and 0 in states and states.min() >= 0:
        raise ValueError(f"'spin-flip' needs states symmetric about zero, such as 2 * X - 1, got {states[:8].tolist()}")


def check_parameters(expansion):
    """Check everything that needs no data; return the symmetries."""
    check_number(expansion.max_distance, "max_distance", low=0)
    check_choice(expansion.method, "method", METHODS)
    check_flag(expansion.sparse, "sparse")
    if expansion.temperature is not None:
        check_temperature(expansion.temperature, allow_infinite=False)
    on_lattice, names = expansion.lattice_shape is not None, expansion.symmetries
    if isinstance(names, str) and names == "auto":
        names = SYMMETRIES[:2] if on_lattice else ()
    names = check_names(names, "symmetries", SYMMETRIES)
    if {"translation", "point-group"} & set(names) and not on_lattice:
        raise ValueError(f"symmetries={expansion.symmetries!r} need lattice_shape, such as (16, 16), got None")
    if "point-group" in names and "translation" not in names:
        raise ValueError(f"symmetries with 'point-group' need 'translation', too, got {expansion.symmetries!r}")
    return names


def operators_of(expansion, shape, symmetries, n_powers):
    """Return the operators by the parameters of the estimator."""
    on_lattice, entries = expansion.lattice_shape is not None, expansion.operators
    check_repeatable(entries, "operators")
    if isinstance(entries, str) and entries == "auto":
        entries = FAMILIES if on_lattice else FAMILIES[:2]
    if not isinstance(entries, (list, tuple)):
        raise TypeError(f"operators must be 'auto' or a list of names and (name, sites), got {entries!r}")
    periodic = periodic_axes(expansion.boundary, len(shape)) if on_lattice else (False,)
    max_distance = expansion.max_distance if on_lattice else math.inf
    geometry = Geometry(shape, periodic, max_distance, symmetries, n_powers)
    operators = []
    if not on_lattice and "pairs" in [entry for entry in entries if isinstance(entry, str)]:
        check_couplings(math.prod(shape) * (math.prod(shape) - 1) // 2)
    for entry in entries:
        if isinstance(entry, str):
            check_choice(entry, "each of operators", FAMILIES if on_lattice else FAMILIES[:2])
            found = lattice_operators(entry, geometry)
            operators += found if on_lattice else [one._replace(distance=math.nan, patterns=()) for one in found]
        elif isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str):
            sites = check_sites(entry[1], math.prod(shape), "operators")
            own = own_operator(entry[0], sites, shape, periodic) if on_lattice else Operator(entry[0], sites, math.nan)
            operators.append(own)
        else:
            raise TypeError(f"each of operators must be a name or (name, sites), got {entry!r}")
    if not operators:
        raise ValueError(f"operators must name at least one that exists on {shape}, got {expansion.operators!r}")
    check_couplings(len(operators))
    return operators


def check_couplings(n_couplings):
    """Raise MemoryError if the covariance of so many couplings and its inverse do not fit into this machine."""
    n_bytes = _MATRICES * 8 * n_couplings**2
    if n_bytes > room():
        raise MemoryError(
            f"{n_couplings} couplings have a covariance of shape ({n_couplings}, {n_couplings}), and {_MATRICES} such "
            f"matrices need {n_bytes / 2**30:,.0f} GiB: give lattice_shape, a smaller max_distance, fewer operators, "
            "or symmetries, so that fewer couplings are free"
        )
