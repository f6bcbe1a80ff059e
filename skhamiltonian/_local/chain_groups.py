"""Groups of chains of codes, one class for each kernel or network, and the time of their sweeps."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.chain_groups import ChainGroup
from .._montecarlo.kernels import new_streams
from .energy import window_sites
from .kernels import Lanes, new_lanes, pattern_numbers, single_site_sweeps
from .network_moves import NetworkMoves
from .swendsen_wang import cluster_sweeps, pair_terms
from .system import LocalSystem

_ENOUGH_LANES = 128
LARGEST_BETA = 1e300


class CodeGroup(ChainGroup):
    """Chains of codes 0 ... K - 1 of the states of a local energy."""

    system: LocalSystem
    most_chains, enough_chains, trial_chains = 128, 256, 64

    @classmethod
    @abstractmethod
    def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
        """Return the estimated nanoseconds of a sweep of all chains for each site of the lattice."""

    def values(self, states: NDArray[np.int8]) -> NDArray[np.float32]:
        return self.system.energy.states[states].astype(np.float32)

    def energies(self, states: NDArray[np.int8]) -> NDArray[np.float64]:
        return self.system.energies(states)

    def apply_symmetry(self, states: NDArray[np.int8]) -> None:
        states ^= self.rng.integers(0, 2, (*states.shape[:-1], 1), dtype=np.int8)

    def _nanoseconds(self, n_chains: int) -> float:
        return self.nanoseconds(self.system, n_chains)


class HeatBathGroup(CodeGroup):
    """Chains moved by `single_site_sweeps`; if they are few, lattices are cut into strips side by side."""

    metropolis = False

    @classmethod
    def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
        n = math.prod(system.energy.window_shape)
        states = 1 if system.n_states == 2 or cls.metropolis else 2 * system.n_states
        return 60.0 / strips(system, n_chains)[1] + (5.0 + 1.2 * n * states) * n_chains

    def _pack(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.axis, self.n_strips = strips(self.system, self.n_chains)
        self.windows = self.system.windows(self.axis, self.n_strips)
        shape = list(self.system.lattice_shape)
        shape[self.axis : self.axis + 1] = [self.n_strips, shape[self.axis] // self.n_strips]
        cells = np.moveaxis(codes.reshape(self.n_chains, *shape), self.axis + 1, 0)  # strips first, then chains
        self.cell_shape = cells.shape
        self.lanes = new_lanes(np.ascontiguousarray(cells.reshape(self.n_strips * self.n_chains, -1).T), self.windows)
        self.streams = new_streams(seed, self.lanes.codes.shape[1])

    def advance(self, n_sweeps: int, temperature: float) -> None:
        beta = np.full(self.lanes.codes.shape[1], min(1 / temperature, LARGEST_BETA))
        for n in self._calls(n_sweeps, self.n_chains):
            single_site_sweeps(self.lanes, n, self.windows, self.system.terms, beta, self.metropolis, self.streams)

    def states(self) -> NDArray[np.int8]:
        cells = self.lanes.codes.T.reshape(self.cell_shape)
        return np.moveaxis(cells, 0, self.axis + 1).reshape(self.n_chains, self.n_sites)


class MetropolisGroup(HeatBathGroup):
    """Chains moved by Metropolis."""

    metropolis = True


def strips(system: LocalSystem, n_chains: int) -> tuple[int, int]:
    """Return the axis and the number of strips that best fill the lanes, each strip as wide as a window."""
    best = (0, 1)
    for axis, (length, width) in enumerate(zip(system.lattice_shape, system.energy.window_shape, strict=True)):
        for n in range(2, min(length // width, _ENOUGH_LANES // n_chains) + 1):
            if length % n == 0 and n > best[1]:
                best = (axis, n)
    return best


class ClusterGroup(CodeGroup):
    """Chains of two states moved by `cluster_sweeps`."""

    most_chains, enough_chains, trial_chains = 16, 64, 16
    freezes = False

    @classmethod
    def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
        return (30.0 + 7.0 * math.prod(system.energy.window_shape)) * n_chains

    def _pack(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.windows = self.system.windows()
        number = pattern_numbers(np.ascontiguousarray(codes.T), self.windows)
        self.rows = Lanes(np.array(codes, order="C"), np.ascontiguousarray(number.T))
        self.pairs = pair_terms(self.system.energy, self.windows.sites)
        self.streams = new_streams(seed, 16)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        beta, site_energy = min(1 / temperature, LARGEST_BETA), self.system.site_energy
        for n in self._calls(n_sweeps, self.n_chains):
            cluster_sweeps(self.rows, n, self.windows, self.pairs, site_energy, beta, self.streams)

    def states(self) -> NDArray[np.int8]:
        return self.rows.codes


class NetworkHeatBathGroup(CodeGroup):
    """Chains moved by `NetworkMoves`."""

    most_chains, enough_chains, trial_chains = 16, 64, 16
    metropolis = False

    @classmethod
    def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
        proposals = 1 if cls.metropolis else system.n_states - 1
        return 1000.0 * math.prod(system.energy.window_shape) * proposals * n_chains

    def _pack(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.rows = np.array(codes)
        system = self.system
        sites = window_sites(system.lattice_shape, system.periodic, system.energy.window_shape)
        self.moves = NetworkMoves(self.rows, system, sites)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        for n in self._calls(n_sweeps, self.n_chains):
            for _ in range(n):
                self.moves.sweep(self.rows, min(1 / temperature, LARGEST_BETA), self.metropolis, self.rng)

    def states(self) -> NDArray[np.int8]:
        return self.rows


class NetworkMetropolisGroup(NetworkHeatBathGroup):
    """Chains moved by Metropolis with a network."""

    metropolis = True
