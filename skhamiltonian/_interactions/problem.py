"""From the parameters of InteractionExpansion to the operators, and to what their couplings are fitted to."""

import math
from functools import partial

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._lattice.checks import check_sites, periodic_axes
from .._lattice.symmetry import SYMMETRIES
from .._montecarlo.statistics import log_sum_exp
from .._utils.checks import check_choice, check_flag, check_names, check_number
from .._utils.memory import check_memory
from .._utils.names import rows_for, without_names
from .._utils.repeatable import check_repeatable
from .operators import FAMILIES, Geometry, Operator, lattice_operators, operator_sums
from .regression import contrast, project

_LARGEST_POWER = 4
_ROUNDING = 1e-7  # an operator whose share in the energy is smaller counts as absent


def projection(operators, X, y, rows):
    """Return the operators on X, how to fit their couplings to the energy there, and what counts as zero."""
    energies = energies_of(y, X, rows)
    rounding = _ROUNDING * energies.mean(axis=1).std()
    return operator_sums(X, operators), partial(project, energies=energies), rounding


def contrastive(operators, X, y, rows):
    """Return the operators on X and on as many draws of the models, how to tell the two apart, and what is zero."""
    models = list(y) if isinstance(y, (list, tuple)) else [y]
    for model in models:
        if not all(hasattr(model, name) for name in ("score_samples", "sample", "temperature_")):
            wanted = "a fitted model with score_samples, sample and temperature_, such as MADEHamiltonian, or a list of"
            raise TypeError(f"y must be {wanted} them for method='contrastive', got {model!r}")
    temperatures = {float(model.temperature_) for model in models}
    if len(temperatures) != 1:
        raise ValueError(f"y must be models of data at one temperature, got {sorted(temperatures)}")
    (T0,) = temperatures
    draws = np.concatenate([model.sample(n_samples=-(-len(X) // len(models))) for model in models])
    both = np.concatenate([X, draws])
    log_p = [[m.score_samples(rows_for(m, rows, X)), without_names(m).score_samples(draws)] for m in models]
    log_q = log_sum_exp(np.stack([np.concatenate(parts) for parts in log_p]), axis=0) - math.log(len(models))
    options = {"log_q": log_q, "from_data": np.arange(len(both)) < len(X), "temperature": T0}
    return operator_sums(both, operators), partial(contrast, **options), _ROUNDING * T0 * log_q.std()


_METHODS = {"projection": projection, "contrastive": contrastive}


def problem(expansion, shape, symmetries, X, y, rows):
    """Return the operators, their values on configurations, how to fit their couplings, and what counts as zero.

    `rows` are the configurations X as the user has them, with the names of the sites.
    """
    n_states = len(np.unique(X))
    operators = operators_of(expansion, shape, symmetries, min(max(n_states - 1, 1), _LARGEST_POWER))
    check_memory((len(X), len(operators)), np.float64, "the table of operators")
    return operators, *_METHODS[expansion.method](operators, X, y, rows)


def energies_of(y, X, rows):
    """Return the energies of X by every model, (n_samples, n_models)."""
    several = isinstance(y, (list, tuple)) and len(y) > 0 and all(map(_is_model, y))
    energies = [_energy(one, X, rows) if _is_model(one) else one for one in (y if several else [y])]
    columns = [column_or_1d(energy, dtype=np.float64, warn=True) for energy in energies]
    check_consistent_length(X, *columns)
    for column in columns:
        if not np.isfinite(column).all():
            bad = np.flatnonzero(~np.isfinite(column))[0]
            raise ValueError(f"energies must be finite, got {column[bad]} in row {bad}: NaN and inf have no expansion")
    return np.stack(columns, axis=1)


def _is_model(y):
    return callable(y) or callable(getattr(y, "energy", None))


def _energy(model, X, rows):
    energy = model.energy if callable(getattr(model, "energy", None)) else model
    return energy(rows_for(energy, rows, X))


def check_parameters(expansion):
    """Check everything that needs no data; return the symmetries."""
    check_number(expansion.max_distance, "max_distance", low=0)
    check_choice(expansion.method, "method", tuple(_METHODS))
    check_flag(expansion.sparse, "sparse")
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
    if isinstance(entries, (str, bytes, dict)) or not np.iterable(entries):
        raise TypeError(f"operators must be 'auto' or a list of names and (name, sites), got {entries!r}")
    periodic = periodic_axes(expansion.boundary, len(shape)) if on_lattice else (False,)
    max_distance = expansion.max_distance if on_lattice else math.inf
    geometry = Geometry(shape, periodic, max_distance, symmetries, n_powers)
    operators = []
    for entry in entries:
        if isinstance(entry, str):
            check_choice(entry, "each of operators", FAMILIES if on_lattice else FAMILIES[:2])
            found = lattice_operators(entry, geometry)
            operators += found if on_lattice else [operator._replace(distance=math.nan) for operator in found]
        elif isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[0], str):
            sites = check_sites(entry[1], math.prod(shape), "operators")
            operators.append(Operator(entry[0], sites, math.nan))
        else:
            raise TypeError(f"each of operators must be a name or (name, sites), got {entry!r}")
    if not operators:
        raise ValueError(f"operators must name at least one that exists on {shape}, got {expansion.operators!r}")
    return operators
