"""Bonds, diagonals and plaquettes of a lattice, as tables of sites."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray


def nearest_neighbours(shape: tuple[int, ...], periodic: tuple[bool, ...]) -> NDArray[np.int64]:
    """Return the bonds <ij> of all axes as (n_bonds, 2)."""
    return _stack(2, axis_bonds(shape, periodic))


def axis_bonds(shape: tuple[int, ...], periodic: tuple[bool, ...]) -> list[NDArray[np.int64]]:
    """Return the bonds <ij> along each axis, (n_bonds, 2); a periodic axis of two sites has each bond twice.

    Axes of one site have no bonds, diagonals or squares: no site is its own neighbour.
    """
    long_shape, wraps, steps = long_axes(shape, periodic)
    tables = iter([translates(long_shape, wraps, [0 * step, step]) for step in steps])
    return [next(tables) if length > 1 else np.zeros((0, 2), dtype=np.int64) for length in shape]


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
    """Return shape, boundary and unit steps of the axes that are longer than one site."""
    axes = [axis for axis, length in enumerate(shape) if length > 1]
    steps = list(np.eye(len(axes), dtype=np.int64))
    return tuple(shape[axis] for axis in axes), np.array([periodic[axis] for axis in axes], dtype=bool), steps


def translates(
    shape: tuple[int, ...], periodic: NDArray[np.bool_], offsets: list[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Return {x + o : o in offsets} for every site x, unless a site lies beyond an open end of the lattice."""
    x = np.indices(shape).reshape(len(shape), -1)
    moved = [x + offset[:, None] for offset in offsets]
    length = np.array(shape)[:, None]
    inside = np.all([((y < length) | periodic[:, None]).all(axis=0) for y in moved], axis=0)
    return np.stack([np.ravel_multi_index(tuple(y % length), shape)[inside] for y in moved], axis=1)


def _stack(order: int, tables: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros((0, order), dtype=np.int64), *tables])
