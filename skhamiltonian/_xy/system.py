"""The terms of H of an XY model on a lattice, as plain arrays for the kernels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._lattice.bonds import axis_bonds
from .._lattice.checks import axis_couplings, periodic_axes
from .._utils.checks import check_field
from .._utils.memory import check_memory


class AngleSystem(NamedTuple):
    """The terms of H = -sum_<ij> J_ij cos(theta_i - theta_j) - sum_i h_i cos theta_i.

    Bond k has the strength J_k and two sites. ``neighbours[site_start[i]:site_start[i + 1]]`` are the neighbours of
    site i, with their couplings. Ghost bonds are all bonds, and one from each site in a field to the ghost, one more
    site. `ordered` has the angles of a ground state; it is empty if terms compete.
    """

    bonds: NDArray[np.int32]
    strength: NDArray[np.float64]
    field: NDArray[np.float64]
    site_start: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    coupling: NDArray[np.float64]
    ghost_bonds: NDArray[np.int32]
    ghost_strength: NDArray[np.float64]
    ordered: NDArray[np.float64]

    @property
    def n_sites(self) -> int:
        return len(self.field)

    @property
    def is_even(self) -> bool:
        """Whether H stays the same if all angles are rotated."""
        return not self.field.any()

    @property
    def competes(self) -> bool:
        """Whether no state satisfies all terms."""
        return len(self.ordered) == 0


def angle_system(shape: tuple[int, ...], boundary: Any, coupling: Any, field: Any) -> AngleSystem:
    """Check couplings and field of a lattice, and return the terms of H."""
    n_sites = math.prod(shape)
    check_memory((n_sites, 8 * len(shape)), np.int64, "the list of bonds")
    periodic = periodic_axes(boundary, len(shape))
    couplings = axis_couplings(coupling, len(shape))
    h = np.broadcast_to(check_field(field, n_sites), n_sites).astype(np.float64)
    tables = [table for J, table in zip(couplings, axis_bonds(shape, periodic), strict=True) if J]
    sizes = [len(table) for table in tables]
    bonds = np.concatenate([np.zeros((0, 2), np.int64), *tables]).astype(np.int32)
    strength = np.repeat([J for J in couplings if J], sizes).astype(np.float64)
    ends = np.concatenate([bonds, bonds[:, ::-1]])
    by_site = np.argsort(ends[:, 0], kind="stable")
    in_field = np.flatnonzero(h)
    to_ghost = np.stack([in_field, np.full(len(in_field), n_sites)], axis=1)
    return AngleSystem(
        bonds,
        strength,
        h,
        site_start=np.append(0, np.cumsum(np.bincount(ends[:, 0], minlength=n_sites))).astype(np.int32),
        neighbours=ends[by_site, 1],
        coupling=np.tile(strength, 2)[by_site],
        ghost_bonds=np.concatenate([bonds, to_ghost]).astype(np.int32),
        ghost_strength=np.append(strength, h[in_field]),
        ordered=_ordered(shape, periodic, couplings, h),
    )


def _ordered(
    shape: tuple[int, ...], periodic: tuple[bool, ...], couplings: tuple[float, ...], h: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the angles 0 and pi of a state that satisfies all terms, or an empty array if no state does."""
    turns = [J < 0 and length > 1 for J, length in zip(couplings, shape, strict=True)]
    odd_ring = any(turn and wraps and n % 2 for turn, wraps, n in zip(turns, periodic, shape, strict=True))
    parity = np.indices(shape).reshape(len(shape), -1)[turns].sum(axis=0) % 2
    along_field = h * (1 - 2 * parity)
    if odd_ring or (along_field.min() < 0 < along_field.max()):
        return np.zeros(0)
    return np.pi * (parity ^ (along_field.min() < 0))
