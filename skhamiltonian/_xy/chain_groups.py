"""Groups of chains of angles, one class for each kernel."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.chain_groups import ChainGroup
from .._montecarlo.kernels import new_streams
from .kernels import cluster_sweeps, energies, local_sweeps
from .system import AngleSystem

FULL_TURN = 2 * np.pi
_REFLECTIONS = 4  # sweeps of over-relaxation for each sweep of the heat bath


class AngleGroup(ChainGroup):
    """Chains of angles in [0, 2 pi), side by side."""

    system: AngleSystem
    dtype = np.float64
    most_chains, enough_chains, trial_chains = 32, 64, 16

    @classmethod
    @abstractmethod
    def nanoseconds(cls, system: AngleSystem) -> float:
        """Return about how long a sweep of one chain takes for each site (one core of a server, 2026)."""

    @abstractmethod
    def _move(self, n_sweeps: int, temperature: float) -> None:
        """Move all chains in one call."""

    def advance(self, n_sweeps: int, temperature: float) -> None:
        for n in self._calls(n_sweeps, self.n_chains):
            self._move(n, temperature)

    def states(self) -> NDArray[np.float64]:
        return angles_of(self.cos, self.sin).T

    def values(self, states: NDArray[np.float64]) -> NDArray[np.complex128]:
        return np.exp(1j * states)

    def energies(self, states: NDArray[np.float64]) -> NDArray[np.float64]:
        return energies(states, self.system)

    def apply_symmetry(self, states: NDArray[np.float64]) -> None:
        states += self.rng.uniform(0.0, FULL_TURN, (*states.shape[:-1], 1))
        np.subtract(states, FULL_TURN, out=states, where=states >= FULL_TURN)

    def _pack(self, angles: NDArray[np.float64], seed: np.random.SeedSequence) -> None:
        self.cos, self.sin = np.ascontiguousarray(np.cos(angles.T)), np.ascontiguousarray(np.sin(angles.T))
        self.streams = new_streams(seed, self.n_chains)

    def _nanoseconds(self, n_chains: int) -> float:
        return self.nanoseconds(self.system) * n_chains


class HeatBathGroup(AngleGroup):
    """Chains moved by the heat bath and over-relaxation."""

    @classmethod
    def nanoseconds(cls, system: AngleSystem) -> float:
        return 60.0 + 20.0 * len(system.bonds) / system.n_sites

    def _move(self, n_sweeps: int, temperature: float) -> None:
        local_sweeps(self.cos, self.sin, n_sweeps, _REFLECTIONS, self.system, temperature, self.streams)


class ClusterGroup(AngleGroup):
    """Chains moved by clusters, the heat bath and over-relaxation."""

    @classmethod
    def nanoseconds(cls, system: AngleSystem) -> float:
        return 75.0 + 40.0 * len(system.ghost_bonds) / system.n_sites

    def _move(self, n_sweeps: int, temperature: float) -> None:
        cluster_sweeps(self.cos, self.sin, n_sweeps, _REFLECTIONS, self.system, temperature, self.streams)


def angles_of(cos: NDArray[np.float64], sin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles of unit vectors, in [0, 2 pi)."""
    return wrapped(np.arctan2(sin, cos))


def wrapped(angles: NDArray[Any]) -> NDArray[np.float64]:
    """Return angles modulo 2 pi, in [0, 2 pi)."""
    turned = np.mod(np.asarray(angles, dtype=np.float64), FULL_TURN)
    turned[turned >= FULL_TURN] = 0.0  # the remainder of -1e-17 is rounded to 2 pi
    return turned


@dataclass(frozen=True)
class Engine:
    """A method for one system at one temperature."""

    method: str
    system: AngleSystem
    temperature: float

    @property
    def kind(self) -> type[AngleGroup]:
        """The class of its groups of chains."""
        return ClusterGroup if self.method == "wolff" else HeatBathGroup

    def new_group(self, angles: NDArray[np.float64], seed: np.random.SeedSequence) -> AngleGroup:
        """Return chains that start from these angles."""
        return self.kind(angles, self.system, seed)

    def price(self, n_sweeps: int, n_chains: int) -> float:
        """Return the estimated nanoseconds of `n_sweeps` sweeps of `n_chains` chains."""
        return n_sweeps * n_chains * self.system.n_sites * self.kind.nanoseconds(self.system)
