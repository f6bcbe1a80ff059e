"""Tests of the assumed symmetries on couplings, energies, and weighted rows.

These rows are independent, have weights, and may be windows without a periodic boundary. The tests in
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
_LEAST_ROWS = 50
_LEAST_SHARE = 0.2  # of the energy that symmetric operators leave unexplained
_LEAST_PART = {"translation": 0.05, "point-group": 1e-3, "spin-flip": 1e-3}  # of the variance of an energy


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
        if free < _LEAST_ROWS - len(whole) or free < 1 or np.linalg.cond(V) > 1e10:
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
    if free < _LEAST_ROWS or left - right < max(_LEAST_SHARE * left, _LEAST_PART[name] * variation):
        return False
    return bool(f_law.sf((left - right) / max(right, 1e-300) * free / n_more, n_more, free) < _LEVEL)


def positions_differ(
    X: NDArray, weight: NDArray[np.float64], lattice: tuple[tuple[int, ...], tuple[bool, ...]], inner: NDArray[np.int64]
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
    return any(_chance(*_deviations(X, weight, table)) * n_tests < _LEVEL for table in tables)


def magnetization_differs(X: NDArray, weight: NDArray[np.float64]) -> bool:
    """Return whether the mean of all sites is not zero."""
    m = np.concatenate([X[rows].mean(axis=1) for rows in gen_batches(len(X), 4096)])
    mean = weight @ m / weight.sum()
    return _chance(mean, weight @ (m - mean) ** 2 / weight.sum(), weight.sum()) < _LEVEL


def _deviations(
    X: NDArray, weight: NDArray[np.float64], table: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return mean and variance over the rows of each product minus the mean over the table, and the number of rows."""
    first, second = np.zeros((2, len(table)))
    for rows in gen_batches(len(X), max(1, 2**20 // len(table))):
        product = X[rows].astype(np.float64)[:, table].prod(axis=2)
        product -= product.mean(axis=1, keepdims=True)
        first += weight[rows] @ product
        second += weight[rows] @ product**2
    n = weight.sum()
    return first / n, second / n - (first / n) ** 2, n


def _chance(mean: ArrayLike, variance: ArrayLike, n: float) -> float:
    """Return the smallest two-sided chance of the means of n rows; 1 for few rows, or if nothing varies."""
    if n < _LEAST_ROWS:
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.asarray(variance) > 1e-12, np.abs(mean) / np.sqrt(np.asarray(variance) / (n - 1)), 0.0)
    return float(2 * t_law.sf(t.max(), n - 1))
