"""An energy that is a sum over all windows of a lattice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from .._lattice.bonds import translates
from .._lattice.terms import TermSum

LARGEST_TABLE = 2**22  # patterns
_WINDOWS_PER_CALL = 2**16  # of a network
_ANGLES_PER_CALL = 2**20
_ROUNDING = 1e-12  # of coefficients of a series


@dataclass(frozen=True)
class LocalEnergy:
    r"""H(s) = sum over all windows of g(pattern), where a pattern is the codes of the sites in a window.

    Entry sum_j code_j K^j of the table is g in the unit of the energy; j counts the sites of the window in C order. If
    there are too many patterns for a table, `network.g` returns g of codes (m, n) instead. Rows of `errors` are changes
    of the table by one standard error of each of several independent parameters; None: the energy is exact, or its
    error is unknown.

    The energy of angles is a sum over single sites and pairs instead, at some `offsets` of the second site from the
    first. The table holds the K energies of a site for the offset zero, K^2 energies of a pair for any other, with
    those of the states of the first site together.
    """

    states: NDArray[Any]  # (K,)
    window_shape: tuple[int, ...]
    table: NDArray[np.float64] | None
    network: Any = None
    errors: NDArray[np.float64] | None = None
    offsets: NDArray[np.int64] | None = None  # (n_offsets, n_axes) for angles

    @property
    def n_states(self) -> int:
        return len(self.states)

    @property
    def powers(self) -> NDArray[np.int64]:
        """The increase of a pattern's number by one step of the code, for each place; 0 without a table."""
        n = math.prod(self.window_shape)
        return np.zeros(n, np.int64) if self.table is None else np.int64(self.n_states) ** np.arange(n)


class Windows(NamedTuple):
    """Windows of a lattice that is cut into strips of equal size along one axis; each strip is a cell.

    Chains stand side by side in lanes; lane strip * n_chains + chain is one strip of one chain. Sites and windows are
    numbered inside the cell. Window w of the cell exists in the first `n_strips_with[w]` strips. The windows that hold
    a site of strip t are in strip t - shift (round the lattice). A window that is wider than a periodic axis holds a
    site several times: its weight is the sum of the powers of its places.
    """

    sites: NDArray[np.int32]  # (n_windows, n) of the cell
    strip: NDArray[np.int32]  # (n_windows, n) the strip of the site, counted from that of the window
    n_strips_with: NDArray[np.int32]  # (n_windows,)
    start: NDArray[np.int32]  # (n_sites + 1,) of the entries of each site of the cell
    window: NDArray[np.int32]  # (n_entries,)
    shift: NDArray[np.int32]  # (n_entries,)
    weight: NDArray[np.int32]  # (n_entries,)
    powers: NDArray[np.int64]  # (n,)
    n_strips: int


def windows_of(
    lattice_shape: tuple[int, ...],
    periodic: tuple[bool, ...],
    energy: LocalEnergy,
    axis: int = 0,
    n_strips: int = 1,
) -> Windows:
    """Return the windows of a lattice in `n_strips` strips along an axis; a strip is at least as wide as a window."""
    cell = [length // (n_strips if k == axis else 1) for k, length in enumerate(lattice_shape)]
    positions = []
    for k, (length, width) in enumerate(zip(lattice_shape, energy.window_shape, strict=True)):
        cut = n_strips > 1 and k == axis
        positions.append(np.arange(cell[k] if cut or periodic[k] else length - width + 1))
    sites, strip = _places(positions, energy.window_shape, cell, axis)
    if n_strips == 1:
        strip[:] = 0
    with_all = periodic[axis] | (strip.max(axis=1) == 0)
    start, window, shift, weight = _entries(sites, strip, energy.powers, math.prod(cell))
    return Windows(
        sites.astype(np.int32),
        strip.astype(np.int32),
        np.where(with_all, n_strips, n_strips - 1).astype(np.int32),
        start,
        window,
        shift,
        weight,
        energy.powers,
        n_strips,
    )


def _places(
    positions: list[NDArray[np.int64]], window_shape: tuple[int, ...], cell: list[int], axis: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sites of every window, (n_windows, n), and the cells along the axis in which they lie."""
    corner = np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1).reshape(-1, 1, len(cell))
    place = np.indices(window_shape).reshape(len(cell), -1).T
    coordinates = np.moveaxis(corner + place, -1, 0)  # (n_axes, n_windows, n)
    return np.ravel_multi_index(tuple(coordinates), tuple(cell), mode="wrap"), coordinates[axis] // cell[axis]


def window_sites(
    lattice_shape: tuple[int, ...], periodic: tuple[bool, ...], window_shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Return the sites of every window, (n_windows, n): all windows on periodic axes, only those inside on open."""
    axes = zip(lattice_shape, window_shape, periodic, strict=True)
    positions = [np.arange(length if wraps else length - width + 1) for length, width, wraps in axes]
    return _places(positions, window_shape, list(lattice_shape), 0)[0].astype(np.int32)


def _entries(
    sites: NDArray[np.int64], strip: NDArray[np.int64], powers: NDArray[np.int64], n_sites: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the first entry of each site, and the windows, shifts and weights of all entries."""
    n_windows = len(sites)
    key = ((sites * n_windows + np.arange(n_windows)[:, None]) * 2 + strip).ravel()
    unique, inverse = np.unique(key, return_inverse=True)
    # Tables have fewer than 2^53 patterns, so these sums of powers are exact.
    weight = np.bincount(inverse, np.tile(powers, n_windows).astype(float))
    site, window, shift = unique // (2 * n_windows), unique // 2 % n_windows, unique % 2
    start = np.searchsorted(site, np.arange(n_sites + 1)).astype(np.int32)
    return start, window.astype(np.int32), shift.astype(np.int32), weight.astype(np.int32)


def term_sum(energy: LocalEnergy, lattice_shape: tuple[int, ...], periodic: tuple[bool, ...]) -> TermSum:
    """Return the energy of a lattice, which needs a table, as a sum over its windows."""
    assert energy.table is not None
    errors = np.zeros((0, len(energy.table))) if energy.errors is None else energy.errors
    return TermSum(energy.n_states, _sites_of_terms(energy, lattice_shape, periodic), energy.table, errors)


def _sites_of_terms(
    energy: LocalEnergy, lattice_shape: tuple[int, ...], periodic: tuple[bool, ...]
) -> tuple[NDArray[np.int32], ...]:
    """Return the sites of the terms of each table."""
    if energy.offsets is None:
        return (window_sites(lattice_shape, periodic, energy.window_shape),)
    places = ([-np.minimum(d, 0), np.maximum(d, 0)][: 1 + d.any()] for d in energy.offsets)
    return tuple(translates(lattice_shape, np.array(periodic), each).astype(np.int32) for each in places)


def energies_of_angles(
    X: NDArray[np.floating], lattice_shape: tuple[int, ...], periodic: tuple[bool, ...], energy: LocalEnergy
) -> NDArray[np.float64]:
    """Return H of every row of angles, (n_samples, n_sites), by the Fourier series that the table holds on a grid."""
    assert energy.table is not None
    total, start, n = np.zeros(len(X)), 0, energy.n_states
    for sites in _sites_of_terms(energy, lattice_shape, periodic):
        size = n ** sites.shape[1]
        table = energy.table[start : start + size].reshape((n,) * sites.shape[1])  # the last axis is the first site
        start += size
        series = np.fft.fftn(table) / size
        for place in np.argwhere(np.abs(series) > _ROUNDING * np.abs(series).max()):
            k = np.where(place > n // 2, place - n, place)[::-1]
            for rows in gen_batches(len(X), max(1, _ANGLES_PER_CALL // len(sites))):
                angles = X[rows][:, sites].astype(np.float64)
                total[rows] += (series[*place] * np.exp(1j * (angles @ k)).sum(axis=1)).real
    return total


def energies(
    codes: NDArray[np.int8], lattice_shape: tuple[int, ...], periodic: tuple[bool, ...], energy: LocalEnergy
) -> NDArray[np.float64]:
    """Return H of every row of codes, (n_samples, n_sites): all windows on periodic axes, only those inside on open.

    A window that is wider than a periodic axis holds sites twice, like ``np.roll``.
    """
    if energy.table is not None:
        return term_sum(energy, lattice_shape, periodic).energies(codes)
    sites = window_sites(lattice_shape, periodic, energy.window_shape)
    total = np.empty(len(codes))
    n_rows = max(1, _WINDOWS_PER_CALL // len(sites))
    for first in range(0, len(codes), n_rows):
        patterns = codes[first : first + n_rows][:, sites]
        g = energy.network.g(patterns.reshape(-1, sites.shape[1]))
        total[first : first + n_rows] = g.reshape(len(patterns), -1).sum(axis=1)
    return total
