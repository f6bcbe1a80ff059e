"""Operators on a lattice: sums of products of spins, O(s) = sum_t prod_{i in t} s_i, as tables of sites."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._lattice.bonds import long_axes, translates, unit_squares

FAMILIES = ("field", "pairs", "triples", "plaquettes")
_SINGULAR = {"pairs": "pair", "triples": "triple", "plaquettes": "plaquette"}
_BLOCK = 2**17  # products in one block of rows: 1 MB, which stays in the cache
Sites = NDArray[np.int64]


class Operator(NamedTuple):
    """A sum over the rows of `sites`, (n_terms, order), of the product of their spins; a repeated site is squared."""

    name: str
    sites: Sites
    distance: float  # largest distance of two sites of a term
    patterns: tuple[Sites, ...] = ()  # offsets >= 0, (order, n_axes); the terms are all their translates


class Geometry(NamedTuple):
    """Which products of spins there are, and which of them share one coupling.

    `symmetries` may hold "translation" (all translates of a pattern share one coupling), with it "point-group"
    (patterns that turns and reflections map onto each other share one, too), and "spin-flip" (products of odd order
    are left out).
    """

    shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    max_distance: float
    symmetries: Collection[str]
    n_powers: int = 1  # number of powers s, s^2, ... of one site


def lattice_operators(family: str, geometry: Geometry) -> list[Operator]:
    """Return the operators of one of FAMILIES. Operators that coincide on a small torus appear once.

    With "translation" a periodic axis of two sites has each bond twice, as `nearest_neighbours` counts it. Without
    "translation" every term is a separate operator and counts once.
    """
    distinct: dict[tuple[int, bytes], Operator] = {}
    for name, sites, distance, patterns in _classes(family, geometry):
        sites = np.sort(sites, axis=1)
        operators = [Operator(name, sites[np.lexsort(sites.T)], distance, patterns)]
        if "translation" not in geometry.symmetries:
            terms, first = np.unique(sites, axis=0), name.split()[0]
            operators = [Operator(f"{first} {_sites_text(term)}", term[None], distance, patterns) for term in terms]
        for operator in operators:
            if len(operator.sites):
                distinct.setdefault((operator.sites.shape[1], operator.sites.tobytes()), operator)
    odd_ones = "spin-flip" not in geometry.symmetries
    return [operator for operator in distinct.values() if odd_ones or operator.sites.shape[1] % 2 == 0]


def _sites_text(term: Sites) -> str:
    return "-".join(map(str, np.unique(term)))


def _classes(family: str, geometry: Geometry) -> Iterator[tuple[str, Sites, float, tuple[Sites, ...]]]:
    """Yield the name, terms, distance and patterns of each operator."""
    if family == "field":
        sites = np.arange(math.prod(geometry.shape))[:, None]
        for power in range(1, geometry.n_powers + 1):
            here = np.zeros((power, len(geometry.shape)), dtype=np.int64)
            yield "field" if power == 1 else f"s^{power}", np.repeat(sites, power, axis=1), 0.0, (here,)
        return
    shape, wraps, steps = long_axes(geometry.shape, geometry.periodic)
    long = [axis for axis, length in enumerate(geometry.shape) if length > 1]
    tables: dict[str, tuple[list[Sites], float, list[Sites]]] = {}
    for pattern in _patterns(family, shape, wraps, steps, geometry.max_distance):
        sites = translates(shape, wraps, pattern)
        proper = (np.diff(np.sort(sites, axis=1), axis=1) > 0).all(axis=1)  # not three in a row on a ring of two
        distance = max(float(np.linalg.norm(a - b)) for a in pattern for b in pattern)
        name = _name(family, pattern, geometry.symmetries)
        everywhere = np.zeros((len(pattern), len(geometry.shape)), dtype=np.int64)
        everywhere[:, long] = pattern
        parts, _, patterns = tables.setdefault(name, ([], distance, []))
        parts.append(sites[proper])
        patterns.append(everywhere)
    for name, (parts, distance, patterns) in tables.items():
        yield name, np.concatenate(parts), distance, tuple(patterns)


def _patterns(
    family: str, shape: tuple[int, ...], wraps: NDArray[np.bool_], steps: list[Sites], max_distance: float
) -> Iterator[list[Sites]]:
    """Yield patterns, the offsets >= 0 of the sites of one term; its translates are the other terms."""
    if family == "pairs":
        farthest = [min(n // 2 if wrap else n - 1, max_distance) for n, wrap in zip(shape, wraps, strict=True)]
        box = product(*(range(-int(c), int(c) + 1) for c in farthest))
        for r in sorted(box, key=lambda r: (np.linalg.norm(r), r)):
            if r > (0,) * len(r) and np.linalg.norm(r) <= max_distance:
                yield [np.maximum(-np.array(r), 0), np.maximum(r, 0)]
    elif family == "plaquettes":
        yield from unit_squares(steps)
    elif len(steps) == 1:
        yield [0 * steps[0], steps[0], 2 * steps[0]]
    else:
        for square in unit_squares(steps):
            yield from (square[:k] + square[k + 1 :] for k in range(4))


def _name(family: str, pattern: list[Sites], symmetries: Collection[str]) -> str:
    """Return the name of all patterns that share a coupling, such as "pair (0, 1)" for nearest neighbours."""
    offsets = [(site - pattern[0]).tolist() for site in pattern[1:]]
    if family == "pairs" and "point-group" in symmetries:
        offsets = [sorted(map(abs, offsets[0]))]
    elif "point-group" in symmetries or (family == "plaquettes" and len(pattern[0]) == 2):
        offsets = []
    return " ".join([_SINGULAR[family], *(f"({', '.join(map(str, r))})" for r in offsets)])


def operator_sums(X: NDArray, operators: Sequence[Operator]) -> NDArray[np.float64]:
    """Return O_k(s) for every row s of X, (n_samples, n_operators)."""
    sums = np.empty((len(X), len(operators)))
    orders = np.array([operator.sites.shape[1] for operator in operators], dtype=np.int64)
    n_terms = np.array([len(operator.sites) for operator in operators], dtype=np.int64)
    batch = max(1, _BLOCK // int(n_terms.sum() + 1))
    tables = []
    for order in np.unique(orders):
        which = np.flatnonzero(orders == order)
        starts = np.cumsum(n_terms[which]) - n_terms[which]
        tables.append((which, np.concatenate([operators[k].sites for k in which.tolist()]), starts))
    for first in range(0, len(X), batch):
        spins = np.ascontiguousarray(X[first : first + batch].T, dtype=np.float64)
        for which, table, starts in tables:
            terms = spins[table[:, 0]]
            for column in table.T[1:]:
                terms *= spins[column]
            sums[first : first + batch, which] = np.add.reduceat(terms, starts, axis=0).T
    return sums


def coupling_matrix(strengths: NDArray[np.float64], operators: Sequence[Operator], n_sites: int) -> NDArray[np.float64]:
    """Return J_ij, symmetric with zero diagonal, of all operators of two sites."""
    J = np.zeros((n_sites, n_sites))
    for strength, operator in zip(strengths, operators, strict=True):
        i, j = operator.sites.T if operator.sites.shape[1] == 2 else np.zeros((2, 0), dtype=np.int64)
        np.add.at(J, (i[i != j], j[i != j]), strength)
    return J + J.T
