"""Tests of the assumed symmetries on couplings, energies, and weighted rows.

These rows are independent or in groups, have weights, and may be windows without a periodic boundary. The tests in
`_lattice.refuted` are for whole lattices, and for rows in the order of a Markov chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_law
from scipy.stats import t as t_law
from sklearn.utils import gen_batches

from .._lattice.bonds import nearest_neighbours
from .operators import Operator
from .projection import Projection

_LEVEL = 5.7e-7  # two-sided chance of five standard errors
LEAST_ROWS = 50
_LEAST_SHARE = 0.2  # of the energy that symmetric operators leave unexplained
_LEAST_PART = {"translation": 0.05, "point-group": 1e-3, "spin-flip": 1e-3}  # of the variance of an energy


class Counted(NamedTuple):
    """Rows, how often each counts, and the group of each; without groups rows are independent."""

    X: NDArray
    weight: NDArray[np.float64]
    group: NDArray[np.intp] | None = None

    def sums(self, rows: slice, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted sum of the values of some rows in each group, (n_groups, ...)."""
        assert self.group is not None
        total = np.zeros((self.group.max() + 1, *values.shape[1:]))
        np.add.at(total, self.group[rows], (values.T * self.weight[rows]).T)
        return total


class Split(NamedTuple):
    """Operators with one symmetry less, and the index of the symmetric operator that each is a part of, or -1."""

    operators: Sequence[Operator]
    whole: NDArray[np.int64]


def split(operators: Sequence[Operator], parts: Sequence[Operator]) -> Split:
    """Find for each of `parts` the operator that holds its pattern."""
    owner: dict[tuple | str, int] = {}
    owner |= {_key(pattern): k for k, operator in enumerate(operators) for pattern in operator.patterns}
    owner |= {operator.name: k for k, operator in enumerate(operators) if not operator.patterns}
    keys: list[tuple | str] = [_key(part.patterns[0]) if part.patterns else part.name for part in parts]
    return Split(parts, np.array([owner.get(key, -1) for key in keys]))


def _key(pattern: NDArray[np.int64]) -> tuple:
    return tuple(map(tuple, pattern.tolist()))


def couplings_differ(found: Projection, whole: NDArray[np.int64], n_samples: float) -> bool:
    """Return whether couplings that a symmetry makes equal differ by more than five standard errors.

    Hotelling's T^2 tests the differences within each operator; its chance is multiplied by the number of tests.
    """
    tried = [np.flatnonzero(whole == k) for k in np.unique(whole) if k >= 0 and (whole == k).sum() > 1]
    for parts in tried:
        difference = np.eye(len(parts))[1:] - np.eye(len(parts))[0]
        if not np.isfinite(found.covariance[np.ix_(parts, parts)]).all():
            continue
        d = difference @ found.coupling[parts]
        V = difference @ found.covariance[np.ix_(parts, parts)] @ difference.T
        q, free = len(d), n_samples - len(whole) - len(d)
        if free < LEAST_ROWS - len(whole) or free < 1 or np.linalg.cond(V) > 1e10:
            continue
        T2 = float(d @ np.linalg.solve(V, d))
        if f_law.sf(T2 * free / (q * max(n_samples - 1, 1)), q, free) * len(tried) < _LEVEL:
            return True
    return False


def energy_differs(name: str, squares: tuple[float, float, float], n_more: int, n_samples: float) -> bool:
    """Return whether operators without one symmetry explain what the symmetric operators leave of an energy.

    `squares` holds the sums of squares of the energy, and of its residuals with fewer and with more operators;
    `n_more` is the number of the latter. The F test is at five standard errors. The operators must also explain a
    fifth of the residual and a small share of the energy, because the energy of a network has noise that breaks every
    symmetry, most of it in single bonds.
    """
    variation, left, right = squares
    free = n_samples - n_more - 1
    if free < LEAST_ROWS or left - right < max(_LEAST_SHARE * left, _LEAST_PART[name] * variation):
        return False
    return bool(f_law.sf((left - right) / max(right, 1e-300) * free / n_more, n_more, free) < _LEVEL)


def positions_differ(
    rows: Counted, lattice: tuple[tuple[int, ...], tuple[bool, ...]], inner: NDArray[np.int64]
) -> bool:
    """Return whether means of inner sites, or products of neighbours along an axis, depend on the place.

    `lattice` is the shape and the periodic axes.
    """
    shape, periodic = lattice
    bonds = nearest_neighbours(shape, periodic)
    bonds = bonds[np.isin(bonds, inner).all(axis=1)]
    axis = np.argmax(np.abs(np.diff(np.stack(np.unravel_index(bonds.T, shape)), axis=1))[:, 0] > 0, axis=0)
    tables = [inner[:, None], *(bonds[axis == a] for a in range(len(shape)))]
    tables = [table for table in tables if len(table) > 1]
    n_tests = sum(map(len, tables))
    return any(_chance(*_deviations(rows, table)) * n_tests < _LEVEL for table in tables)


def magnetization_differs(rows: Counted) -> bool:
    """Return whether the mean of all sites is not zero."""
    m = np.concatenate([rows.X[some].mean(axis=1) for some in gen_batches(len(rows.X), 4096)])
    n = rows.weight.sum()
    mean = rows.weight @ m / n
    if rows.group is not None:
        return _chance(mean, *_of_groups(rows.sums(slice(None), m - mean), n)) < _LEVEL
    return _chance(mean, rows.weight @ (m - mean) ** 2 / n, n) < _LEVEL


def _deviations(rows: Counted, table: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return mean and variance over the rows of each product minus the mean over the table, and the number of rows.

    Variance and number are those of independent rows with the same error of the mean.
    """
    first, second, of_groups = np.zeros(len(table)), np.zeros(len(table)), np.zeros(())
    for some in gen_batches(len(rows.X), max(1, 2**20 // len(table))):
        product = rows.X[some].astype(np.float64)[:, table].prod(axis=2)
        product -= product.mean(axis=1, keepdims=True)
        first += rows.weight[some] @ product
        second += rows.weight[some] @ product**2
        of_groups = of_groups + (0.0 if rows.group is None else rows.sums(some, product))
    n = rows.weight.sum()
    if rows.group is not None:
        share = np.bincount(rows.group, rows.weight)[:, None] / n
        return first / n, *_of_groups(of_groups - share * first, n)
    return first / n, second / n - (first / n) ** 2, n


def _of_groups(deviation: NDArray[np.float64], n: float) -> tuple[NDArray[np.float64], float]:
    """Return variance and number of as many independent rows as there are groups; `deviation` is the sum of each."""
    return len(deviation) * (deviation**2).sum(axis=0) / n**2, float(len(deviation))


def _chance(mean: ArrayLike, variance: ArrayLike, n: float) -> float:
    """Return the smallest two-sided chance of the means of n rows; 1 for few rows, or if nothing varies."""
    if n < LEAST_ROWS:
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.asarray(variance) > 1e-12, np.abs(mean) / np.sqrt(np.asarray(variance) / (n - 1)), 0.0)
    return float(2 * t_law.sf(t.max(), n - 1))
