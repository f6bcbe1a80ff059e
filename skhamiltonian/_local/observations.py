"""Inner sites and the windows round them: the observations of a pseudo-likelihood."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Offset = tuple[int, ...]
Codes = NDArray[np.int8]
# Largest number of temperatures with which equal neighbourhoods are counted together.
_MAX_LEVELS = 64
_MAX_KEY = 2**63
_MERGE_AT, _UNPACKED = 2**22, 2**18


@dataclass(frozen=True)
class WindowGeometry:
    """The windows that hold a site, and the sites of these windows."""

    window_shape: tuple[int, ...]
    n_states: int
    periodic: tuple[bool, ...]

    @property
    def powers(self) -> NDArray[np.int64]:
        """The increase of a pattern's number by one step of the code, for each place of the window."""
        return self.n_states ** np.arange(math.prod(self.window_shape))

    @property
    def places(self) -> list[Offset]:
        """The sites of a window, in C order."""
        return list(itertools.product(*map(range, self.window_shape)))

    @property
    def neighbours(self) -> list[Offset]:
        """The other sites of all windows that hold a site, as offsets from it."""
        ranges = [range(1 - width, width) for width in self.window_shape]
        return [offset for offset in itertools.product(*ranges) if any(offset)]

    @property
    def neighbourhood(self) -> list[Offset]:
        """The site itself and its neighbours."""
        return [(0,) * len(self.window_shape), *self.neighbours]

    def window_places(self) -> NDArray[np.intp]:
        """Return, for each window that holds a site, the places of its sites in the neighbourhood, (n_windows, n)."""
        number = {offset: k for k, offset in enumerate(self.neighbourhood)}
        steps = [[tuple(np.subtract(place, own).tolist()) for place in self.places] for own in self.places]
        return np.array([[number[step] for step in window] for window in steps])

    def inner_shape(self, lattice_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the block of inner sites, whose windows all lie inside."""
        axes = zip(lattice_shape, self.window_shape, self.periodic, strict=True)
        return tuple(length if wraps else length - 2 * (width - 1) for length, width, wraps in axes)

    def seen_at(self, values: NDArray[Any], offset: Offset) -> NDArray[Any]:
        """Return, for every inner site of arrays (n, *lattice_shape), the value at an offset from it."""
        axes = list(zip(values.shape[1:], self.window_shape, self.periodic, offset, strict=True))
        inside = [
            slice(None) if wraps else slice(width - 1 + step, length - (width - 1) + step)
            for length, width, wraps, step in axes
        ]
        back = [-step if wraps else 0 for _, _, wraps, step in axes]
        inner = values[(slice(None), *inside)]
        return np.roll(inner, back, range(1, values.ndim)) if any(back) else inner

    def bases(self, at: Callable[[Offset], NDArray[Any]], n_sites: int, dtype: type = np.uint16) -> NDArray[Any]:
        """Return the patterns of the windows round each site, the site itself with code 0, (n_sites, n_windows)."""
        out: NDArray[Any] = np.zeros((n_sites, len(self.places)), dtype)
        for window, own in enumerate(self.places):
            for power, place in zip(self.powers.tolist(), self.places, strict=True):
                if place != own:
                    out[:, window] += at(tuple(np.subtract(place, own).tolist())).astype(dtype) * dtype(power)
        return out


@dataclass(frozen=True)
class Observations:
    """Inner sites: the windows round them, how often each state occurred there, and T0/T."""

    bases: NDArray[np.uint16]  # (n, n_windows) patterns with code 0 at the site
    counts: NDArray[np.float32]  # (n, K)
    ratio: NDArray[np.float32]  # (n,) or (1,)
    row: NDArray[np.int32] | None = None  # (n,) the row or tile of each; None: counted over all rows

    def __len__(self) -> int:
        return len(self.bases)

    def part(self, rows: slice | NDArray[np.intp]) -> Observations:
        ratio = self.ratio if len(self.ratio) == 1 else self.ratio[rows]
        return Observations(self.bases[rows], self.counts[rows], ratio, None if self.row is None else self.row[rows])


@dataclass(frozen=True)
class Rows:
    """Configurations as codes (n, *lattice_shape), with temperature, weight and mask of each row."""

    codes: Codes
    ratio: NDArray[np.float64]  # (n,) T0/T
    weight: NDArray[np.float64]  # (n,)
    measured: NDArray[np.bool_] | None = None  # as codes; None: every site

    def unweighted(self) -> Rows:
        return replace(self, weight=np.ones(len(self.codes)))


def each_site(
    rows: Rows, geometry: WindowGeometry, first_row: int = 0, tile: NDArray[np.int64] | None = None
) -> Observations:
    """Return one observation for each inner site whose neighbours are all measured.

    If `tile` has a number for each inner site, the tiles of a row count as rows.
    """
    shape = (len(rows.codes), *geometry.inner_shape(rows.codes.shape[1:]))
    good = complete(rows, geometry, shape)
    at = _flat(rows.codes, geometry, good)
    n_inner = math.prod(shape[1:])
    row = np.repeat(np.arange(len(rows.codes)), n_inner)[good]
    counts = np.zeros((len(row), geometry.n_states), np.float32)
    own = at((0,) * (rows.codes.ndim - 1))
    counts[np.arange(len(row)), own] = rows.weight[row]
    bases = geometry.bases(at, len(row))
    block = row + first_row
    if tile is not None:
        block = block * (int(tile.max()) + 1) + np.tile(tile, len(rows.codes))[good]
        order = np.argsort(block, kind="stable")
        bases, counts, row, block = bases[order], counts[order], row[order], block[order]
    return Observations(bases, counts, rows.ratio[row].astype(np.float32), block.astype(np.int32))


def tiles(inner_shape: tuple[int, ...], n_tiles: int, least: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the number of the tile of each inner site: about `n_tiles` tiles, fewer if they would be too short."""
    n_parts = [1] * len(inner_shape)
    while math.prod(n_parts) < n_tiles:
        sizes = [n / p / w for n, p, w in zip(inner_shape, n_parts, least, strict=True)]
        axis = int(np.argmax(sizes))
        if sizes[axis] < 2:
            break
        n_parts[axis] += 1
    parts = [np.arange(n) * p // n for n, p in zip(inner_shape, n_parts, strict=True)]
    return np.ravel_multi_index(np.meshgrid(*parts, indexing="ij"), n_parts).ravel()


@dataclass(frozen=True)
class Neighbourhoods:
    """Inner sites with all sites of their windows, for energies without a table."""

    codes: Codes  # (n, 1 + n_neighbours), the site itself first
    ratio: NDArray[np.float32]  # (n,) T0/T
    weight: NDArray[np.float32]  # (n,)
    row: NDArray[np.int64]  # (n,)

    def __len__(self) -> int:
        return len(self.codes)

    def part(self, sites: slice | NDArray[np.intp]) -> Neighbourhoods:
        return Neighbourhoods(self.codes[sites], self.ratio[sites], self.weight[sites], self.row[sites])


def neighbourhoods(
    rows: Rows, geometry: WindowGeometry, first_row: int = 0, tile: NDArray[np.int64] | None = None
) -> Neighbourhoods:
    """Return the inner sites whose neighbours are all measured, each with its neighbours; `tile` as in `each_site`."""
    shape = (len(rows.codes), *geometry.inner_shape(rows.codes.shape[1:]))
    good = complete(rows, geometry, shape)
    at = _flat(rows.codes, geometry, good)
    row = np.repeat(np.arange(len(rows.codes)), math.prod(shape[1:]))[good]
    codes = np.stack([at(offset) for offset in geometry.neighbourhood], axis=1)
    ratio, weight = rows.ratio[row].astype(np.float32), rows.weight[row].astype(np.float32)
    block = row + first_row
    if tile is not None:
        block = block * (int(tile.max()) + 1) + np.tile(tile, len(rows.codes))[good]
    return Neighbourhoods(codes, ratio, weight, block)


def complete(rows: Rows, geometry: WindowGeometry, shape: tuple[int, ...]) -> slice | NDArray[np.intp]:
    """Return the inner sites that have a weight and whose neighbours are all measured."""
    if rows.measured is None and rows.weight.all():
        return slice(None)
    good = np.broadcast_to((rows.weight != 0).reshape(-1, *[1] * (len(shape) - 1)), shape).copy()
    if rows.measured is not None:
        for offset in geometry.neighbourhood:
            good &= geometry.seen_at(rows.measured, offset)
    return np.flatnonzero(good)


def _flat(codes: Codes, geometry: WindowGeometry, good: slice | NDArray[np.intp]) -> Callable[[Offset], NDArray[Any]]:
    return lambda offset: geometry.seen_at(codes, offset).ravel()[good]


def counted(parts: Iterable[Rows], geometry: WindowGeometry, ratios: NDArray[np.float64]) -> Observations:
    """Return the inner sites of all parts; equal neighbourhoods at equal temperature are counted together.

    `ratios` are the distinct values of T0/T. If neighbourhoods are too large to be numbered, or temperatures are too
    many, sites are not counted together.
    """
    neighbours = geometry.neighbours
    n_keys = geometry.n_states ** (len(neighbours) + 1) * len(ratios)
    if n_keys >= _MAX_KEY or len(ratios) > _MAX_LEVELS:
        return _joined([each_site(part, geometry) for part in parts])
    dtype = np.uint32 if n_keys < 2**32 else np.uint64
    keys, counts, waiting = [np.zeros(0, dtype)], [np.zeros(0)], 0
    for part in parts:
        key, count = _distinct(*_keys(part, geometry, ratios, dtype))
        keys.append(key)
        counts.append(count)
        waiting += len(key)
        if waiting > _MERGE_AT:
            key, count = _distinct(np.concatenate(keys), np.concatenate(counts))
            keys, counts, waiting = [key], [count], 0
    key, count = _distinct(np.concatenate(keys), np.concatenate(counts))
    del keys, counts
    return _unpacked(key, count, geometry, ratios)


def _joined(parts: list[Observations]) -> Observations:
    each = ([getattr(part, name) for part in parts] for name in ("bases", "counts", "ratio"))
    return Observations(*map(np.concatenate, each))


def _keys(
    rows: Rows, geometry: WindowGeometry, ratios: NDArray[np.float64], dtype: type
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Return a number for each inner site, with its state as the lowest digit, then its neighbours and temperature."""
    shape = (len(rows.codes), *geometry.inner_shape(rows.codes.shape[1:]))
    offsets = geometry.neighbourhood
    key: NDArray[Any] = np.zeros(shape, dtype)
    for power, offset in enumerate(offsets):
        key += geometry.seen_at(rows.codes, offset).astype(dtype) * dtype(geometry.n_states**power)
    level = np.searchsorted(ratios, rows.ratio).astype(dtype) * dtype(geometry.n_states ** len(offsets))
    key += level.reshape(-1, *[1] * (len(shape) - 1))
    good = complete(rows, geometry, shape)
    equal = bool((rows.weight == 1).all()) or (isinstance(good, slice) and bool((rows.weight == rows.weight[:1]).all()))
    if equal and isinstance(good, slice):
        return key.ravel(), None if rows.weight[:1].sum() == 1 else np.full(key.size, rows.weight[0])
    return key.ravel()[good], np.repeat(rows.weight, math.prod(shape[1:]))[good]


def _distinct(key: NDArray[Any], weight: NDArray[np.float64] | None) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the distinct keys, ascending, and the sum of the weights of each."""
    if weight is None:
        key, count = np.unique(key, return_counts=True)
        return key, count.astype(np.float64)
    order = np.argsort(key)
    key = key[order]
    start = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.zeros(0, int)
    return key[start], np.add.reduceat(weight[order], start) if len(key) else weight


def _unpacked(
    key: NDArray[Any], count: NDArray[np.float64], geometry: WindowGeometry, ratios: NDArray[np.float64]
) -> Observations:
    n_states = geometry.n_states
    surroundings, own = np.divmod(key, key.dtype.type(n_states))
    start = np.flatnonzero(np.append(True, surroundings[1:] != surroundings[:-1])) if len(key) else np.zeros(0, int)
    group = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(key))))
    counts = np.bincount(group * n_states + own.astype(np.int64), count, len(start) * n_states)
    surroundings = surroundings[start]
    bases = np.concatenate(
        [_bases(surroundings[k : k + _UNPACKED], geometry) for k in range(0, max(1, len(start)), _UNPACKED)]
    )
    levels = surroundings // surroundings.dtype.type(n_states ** len(geometry.neighbours))
    ratio = ratios[levels.astype(np.int64)] if len(ratios) > 1 else ratios
    return Observations(bases, counts.reshape(-1, n_states).astype(np.float32), ratio.astype(np.float32))


def _bases(surroundings: NDArray[Any], geometry: WindowGeometry) -> NDArray[np.uint16]:
    digits, rest = {}, surroundings
    for offset in geometry.neighbours:
        rest, digit = np.divmod(rest, rest.dtype.type(geometry.n_states))
        digits[offset] = digit.astype(np.uint8)
    return geometry.bases(digits.__getitem__, len(surroundings))
