"""Which rows and sites a fit reads, if there are very many, and which rows measure the variance of the gradient."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .observations import Neighbourhoods, Rows, neighbourhoods, tiles
from .parameters import Plan
from .reading import Data

_ENOUGH_BLOCKS = 200  # rows, groups, or tiles of fewer rows, that measure the variance of the gradient
_MOST_ROWS_OF_VARIANCE, _MOST_SITES_OF_VARIANCE = 2000, 2**19


class Chosen(NamedTuple):
    """The rows of a fit, and those of them that measure the variance of the gradient."""

    rows: NDArray[np.intp] | None  # None: all
    some: NDArray[np.intp]
    share: float  # of the variance of all rows, or of the number of groups, that `some` have
    tile: NDArray[np.int64] | None  # of each inner site; tiles count as rows
    group: NDArray[np.intp] | None  # of each row of `some`, ascending; groups count as rows


def choose_rows(plan: Plan, data: Data, most_sites: int, rng: np.random.Generator) -> Chosen:
    """Return rows with at most so many inner sites."""
    geometry, n_rows = plan.geometry, len(data)
    inner = geometry.inner_shape(plan.lattice_shape)
    n_used = min(n_rows, max(1, most_sites // math.prod(inner)))
    rows = None if n_used == n_rows else np.sort(rng.choice(n_rows, n_used, replace=False))
    if data.group is not None:
        return _groups(data.group, rows)
    n_some = min(n_used, _MOST_ROWS_OF_VARIANCE, max(1, _MOST_SITES_OF_VARIANCE // math.prod(inner)))
    some = np.linspace(0, n_used - 1, n_some).astype(int)
    least = tuple(2 * width for width in geometry.window_shape)
    tile = tiles(inner, math.ceil(_ENOUGH_BLOCKS / n_some), least)
    squares = data.for_variance().weight[slice(None) if rows is None else rows] ** 2
    share = float(squares[some].sum() / squares.sum()) or 1.0
    return Chosen(rows, some if rows is None else rows[some], share, tile, None)


def _groups(group: NDArray[np.intp], rows: NDArray[np.intp] | None) -> Chosen:
    """Return rows with enough groups, or all, for the variance of the gradient."""
    used = np.arange(len(group)) if rows is None else rows
    groups = np.unique(group[used])
    n_some = max(_ENOUGH_BLOCKS, math.ceil(_MOST_ROWS_OF_VARIANCE * len(groups) / len(used)))
    chosen = groups[np.unique(np.linspace(0, len(groups) - 1, n_some).astype(int))]
    some = used[np.isin(group[used], chosen)]
    some = some[np.argsort(group[some], kind="stable")]
    return Chosen(rows, some, len(chosen) / len(groups), None, group[some])


def some_sites(
    plan: Plan, data: Data, unit: float, rows: NDArray[np.intp], most: int, rng: np.random.Generator
) -> Neighbourhoods:
    """Return about `most` inner sites of these rows, or all if they are fewer."""
    n_inner = math.prod(plan.geometry.inner_shape(plan.lattice_shape))
    rows = np.sort(rows[: max(1, 4 * most // n_inner)])
    share = min(1.0, most / max(1, n_inner * len(rows)))
    parts = [_none(plan)]
    for first, block in data.blocks(plan.alphabet, plan.lattice_shape, unit, rows):
        part = neighbourhoods(block, plan.geometry, first)
        parts.append(part if share == 1 else part.part(np.flatnonzero(rng.random(len(part)) < share)))
    return joined(parts)


def all_sites(
    plan: Plan,
    data: Data,
    unit: float,
    rows: NDArray[np.intp] | None,
    tile: NDArray[np.int64] | None = None,
) -> Neighbourhoods:
    """Return the inner sites of some rows, or of all; with `tile`, the tiles of a row count as rows."""
    blocks = data.blocks(plan.alphabet.fine, plan.lattice_shape, unit, rows)
    return joined([_none(plan), *(neighbourhoods(block, plan.geometry, first, tile) for first, block in blocks)])


def _none(plan: Plan) -> Neighbourhoods:
    return neighbourhoods(Rows(np.zeros((0, *plan.lattice_shape), np.int8), np.zeros(0), np.zeros(0)), plan.geometry)


def joined(parts: list[Neighbourhoods]) -> Neighbourhoods:
    """Return all sites of the parts."""
    each: Any = ([getattr(part, name) for part in parts] for name in ("codes", "ratio", "weight", "row"))
    return Neighbourhoods(*map(np.concatenate, each))
