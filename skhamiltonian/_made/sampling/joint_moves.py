"""Moves of small windows, learned from configurations: differences inside a window between rows equal around it.

If few configurations are possible, as for sums of overlapping blocks, single sites cannot move, but several together
can: a hidden spin changes all blocks over it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..network import Codes
from .sweeps import Moves

_SIZES = (2, 3)
# A size is large enough if this share of the pairs that agree around a window differs inside it.
_ENOUGH_DIFFERENT = 0.05
_N_DIFFERENCES = 64
NO_MOVES = Moves(np.empty((0, 1), np.intp), np.empty((0, 2, 1), np.int8))


def learn_moves(
    codes: Codes, lattice_shape: tuple[int, ...], ordering: NDArray[np.intp], rng: np.random.Generator
) -> Moves:
    """Return windows of the smallest size that shows enough differences, with 64 of the differences seen in each.

    Windows cross the boundary of the lattice. With open boundaries such a window joins two edges; that is harmless,
    since only observed differences are proposed. A window without differences is left out.
    """
    sizes = []
    for size in _SIZES:
        windows = _differences(codes, lattice_shape, size)
        sizes.append((float(np.mean([share for _, _, share in windows])), windows))
        if sizes[-1][0] >= _ENOUGH_DIFFERENT:
            break
    _, windows = max(sizes, key=lambda size: size[0])
    position, positions, shifts = np.argsort(ordering), [], []
    for sites, differences, _ in windows:
        if len(differences):
            order = np.argsort(position[sites])
            drawn = differences[rng.integers(len(differences), size=_N_DIFFERENCES)][:, order]
            positions.append(position[sites][order])
            shifts.append(np.concatenate([drawn, -drawn]))
    if not positions:
        return NO_MOVES
    return Moves(np.array(positions), np.array(shifts))


def _differences(
    codes: Codes, lattice_shape: tuple[int, ...], size: int
) -> list[tuple[NDArray[np.intp], Codes, float]]:
    """Return for every window its sites, the differences seen, and their share of the pairs that agree around it."""
    rng = np.random.default_rng(0)
    key = rng.integers(2**63, size=codes.shape[1], dtype=np.uint64)  # equal sums of keys, equal configurations
    hashed, found = key * codes.astype(np.uint64), []
    for corner in np.ndindex(*lattice_shape):
        window, box = _box(corner, lattice_shape, size), _box(np.subtract(corner, 1), lattice_shape, size + 2)
        around = hashed[:, np.setdiff1d(box, window)].sum(axis=1)
        order = np.argsort(around, kind="stable")
        agree = around[order[1:]] == around[order[:-1]]
        differences = codes[order[1:]][agree][:, window] - codes[order[:-1]][agree][:, window]
        differences = differences[differences.any(axis=1)]
        found.append((window, differences, len(differences) / max(1, agree.sum())))
    return found


def _box(corner: tuple[int, ...] | NDArray[np.intp], lattice_shape: tuple[int, ...], size: int) -> NDArray[np.intp]:
    """Return the sites of a box, each once even if the box is larger than the lattice."""
    axes = [np.unique((c + np.arange(size)) % n) for c, n in zip(corner, lattice_shape, strict=True)]
    return np.ravel_multi_index(np.ix_(*axes), lattice_shape).ravel()
