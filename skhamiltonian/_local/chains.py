"""Chains side by side that a kernel moves, in calls short enough for Ctrl-C."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Event

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.kernels import new_streams
from .energy import window_sites
from .kernels import Terms, pattern_numbers, single_site_sweeps
from .network_moves import NetworkMoves
from .swendsen_wang import cluster_sweeps, pair_terms
from .system import LocalSystem

_NANOSECONDS_PER_CALL = 5e7
_ENOUGH_LANES = 128
LARGEST_BETA = 1e300


class ChainGroup:
    """Chains that share kernel calls; what happens to one group is independent of all others."""

    most_chains = 128  # in a group
    enough_chains = 256  # for a sample of any size
    pilot_chains = 64  # for a look at the autocorrelation
    freezes = True  # where it starts from disorder in the cold

    def __init__(self, codes: NDArray[np.int8], system: LocalSystem, seed: np.random.SeedSequence) -> None:
        self.n_chains, self.n_sites = codes.shape
        self.system = system
        self.stop = Event()
        self.rng = np.random.default_rng(seed.spawn(1)[0])
        self._pack(codes, seed)

    @classmethod
    def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
        """Return about how long a sweep of all chains takes for each site of the lattice."""
        raise NotImplementedError

    def advance(self, n_sweeps: int, temperature: float) -> None:
        """Move all chains."""
        raise NotImplementedError

    def codes(self) -> NDArray[np.int8]:
        """Return the states of the chains, (n_chains, n_sites)."""
        raise NotImplementedError

    def _pack(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        raise NotImplementedError

    def _calls(self, n_sweeps: int) -> Iterator[int]:
        """Divide sweeps into calls, between which Ctrl-C is heard."""
        price = self.n_sites * self.nanoseconds(self.system, self.n_chains)
        most = max(1, int(_NANOSECONDS_PER_CALL / price))
        for done in range(0, n_sweeps, most):
            if self.stop.is_set():
                raise InterruptedError("another thread was interrupted")
            yield min(n_sweeps - done, most)


class HeatBathGroup(ChainGroup):
    """Chains moved by `single_site_sweeps`; where they are few, lattices are cut into strips side by side."""

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
        self.lanes = np.ascontiguousarray(cells.reshape(self.n_strips * self.n_chains, -1).T)
        self.number = pattern_numbers(self.lanes, self.windows)
        self.streams = new_streams(seed, self.lanes.shape[1])

    def advance(self, n_sweeps: int, temperature: float) -> None:
        beta = np.full(self.lanes.shape[1], min(1 / temperature, LARGEST_BETA))
        for n in self._calls(n_sweeps):
            single_site_sweeps(
                self.lanes, self.number, n, self.windows, self.system.terms, beta, self.metropolis, self.streams
            )

    def codes(self) -> NDArray[np.int8]:
        cells = self.lanes.T.reshape(self.cell_shape)
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


class ClusterGroup(ChainGroup):
    """Chains of two states moved by `cluster_sweeps`."""

    most_chains, enough_chains, pilot_chains = 16, 64, 16
    freezes = False

    @classmethod
    def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
        return (30.0 + 7.0 * math.prod(system.energy.window_shape)) * n_chains

    def _pack(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.rows = np.ascontiguousarray(codes)
        self.windows = self.system.windows()
        self.number = np.ascontiguousarray(pattern_numbers(np.ascontiguousarray(codes.T), self.windows).T)
        self.pairs = pair_terms(self.system.energy, self.windows.sites)
        self.streams = new_streams(seed, 16)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        beta, rest = min(1 / temperature, LARGEST_BETA), Terms(self.pairs.rest, self.system.site_energy)
        for n in self._calls(n_sweeps):
            cluster_sweeps(
                self.rows, self.number, n, self.windows, self.pairs.bonds, self.pairs.strength, rest, beta, self.streams
            )

    def codes(self) -> NDArray[np.int8]:
        return self.rows


class NetworkHeatBathGroup(ChainGroup):
    """Chains moved by `NetworkMoves`."""

    most_chains, enough_chains, pilot_chains = 16, 64, 16
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
        for n in self._calls(n_sweeps):
            for _ in range(n):
                self.moves.sweep(self.rows, min(1 / temperature, LARGEST_BETA), self.metropolis, self.rng)

    def codes(self) -> NDArray[np.int8]:
        return self.rows


class NetworkMetropolisGroup(NetworkHeatBathGroup):
    """Chains moved by Metropolis with a network."""

    metropolis = True
