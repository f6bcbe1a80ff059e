"""Operators that are the same everywhere: which sites have all terms inside, and the terms on another lattice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .._lattice.bonds import translates
from .operators import Operator, Sites


def inner_sites(operators: Sequence[Operator], shape: tuple[int, ...], periodic: tuple[bool, ...]) -> NDArray[np.bool_]:
    """Return which sites, (n_sites,), have all of their terms inside the lattice."""
    x = np.indices(shape).reshape(len(shape), -1).T
    length, wraps = np.array(shape), np.array(periodic)
    inner = np.ones(len(x), dtype=bool)
    for reach in _reaches(operators):
        seen = x + reach
        inner &= (wraps | ((seen >= 0) & (seen < length))).all(axis=1)
    return inner


def _reaches(operators: Sequence[Operator]) -> NDArray[np.int64]:
    """Return the steps from a site to all other sites of its terms."""
    patterns = {pattern.tobytes() + bytes(pattern.shape): pattern for one in operators for pattern in one.patterns}
    steps = [(pattern[:, None] - pattern[None]).reshape(-1, pattern.shape[1]) for pattern in patterns.values()]
    return np.unique(np.concatenate(steps), axis=0) if steps else np.zeros((0, 1), dtype=np.int64)


def own_operator(name: str, sites: Sites, shape: tuple[int, ...], periodic: tuple[bool, ...]) -> Operator:
    """Return an operator of a table of sites, with patterns if the table holds all of their translates."""
    left = Counter(map(tuple, np.sort(sites, axis=1).tolist()))
    patterns = []
    while left:
        pattern = _pattern(np.array(next(iter(left))), shape, periodic)
        for term in _terms(pattern, shape, periodic):
            if not left[term]:
                return Operator(name, sites, math.nan)
            left[term] -= 1
        left = +left
        patterns.append(pattern)
    return Operator(name, sites, math.nan, tuple(patterns))


def _pattern(term: Sites, shape: tuple[int, ...], periodic: tuple[bool, ...]) -> Sites:
    """Return the offsets of a term's sites from its lowest corner, by the shortest way around a periodic axis."""
    x = np.stack(np.unravel_index(term, shape), axis=1)
    step, length = x - x[0], np.array(shape)
    around = (step + (length - 1) // 2) % length - (length - 1) // 2
    step = np.where(np.array(periodic), around, step)
    return step - step.min(axis=0)


def _terms(pattern: Sites, shape: tuple[int, ...], periodic: tuple[bool, ...]) -> Iterator[tuple[int, ...]]:
    sites = np.sort(translates(shape, np.array(periodic), list(pattern)), axis=1)
    return map(tuple, sites.tolist())


def translated(
    operator: Operator,
    lattice: tuple[tuple[int, ...], tuple[bool, ...]],
    new_shape: tuple[int, ...],
    windows: bool,
) -> Sites:
    """Return the terms of an operator on another lattice, (n_terms, order).

    `lattice` is the shape and the periodic axes of the old one. The new one has the same boundary, or all axes
    periodic if the rows were windows.

    Raises
    ------
    ValueError
        If the operator is not the same everywhere, or the new lattice is too small for it.
    """
    shape, periodic = lattice
    n_terms = sum(len(list(_terms(pattern, shape, periodic))) for pattern in operator.patterns)
    if not n_terms or n_terms != len(operator.sites):
        raise ValueError(f"operator {operator.name!r} is not translation-invariant: it has no terms on {new_shape}")
    for pattern in operator.patterns:
        if (pattern.max(axis=0) >= np.array(new_shape)).any():
            least = tuple((pattern.max(axis=0) + 1).tolist())
            raise ValueError(f"lattice_shape must be at least {least} for {operator.name!r}, got {new_shape}")
    wraps = np.array(periodic) | windows
    return np.concatenate([translates(new_shape, wraps, list(pattern)) for pattern in operator.patterns])
