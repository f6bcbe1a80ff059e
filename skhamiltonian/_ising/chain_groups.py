"""Groups of chains of spins, one class for each kernel, and the prices of their sweeps."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.chain_groups import ChainGroup
from .._montecarlo.kernels import new_streams
from .kernels import energies, heat_bath, swendsen_wang
from .multispin import multispin_heat_bath, pack, probability_bits, uniform_couplings, unpack
from .tempering import Replicas, ladder, temper
from .terms import SpinSystem

_NANOSECONDS_PER_CALL = 5e7  # of Swendsen-Wang chains, which a call moves one after the other


@dataclass(frozen=True)
class Prices:
    """A sweep of n chains takes about ``fixed + per_chain * n`` nanoseconds a site (one core of a server, 2026)."""

    fixed: float
    per_chain: float

    def of(self, n_chains: int) -> float:
        """Return the nanoseconds that a sweep takes for each site."""
        return self.fixed + self.per_chain * n_chains


class SpinGroup(ChainGroup):
    """Chains of spins -1 and 1."""

    system: SpinSystem

    def __init__(self, spins: NDArray[np.int8], system: SpinSystem, seed: np.random.SeedSequence) -> None:
        self.price = self.prices(system)
        super().__init__(spins, system, seed)

    @staticmethod
    @abstractmethod
    def prices(system: SpinSystem) -> Prices:
        """Return the price of a sweep."""

    def values(self, states: NDArray[np.int8]) -> NDArray[np.int8]:
        return states

    def energies(self, states: NDArray[np.int8]) -> NDArray[np.float64]:
        return energies(states, self.system)

    def apply_symmetry(self, states: NDArray[np.int8]) -> None:
        states *= self.rng.choice(np.array([-1, 1], dtype=np.int8), (*states.shape[:-1], 1))

    def _nanoseconds(self, n_chains: int) -> float:
        return self.price.of(n_chains)


class HeatBathGroup(SpinGroup):
    """Chains of any energy, moved by `heat_bath`."""

    most_chains, enough_chains, trial_chains = 256, 256, 64

    @staticmethod
    def prices(system: SpinSystem) -> Prices:
        n = terms_per_site(system)
        return Prices(64.0 + 6.5 * n, 0.3 + 0.05 * n)

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.spins = np.ascontiguousarray(spins.T)
        self.streams = new_streams(seed, (len(spins) + 1) // 2)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        beta = np.full(self.n_chains, 1 / temperature)
        for n in self._calls(n_sweeps, self.n_chains):
            heat_bath(self.spins, n, self.system, beta, self.streams)

    def states(self) -> NDArray[np.int8]:
        return self.spins.T


class TemperedGroup(HeatBathGroup):
    """Chains at the coldest rung of a ladder of inverse temperatures, each with a replica on every rung."""

    most_chains, enough_chains, trial_chains = 32, 64, 32
    freezes = False

    def __init__(
        self,
        spins: NDArray[np.int8],
        system: SpinSystem,
        seed: np.random.SeedSequence,
        ladder: NDArray[np.float64],
    ) -> None:
        self.ladder = ladder
        super().__init__(spins, system, seed)
        self.price = self.prices_on(system, len(ladder))

    @staticmethod
    def prices_on(system: SpinSystem, n_rungs: int) -> Prices:
        """Return the price of a sweep with its exchanges."""
        n = terms_per_site(system)
        return Prices(80.0 + 10.0 * n, (0.4 + 0.1 * n) * n_rungs)

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        n_rungs = len(self.ladder)
        n_replicas = self.n_chains * n_rungs
        super()._pack(np.repeat(spins, n_rungs, axis=0), seed)
        column = np.arange(n_replicas).reshape(self.n_chains, n_rungs)
        self.replicas = Replicas(self.ladder, column, np.zeros(n_replicas, dtype=bool))
        self.n_done = self.arrivals = 0

    def advance(self, n_sweeps: int, temperature: float) -> None:
        for n in self._calls(n_sweeps, self.n_chains):
            self.arrivals += temper(self.spins, n, self.system, self.replicas, self.n_done, self.streams)
            self.n_done += n

    def states(self) -> NDArray[np.int8]:
        return self.spins[:, self.replicas.column[:, 0]].T

    def renewal_time(self) -> float:
        return self.n_done * self.n_chains / max(1, self.arrivals)


class MultiSpinGroup(SpinGroup):
    """Chains with couplings of one strength, moved by `multispin_heat_bath`; a word has 64 chains."""

    most_chains, enough_chains, trial_chains = 1024, 1024, 64

    @staticmethod
    def prices(system: SpinSystem) -> Prices:
        return Prices(80.0, 0.22)

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.words = pack(spins)
        self.streams = new_streams(seed, self.words.shape[1])
        couplings = uniform_couplings(self.system)
        assert couplings is not None  # `new_engine` has checked this
        self.couplings = couplings

    def advance(self, n_sweeps: int, temperature: float) -> None:
        J, h, start, neighbours, inverted = self.couplings
        digits = probability_bits(int(np.diff(start).max()), J, h, temperature)
        for n in self._calls(n_sweeps, 64 * self.words.shape[1]):
            multispin_heat_bath(self.words, n, start, neighbours, inverted, digits, self.streams)

    def states(self) -> NDArray[np.int8]:
        return unpack(self.words, self.n_chains)


class ClusterGroup(SpinGroup):
    """Chains with pair terms and fields, moved by `swendsen_wang`.

    A field is a bond to a ghost spin, the last site. The ghost is flipped like all spins; the state of a spin is its
    product with the ghost.
    """

    most_chains, enough_chains, trial_chains = 16, 64, 16

    @staticmethod
    def prices(system: SpinSystem) -> Prices:
        return Prices(0.0, 6.0 + 2.5 * terms_per_site(system))

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        ghost, first = self.n_sites, self.system.term_start[:-1]
        self.rows = np.concatenate([spins, np.ones((self.n_chains, 1), np.int8)], axis=1)
        second = np.append(self.system.term_sites, ghost)[first + 1]
        second = np.where(np.diff(self.system.term_start) == 2, second, ghost)
        self.bonds = np.stack([self.system.term_sites[first], second], axis=1).astype(np.int32)
        self.streams = new_streams(seed, 16)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        per_chain = self.n_sites * self.price.per_chain * max(1, n_sweeps)
        chains_per_call = max(1, int(_NANOSECONDS_PER_CALL / per_chain))
        for chain in range(0, self.n_chains, chains_per_call):
            rows = self.rows[chain : chain + chains_per_call]
            for n in self._calls(n_sweeps, len(rows)):
                swendsen_wang(rows, n, self.bonds, self.system.strength, temperature, self.streams)

    def states(self) -> NDArray[np.int8]:
        return self.rows[:, :-1] * self.rows[:, -1:]


def terms_per_site(system: SpinSystem) -> float:
    """Return the mean number of terms that hold a site."""
    return len(system.site_terms) / max(1, system.n_sites)


@dataclass(frozen=True)
class Engine:
    """A method for one system at one temperature: the class of its groups of chains, and the price of a sweep."""

    method: str
    system: SpinSystem
    temperature: float
    kind: type[SpinGroup]
    price: Prices
    ground_state: NDArray[np.int8] | None  # chains start from it or from its reversal; None: from disorder
    options: tuple[NDArray[np.float64], ...] = ()

    def new_group(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> SpinGroup:
        """Return chains that start from these spins."""
        return self.kind(spins, self.system, seed, *self.options)


def new_engine(
    method: str, system: SpinSystem, temperature: float, ground_state: NDArray[np.int8] | None = None
) -> Engine:
    """Return the engine of a method."""
    if method == "parallel-tempering":
        rungs = ladder(system, temperature)
        price = TemperedGroup.prices_on(system, len(rungs))
        return Engine(method, system, temperature, TemperedGroup, price, ground_state, (rungs,))
    if method == "swendsen-wang":
        if (k := system.largest_order) > 2:
            raise ValueError(f"method='swendsen-wang' needs pair terms and fields only, got a term of {k} spins")
        kind: type[SpinGroup] = ClusterGroup
    else:
        kind = HeatBathGroup if uniform_couplings(system) is None else MultiSpinGroup
    return Engine(method, system, temperature, kind, kind.prices(system), ground_state)
