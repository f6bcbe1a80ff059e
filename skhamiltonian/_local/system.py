"""A local energy on a lattice, and ordered states of it from which chains can start."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .energy import LocalEnergy, Windows, energies, windows_of
from .kernels import Terms

_MOST_PATTERNS = 4096  # states of a unit cell: larger cells are left out
_LONGEST_PERIOD = 4


@dataclasses.dataclass(frozen=True)
class LocalSystem:
    """H(s) = sum over windows of g - field * sum_i s_i on a lattice, with s_i the state of site i."""

    energy: LocalEnergy
    lattice_shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    field: float = 0.0
    _windows: dict[tuple[int, int], Windows] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def n_sites(self) -> int:
        return math.prod(self.lattice_shape)

    @property
    def site_energy(self) -> NDArray[np.float64]:
        """The energy of a single site in each state, by the field."""
        return -self.field * np.asarray(self.energy.states, dtype=float) if self.field else np.zeros(self.n_states)

    @property
    def n_states(self) -> int:
        return self.energy.n_states

    @property
    def terms(self) -> Terms:
        assert self.energy.table is not None  # a network has its own moves
        return Terms(self.energy.table, self.site_energy)

    @property
    def is_even(self) -> bool:
        """Whether H(-s) = H(s), for two states +-s."""
        if self.n_states != 2 or self.field or self.energy.states[0] != -self.energy.states[1]:
            return False
        if (g := self.energy.table) is not None:
            return bool(np.abs(g - g[::-1]).max() <= 1e-12 * np.abs(g).max(initial=1e-300))
        patterns = np.random.default_rng(0).integers(0, 2, (256, math.prod(self.energy.window_shape))).astype(np.int8)
        return bool(np.allclose(self.energy.network.g(patterns), self.energy.network.g(1 - patterns), rtol=1e-12))

    def windows(self, axis: int = 0, n_strips: int = 1) -> Windows:
        if (axis, n_strips) not in self._windows:
            self._windows[axis, n_strips] = windows_of(self.lattice_shape, self.periodic, self.energy, axis, n_strips)
        return self._windows[axis, n_strips]

    def energies(self, codes: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return H of every row of codes, (n_samples, n_sites)."""
        H = energies(codes, self.lattice_shape, self.periodic, self.energy)
        return H + self.site_energy[codes].sum(axis=1) if self.field else H


class OrderedStates(NamedTuple):
    """States that repeat a small unit cell, the lowest energies first."""

    cells: list[NDArray[np.int8]]
    energy: NDArray[np.float64]  # (n_states,) of the whole lattice
    lattice_shape: tuple[int, ...]

    def codes(self, k: int) -> NDArray[np.int8]:
        """Return the codes of state k, (n_sites,)."""
        cell = self.cells[k]
        repeats = [-(-length // period) for length, period in zip(self.lattice_shape, cell.shape, strict=True)]
        return np.tile(cell, repeats)[tuple(map(slice, self.lattice_shape))].ravel()


def ordered_states(system: LocalSystem, n_most: int = 64) -> OrderedStates:
    """Return the `n_most` states of lowest energy whose periods fit into the lattice and are at most 4 along each axis.

    Unit cells with more than 4096 states are left out.
    """
    lengths = [
        [p for p in range(1, _LONGEST_PERIOD + 1) if p == 1 or (length % p == 0 if wraps else 2 * p <= length)]
        for length, wraps in zip(system.lattice_shape, system.periodic, strict=True)
    ]
    found: list[tuple[float, NDArray[np.int8]]] = []
    for shape in itertools.product(*lengths):
        if system.n_states ** math.prod(shape) <= _MOST_PATTERNS:
            cells = _primitive_cells(shape, system.n_states)
            H = _energies_of_cells(cells, system)
            found += [(H[k], cells[k]) for k in np.argsort(H, kind="stable")[:n_most]]
    found = sorted(found, key=lambda each: each[0])[:n_most]
    return OrderedStates([cell for _, cell in found], np.array([H for H, _ in found]), system.lattice_shape)


def _primitive_cells(shape: tuple[int, ...], n_states: int) -> NDArray[np.int8]:
    """Return all states of a cell that have no shorter period along an axis."""
    n = math.prod(shape)
    codes = (np.arange(n_states**n)[:, None] // n_states ** np.arange(n) % n_states).astype(np.int8)
    cells = codes.reshape(-1, *shape)
    primitive = np.ones(len(cells), bool)
    for axis, period in enumerate(shape):
        if period > 1:
            shorter = np.roll(cells, 2 if period == 4 else 1, axis=axis + 1)
            primitive &= (shorter != cells).reshape(len(cells), -1).any(axis=1)
    return cells[primitive]


def _energies_of_cells(cells: NDArray[np.int8], system: LocalSystem) -> NDArray[np.float64]:
    """Return H of the lattice filled with each cell; one period is enough along periodic axes."""
    axes = list(zip(system.lattice_shape, system.periodic, cells.shape[1:], strict=True))
    shape = tuple(period if wraps else length for length, wraps, period in axes)
    repeats = [1 if wraps else -(-length // period) for length, wraps, period in axes]
    tiled = np.tile(cells, [1, *repeats])[(slice(None), *map(slice, shape))].reshape(len(cells), -1)
    small = LocalSystem(system.energy, shape, system.periodic, system.field)
    return small.energies(tiled) * (system.n_sites / small.n_sites)


def typical_change(system: LocalSystem) -> float:
    """Return the root mean square change of the energy by a change of one site in a random state."""
    codes = np.random.default_rng(0).integers(0, system.n_states, (64, system.n_sites)).astype(np.int8)
    changed = codes.copy()
    middle = np.ravel_multi_index([length // 2 for length in system.lattice_shape], system.lattice_shape)
    changed[:, middle] = (changed[:, middle] + 1) % system.n_states
    return float(np.sqrt(np.mean((system.energies(changed) - system.energies(codes)) ** 2)))
