"""Energies of +-1 spins, H(s) = -sum_k J_k prod_{i in k} s_i, as plain arrays for the kernels."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SpinSystem(NamedTuple):
    """The terms of H: term k has strength J_k and the sites ``term_sites[term_start[k]:term_start[k + 1]]``.

    ``site_terms[site_start[i]:site_start[i + 1]]`` are the terms that hold site i. A field is a term of one site.
    """

    strength: NDArray[np.float64]
    term_start: NDArray[np.int32]
    term_sites: NDArray[np.int32]
    site_start: NDArray[np.int32]
    site_terms: NDArray[np.int32]

    @property
    def n_sites(self) -> int:
        return len(self.site_start) - 1

    @property
    def largest_order(self) -> int:
        """Number of spins in the largest term, 0 without terms."""
        return int(np.diff(self.term_start).max(initial=0))

    @property
    def is_even(self) -> bool:
        """Whether H(-s) = H(s)."""
        return bool((np.diff(self.term_start) % 2 == 0).all())


def spin_system(n_sites: int, terms: Iterable[tuple[float, NDArray[np.integer]]]) -> SpinSystem:
    """Build the arrays from (strength, table of sites of shape (n_terms, order)); zero strengths are left out."""
    tables = [(strength, table) for strength, table in terms if strength != 0.0 and len(table)]
    orders = np.concatenate([np.full(len(table), table.shape[1]) for _, table in tables] or [np.zeros(0, int)])
    sites = np.concatenate([table.ravel() for _, table in tables] or [np.zeros(0, int)])
    strength = np.concatenate([np.full(len(table), float(value)) for value, table in tables] or [np.zeros(0)])
    by_site = np.argsort(sites, kind="stable")
    return SpinSystem(
        strength=strength,
        term_start=_starts(orders),
        term_sites=sites.astype(np.int32),
        site_start=_starts(np.bincount(sites, minlength=n_sites)),
        site_terms=np.repeat(np.arange(len(orders)), orders)[by_site].astype(np.int32),
    )


def _starts(counts: NDArray[np.integer]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def nearest_neighbours(shape: tuple[int, ...], periodic: tuple[bool, ...]) -> NDArray[np.int64]:
    """Return the bonds <ij> as (n_bonds, 2); a periodic axis of two sites has each bond twice.

    An axis of one site takes no part here nor in the other terms: no site is its own neighbour.
    """
    shape, wraps, steps = long_axes(shape, periodic)
    return _stack(2, [translates(shape, wraps, [0 * step, step]) for step in steps])


def next_nearest_neighbours(shape: tuple[int, ...], periodic: tuple[bool, ...]) -> NDArray[np.int64]:
    """Return the diagonals of every unit square, or the second neighbours of a chain, as (n_bonds, 2)."""
    shape, wraps, steps = long_axes(shape, periodic)
    if len(steps) == 1:
        bonds = translates(shape, wraps, [0 * steps[0], 2 * steps[0]])
        return bonds[bonds[:, 0] != bonds[:, 1]]
    pairs = [pattern for a, b in combinations(steps, 2) for pattern in ([0 * a, a + b], [a, b])]
    return _stack(2, [translates(shape, wraps, pattern) for pattern in pairs])


def plaquettes(shape: tuple[int, ...], periodic: tuple[bool, ...]) -> NDArray[np.int64]:
    """Return the corners of every unit square, (n_squares, 4)."""
    shape, wraps, steps = long_axes(shape, periodic)
    return _stack(4, [translates(shape, wraps, square) for square in unit_squares(steps)])


def unit_squares(steps: list[NDArray[np.int64]]) -> list[list[NDArray[np.int64]]]:
    """Return the corners of the unit square of every pair of axes."""
    return [[0 * a, a, b, a + b] for a, b in combinations(steps, 2)]


def long_axes(
    shape: tuple[int, ...], periodic: tuple[bool, ...]
) -> tuple[tuple[int, ...], NDArray[np.bool_], list[NDArray[np.int64]]]:
    """Return shape, boundary and unit steps of the axes longer than one site."""
    axes = [axis for axis, length in enumerate(shape) if length > 1]
    steps = list(np.eye(len(axes), dtype=np.int64))
    return tuple(shape[axis] for axis in axes), np.array([periodic[axis] for axis in axes], dtype=bool), steps


def translates(
    shape: tuple[int, ...], periodic: NDArray[np.bool_], offsets: list[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Return {x + o : o in offsets} for every site x, without those that leave the lattice by an open end."""
    x = np.indices(shape).reshape(len(shape), -1)
    moved = [x + offset[:, None] for offset in offsets]
    length = np.array(shape)[:, None]
    inside = np.all([((y < length) | periodic[:, None]).all(axis=0) for y in moved], axis=0)
    return np.stack([np.ravel_multi_index(tuple(y % length), shape)[inside] for y in moved], axis=1)


def _stack(order: int, tables: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros((0, order), dtype=np.int64), *tables])
