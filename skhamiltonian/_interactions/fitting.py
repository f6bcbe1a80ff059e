"""From checked configurations to couplings by each method, and to the symmetries that the rows refute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from .operators import FAMILIES, Geometry, Operator, lattice_operators, operator_sums
from .problem import PROBLEMS, Asked
from .projection import Projection, expand, pseudo_inverse, standardised, support
from .pseudolikelihood import estimate, is_wide, totals
from .site_laws import Rows, site_groups
from .symmetry_tests import (
    LEAST_ROWS,
    Counted,
    couplings_differ,
    energy_differs,
    magnetization_differs,
    positions_differ,
    split,
)
from .translation import inner_sites

_ROWS_OF_TESTS = 8192
_LARGEST_TABLE = 2**24  # values of operators: 128 MB


@dataclass(frozen=True)
class Task:
    """Configurations, how often each counts, their temperatures, and their lattice."""

    X: NDArray
    weight: NDArray[np.float64]
    states: NDArray
    shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    temperatures: NDArray[np.float64]  # (n_rows,), nan if unknown
    group: NDArray[np.intp] | None = None  # (n_rows,), None: rows are independent


@dataclass(frozen=True)
class Couplings:
    """The result of a method: couplings J_k, the constant, standard errors, and which errors are wide."""

    coupling: NDArray[np.float64]
    constant: float
    error: NDArray[np.float64]
    wide: NDArray[np.bool_]


def states_of(X: NDArray) -> NDArray:
    """Return the values that occur in X, read block by block."""
    return reduce(np.union1d, (X[rows] for rows in gen_batches(len(X), 4096)), np.empty(0, X.dtype))


def by_energy(operators: Sequence[Operator], task: Task, asked: Asked, method: str, sparse: bool) -> Couplings:
    """Fit couplings to energies, or to the difference between data and draws of models."""
    problem = PROBLEMS[method](operators, task.X, asked, task.weight)
    coupling, constant, error = expand(problem, sparse)
    wide = np.zeros(len(coupling), dtype=bool)
    if method == "contrastive" and task.weight.sum() <= len(operators):  # a plane then separates data from draws
        error, wide = np.full_like(error, np.inf), ~wide
    return Couplings(coupling, constant, error, wide)


def by_pseudolikelihood(operators: Sequence[Operator], task: Task, sparse: bool) -> Couplings:
    """Fit couplings to the laws of inner sites given all others; `sparse` leaves out operators that vanish."""
    rows, sites = _rows(task), _sites(operators, task)
    full = estimate(rows, site_groups(operators, sites, task.X.shape[1]), len(operators))
    coupling, error = full.projection.coupling.copy(), np.sqrt(np.diag(full.projection.covariance))
    wide = is_wide(full, error)
    known = np.flatnonzero(full.known & np.isfinite(error))
    if sparse and len(known):
        found = Projection(coupling[known], 0.0, full.projection.covariance[np.ix_(known, known)])
        size = 1e-9 / full.unit[known]
        needed = np.full(len(operators), False)
        needed[known] = support(found, size, task.weight.sum() * len(sites), rows.n_independent - 1)
        kept = np.flatnonzero(needed | (~full.known & (full.unit > 0)))
        groups = site_groups([operators[k] for k in kept.tolist()], sites, task.X.shape[1])
        again = estimate(rows, groups, len(kept)).projection
        coupling[:] = 0
        coupling[kept], error[kept] = again.coupling, np.sqrt(np.diag(again.covariance))
    return Couplings(coupling, 0.0, error, wide)


def site_score(operators: Sequence[Operator], coupling: NDArray[np.float64], task: Task) -> float:
    """Return the mean log pseudo-likelihood of an inner site in nats."""
    sites = _sites(operators, task)
    loss = totals(_rows(task), site_groups(operators, sites, task.X.shape[1]), coupling).loss
    return -loss / (task.weight.sum() * len(sites))


def _rows(task: Task, step: int = 1) -> Rows:
    states = np.asarray(task.states, dtype=np.float64)
    if len(states) == 1:
        states = np.append(states, -states if states[0] else 1.0)  # the other state of a spin, or of a lattice gas
    X, T, weight, group = task.X[::step], task.temperatures[::step], task.weight[::step], task.group
    if group is not None:
        group = group[::step]
        if (np.diff(group) < 0).any():
            order = np.argsort(group, kind="stable")
            X, T, weight, group = X[order], T[order], weight[order], group[order]
    return Rows(X, 1 / T, weight, np.sort(states), group)


def _sites(operators: Sequence[Operator], task: Task) -> NDArray[np.int64]:
    inner = np.flatnonzero(inner_sites(operators, task.shape, task.periodic))
    if not len(inner):
        raise ValueError(
            f"no site of windows of shape {task.shape} has all of its terms inside: use larger windows, or a smaller "
            "max_distance"
        )
    if not all(task.periodic):
        for operator in operators:
            if len(operator.sites) > 1 and not operator.patterns:
                raise ValueError(
                    f"operator {operator.name!r} is not translation-invariant, so the sites of a window that have all "
                    "of its terms inside are unknown: with boundary='open' give all translates of its terms"
                )
    return inner


def refuted(
    operators: Sequence[Operator], fewer: dict[str, Sequence[Operator]], task: Task, asked: Asked, method: str
) -> Iterator[str]:
    """Yield the assumed symmetries that the rows refute or, for method="projection", their energies.

    `fewer` holds, for every symmetry, the operators that the other symmetries allow.
    """
    if asked.energies is not None:
        yield from _refuted_by_energy(operators, fewer, task, asked.energies)
        return
    windows, counted = method == "pseudolikelihood" or all(task.periodic), Counted(task.X, task.weight, task.group)
    if "translation" in fewer and windows:
        lattice, inner = (task.shape, task.periodic), np.flatnonzero(inner_sites(operators, task.shape, task.periodic))
        if positions_differ(counted, lattice, inner):
            yield "translation"
    if "point-group" in fewer and len(task.states) > 1 and np.isfinite(task.temperatures).all():
        parts = split(operators, fewer["point-group"])
        step = -(-len(task.X) // _ROWS_OF_TESTS)
        rows = _rows(task, step)
        # A contrastive fit has whole lattices, also open ones: all neighbours of every site are known.
        sites = _sites(parts.operators, task) if method == "pseudolikelihood" else np.arange(task.X.shape[1])
        found = estimate(rows, site_groups(parts.operators, sites, task.X.shape[1]), len(parts.operators))
        if couplings_differ(found.projection, parts.whole, rows.n_independent):
            yield "point-group"
    if "spin-flip" in fewer and magnetization_differs(counted):
        yield "spin-flip"


def unexplained(
    operators: Sequence[Operator], coupling: NDArray[np.float64], task: Task, energies: NDArray[np.float64]
) -> float:
    """Return the share of the variance of the mean energy that the couplings do not explain; 0 for few rows."""
    step = -(-len(task.X) // _ROWS_OF_TESTS)
    X, weight, energy, needed = task.X[::step], task.weight[::step], energies[::step].mean(axis=1), coupling != 0
    residual = energy + operator_sums(X, [operators[k] for k in np.flatnonzero(needed).tolist()]) @ coupling[needed]
    left, variance = (
        np.average((one - np.average(one, weights=weight)) ** 2, weights=weight) for one in (residual, energy)
    )
    few = weight.sum() < LEAST_ROWS + needed.sum() or variance <= (1e-12 * np.abs(energy).max()) ** 2
    return 0.0 if few else float(left / variance)


def lacks_powers(operators: Sequence[Operator], task: Task, energies: NDArray[np.float64]) -> bool:
    """Return whether products such as s_i^2 s_j of neighbours explain what the operators leave of the energies."""
    bonds = [one.sites for one in operators if one.distance == 1 and one.sites.shape[1] == 2]
    if len(task.states) < 3 or not bonds:
        return False
    i, j = np.concatenate(bonds).T
    powers = [np.stack(sites, axis=1) for sites in ([i, i, j], [i, j, j], [i, i, j, j])]
    more = [*operators, *(Operator("", sites, 1.0) for sites in powers)]
    step = -(-len(task.X) // _ROWS_OF_TESTS)
    task, energies = replace(task, X=task.X[::step], weight=task.weight[::step]), energies[::step].mean(axis=1)[:, None]
    left, right = (_residual(each, task, energies) for each in (operators, more))
    return energy_differs("translation", (left, left, right), len(more), task.weight.sum())


def _refuted_by_energy(
    operators: Sequence[Operator], fewer: dict[str, Sequence[Operator]], task: Task, energies: NDArray[np.float64]
) -> Iterator[str]:
    # As many rows as determine the largest fit well; more would only cost time.
    most = max(_ROWS_OF_TESTS, 8 * max(map(len, fewer.values()), default=0), 24 * task.X.shape[1])
    step = -(-len(task.X) // most)
    task = replace(task, X=task.X[::step], weight=task.weight[::step], temperatures=task.temperatures[::step])
    energies = energies[::step].mean(axis=1, keepdims=True)
    variation = float(task.weight @ (energies[:, 0] - np.average(energies[:, 0], weights=task.weight)) ** 2)
    less = _residual(operators, task, energies)
    for name, more in fewer.items():
        if name == "translation":
            more = [*operators, *_neighbours_by_site(task)]
        if 3 * len(more) < len(task.X) and len(more) * len(task.X) < _LARGEST_TABLE:
            right = _residual(more, task, energies)
            if energy_differs(name, (variation, less, right), len(more), task.weight.sum()):
                yield name


def _neighbours_by_site(task: Task) -> list[Operator]:
    """Return the field of every site and every bond of nearest neighbours as operators of their own."""
    geometry = Geometry(task.shape, task.periodic, 1.0, ())
    return [operator for family in FAMILIES[:2] for operator in lattice_operators(family, geometry)]


def _residual(operators: Sequence[Operator], task: Task, energies: NDArray[np.float64]) -> float:
    """Return the sum of the squared residuals of a fit by least squares."""
    values = operator_sums(task.X, operators)
    varies = values.std(axis=0) > 1e-12 * np.abs(values.mean(axis=0))
    A = standardised(values[:, varies], task.weight)[0]
    residual, weighted = energies[:, 0] - np.average(energies[:, 0], weights=task.weight), A.T * task.weight
    inverse, _ = pseudo_inverse(weighted @ A)
    for _ in range(2):  # the second time for rounding: the matrix has the square of the condition number of A
        residual = residual - A @ (inverse @ (weighted @ residual))
    return float(task.weight @ residual**2)


def single(values: NDArray[np.float64]) -> float:
    """Return the only value of an array; nan if there are several."""
    return float(values[0]) if len(values) and (values == values[0]).all() else math.nan
