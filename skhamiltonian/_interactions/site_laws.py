"""Sites that belong to the same operators, and their laws given all other sites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.mapped import release_pages
from .operators import Operator

BLOCK = 2**21  # entries of the design in one block of rows: 16 MB, three times

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Configurations, each with its 1/T and the number of times that it counts.

    Rows are independent of each other, or only of rows of other groups.
    """

    X: NDArray
    inverse_temperature: Floats
    weight: Floats
    states: Floats
    group: NDArray[np.intp] | None = None  # of each row, ascending

    @property
    def n_independent(self) -> float:
        """The number of rows, or of groups."""
        return float(self.weight.sum() if self.group is None else len(np.unique(self.group)))

    def part(self, now: slice) -> Rows:
        group = None if self.group is None else self.group[now]
        return Rows(self.X[now], self.inverse_temperature[now], self.weight[now], self.states, group)


class SiteGroup(NamedTuple):
    """Sites that belong to the same operators.

    Every slot, (columns, places, power, others), adds the product of the other spins of one term to the derivative of
    O_k by s_i^power, at most once for each pair of an operator and a site.
    """

    sites: NDArray[np.int64]
    columns: NDArray[np.int64]
    slots: list[tuple[NDArray[np.int64], NDArray[np.int64], int, NDArray[np.int64]]]


def site_groups(operators: Sequence[Operator], sites: NDArray[np.int64], n_sites: int) -> list[SiteGroup]:
    """Return the given sites, grouped by their operators."""
    entries = [entry for k, operator in enumerate(operators) for entry in _entries(k, operator.sites)]
    holds = np.zeros((n_sites, len(operators)), dtype=bool)
    for k, site, _, _ in entries:
        holds[site, k] = True
    kinds, kind = np.unique(np.packbits(holds[sites], axis=1), axis=0, return_inverse=True)
    kind_of, place_of = np.full(n_sites, -1), np.zeros(n_sites, dtype=np.int64)
    kind_of[sites] = kind.ravel()
    groups = []
    for one in range(len(kinds)):
        members = np.flatnonzero(kind_of == one)
        place_of[members] = np.arange(len(members))
        columns = np.flatnonzero(holds[members[0]])
        groups.append(SiteGroup(members, columns, []))
    local = [dict(zip(group.columns.tolist(), range(len(group.columns)), strict=True)) for group in groups]
    tables: dict[tuple[int, int, int], list[tuple[NDArray, NDArray, NDArray]]] = {}
    for k, site, power, others in entries:
        for one in np.unique(kind_of[site]):
            if one >= 0:
                which = kind_of[site] == one
                column = np.full(which.sum(), local[one][k])
                key = (int(one), power, others.shape[1])
                tables.setdefault(key, []).append((column, place_of[site[which]], others[which]))
    for (one, power, _), parts in tables.items():
        columns, places, others = (np.concatenate(part) for part in zip(*parts, strict=True))
        rank = _rank(columns * len(groups[one].sites) + places)
        for r in range(rank.max() + 1):
            now = rank == r
            groups[one].slots.append((columns[now], places[now], power, others[now]))
    return [group for group in groups if len(group.columns)]


def _entries(k: int, sites: NDArray[np.int64]) -> Iterator[tuple[int, NDArray, int, NDArray]]:
    """Yield (k, sites, power, others): terms of operator k that contain a site `power` times, and their other sites."""
    sites = np.sort(sites, axis=1)
    order = sites.shape[1]
    for first in range(order):
        for power in range(1, order - first + 1):
            same = (sites[:, first : first + power] == sites[:, [first]]).all(axis=1)
            if first:
                same &= sites[:, first - 1] != sites[:, first]
            if first + power < order:
                same &= sites[:, first + power] != sites[:, first]
            if same.any():
                others = np.delete(sites[same], slice(first, first + power), axis=1)
                yield k, sites[same, first], power, others


def _rank(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each key the number of equal keys before it."""
    by_key = np.argsort(keys, kind="stable")
    ordered = keys[by_key]
    first = np.append(True, ordered[1:] != ordered[:-1])
    rank = np.empty(len(keys), dtype=np.int64)
    rank[by_key] = np.arange(len(keys)) - np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    return rank


class Block(NamedTuple):
    """One group in one block of rows: D_a = O(s_i = a) - O(s_i = first state), over T, and the laws of the sites."""

    columns: NDArray[np.int64]
    D: Floats  # (n_states - 1, n_columns, n_places, n_rows)
    p: Floats  # (n_states - 1, n_places, n_rows)
    p_first: Floats  # (n_places, n_rows), of the first state
    residual: Floats  # [s_i = a] - p_a
    loss: Floats  # (n_places, n_rows)


def site_blocks(
    rows: Rows, groups: list[SiteGroup], coupling: Floats, step: int
) -> Iterator[tuple[slice, list[Block]]]:
    """Yield blocks of `step` rows: their slice, and the terms of every group."""
    small = np.isin(rows.states, (-1, 0, 1)).all()
    for first in range(0, len(rows.X), step):
        now = slice(first, first + step)
        spins = np.ascontiguousarray(rows.X[now].T, dtype=np.int8 if small else np.float64)
        yield now, [_block(group, spins, rows.inverse_temperature[now], rows.states, coupling) for group in groups]
        release_pages(rows.X)


def rows_of_a_block(rows: Rows, groups: list[SiteGroup]) -> int:
    """Return how many rows a block has."""
    width = sum(len(group.sites) * len(group.columns) for group in groups) * (len(rows.states) - 1)
    return max(1, BLOCK // max(1, width))


def whole_groups(rows: Rows, step: int) -> Iterator[Rows]:
    """Yield about `step` rows after the other, but all rows of a group together."""
    first = 0
    while first < len(rows.X):
        last = min(first + step, len(rows.X))
        if rows.group is not None and last < len(rows.X):
            begin, end = (int(np.searchsorted(rows.group, rows.group[last], side)) for side in ("left", "right"))
            last = begin if begin > first else end
        yield rows.part(slice(first, last))
        first = last


def _block(group: SiteGroup, spins: NDArray, beta: Floats, states: Floats, coupling: Floats) -> Block:
    D = np.zeros((len(states) - 1, len(group.columns), len(group.sites), spins.shape[1]))
    for columns, places, power, others in group.slots:
        product = np.ones((len(others), spins.shape[1]), dtype=spins.dtype)
        for site in others.T:
            product *= spins[site]
        for a, change in enumerate(states[1:] ** power - states[0] ** power):
            if change:
                D[a, columns, places] += change * product
    D *= beta
    log_odds = np.tensordot(coupling[group.columns], D, axes=(0, 1))
    peak = np.maximum(log_odds.max(axis=0), 0)
    log_norm = peak + np.log(np.exp(-peak) + np.exp(log_odds - peak).sum(axis=0))
    p = np.exp(log_odds - log_norm)
    is_state = spins[group.sites] == states[1:, None, None]
    loss = log_norm - (log_odds * is_state).sum(axis=0)
    return Block(group.columns, D, p, np.exp(-log_norm), is_state - p, loss)


def flat(array: Floats) -> Floats:
    return array.reshape(*array.shape[:-2], -1)
