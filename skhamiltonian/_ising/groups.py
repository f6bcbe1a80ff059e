"""Groups of chains side by side that a kernel moves, in calls short enough for Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.kernels import new_streams
from .kernels import heat_bath, swendsen_wang
from .multispin import multispin_heat_bath, pack, probability_bits, uniform_couplings, unpack
from .tempering import Replicas, ladder, temper
from .terms import SpinSystem

_NANOSECONDS_PER_CALL = 5e7


@dataclass(frozen=True)
class Prices:
    """A sweep of n chains takes about ``fixed + per_chain * n`` nanoseconds a site (one core of a server, 2026)."""

    fixed: float
    per_chain: float

    def of(self, n_chains: int) -> float:
        """Return the nanoseconds that a sweep takes for each site."""
        return self.fixed + self.per_chain * n_chains


class ChainGroup:
    """Chains that share random streams and kernel calls; groups are independent of each other."""

    most_chains: int  # in a group
    enough_chains: int  # for a sample of any size
    trial_chains: int  # at most, in a trial run
    freezes = True  # if it starts from disorder at low temperature

    def __init__(self, spins: NDArray[np.int8], system: SpinSystem, seed: np.random.SeedSequence) -> None:
        self.n_chains, self.n_sites = spins.shape
        self.system = system
        self.price = self.prices(system)
        self.stop = Event()
        self.rng = np.random.default_rng(seed.spawn(1)[0])
        self._pack(spins, seed)

    @staticmethod
    def prices(system: SpinSystem) -> Prices:
        """Return what a sweep costs."""
        raise NotImplementedError

    def advance(self, n_sweeps: int, temperature: float) -> None:
        """Move all chains."""
        raise NotImplementedError

    def configurations(self) -> NDArray[np.int8]:
        """Return the states of the chains, (n_chains, n_sites)."""
        raise NotImplementedError

    def renewal_time(self) -> float:
        """Return the mean number of sweeps between arrivals from the hottest rung; 1 without tempering."""
        return 1.0

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        raise NotImplementedError

    def _calls(self, n_sweeps: int, n_chains: int) -> Iterator[int]:
        """Divide sweeps into calls, between which Ctrl-C is heard."""
        most = max(1, int(_NANOSECONDS_PER_CALL / (self.n_sites * self.price.of(n_chains))))
        for done in range(0, n_sweeps, most):
            if self.stop.is_set():
                raise InterruptedError("another thread was interrupted")
            yield min(n_sweeps - done, most)


class HeatBathGroup(ChainGroup):
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

    def configurations(self) -> NDArray[np.int8]:
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
        """Return what a sweep with its exchanges costs."""
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

    def configurations(self) -> NDArray[np.int8]:
        return self.spins[:, self.replicas.column[:, 0]].T

    def renewal_time(self) -> float:
        return self.n_done * self.n_chains / max(1, self.arrivals)


class MultiSpinGroup(ChainGroup):
    """Chains with couplings of one strength, moved by `multispin_heat_bath`, 64 in a word."""

    most_chains, enough_chains, trial_chains = 1024, 1024, 64

    @staticmethod
    def prices(system: SpinSystem) -> Prices:
        return Prices(80.0, 0.22)

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        self.words = pack(spins)
        self.streams = new_streams(seed, self.words.shape[1])
        couplings = uniform_couplings(self.system)
        assert couplings is not None  # `group_class` has asked
        self.couplings = couplings

    def advance(self, n_sweeps: int, temperature: float) -> None:
        J, h, start, neighbours, inverted = self.couplings
        digits = probability_bits(int(np.diff(start).max()), J, h, temperature)
        for n in self._calls(n_sweeps, 64 * self.words.shape[1]):
            multispin_heat_bath(self.words, n, start, neighbours, inverted, digits, self.streams)

    def configurations(self) -> NDArray[np.int8]:
        return unpack(self.words, self.n_chains)


class ClusterGroup(ChainGroup):
    """Chains with pair terms and fields, moved by `swendsen_wang`.

    A field is a bond to a ghost spin, the last site. It is turned over like the others; what counts is a spin
    relative to it.
    """

    most_chains, enough_chains, trial_chains = 16, 64, 16

    @staticmethod
    def prices(system: SpinSystem) -> Prices:
        return Prices(0.0, 6.0 + 2.5 * terms_per_site(system))

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        ghost, first = self.n_sites, self.system.term_start[:-1]
        self.states = np.concatenate([spins, np.ones((self.n_chains, 1), np.int8)], axis=1)
        second = np.append(self.system.term_sites, ghost)[first + 1]
        second = np.where(np.diff(self.system.term_start) == 2, second, ghost)
        self.bonds = np.stack([self.system.term_sites[first], second], axis=1).astype(np.int32)
        self.streams = new_streams(seed, 16)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        per_chain = self.n_sites * self.price.per_chain * max(1, n_sweeps)
        chains_per_call = max(1, int(_NANOSECONDS_PER_CALL / per_chain))
        for chain in range(0, self.n_chains, chains_per_call):
            states = self.states[chain : chain + chains_per_call]
            for n in self._calls(n_sweeps, len(states)):
                swendsen_wang(states, n, self.bonds, self.system.strength, temperature, self.streams)

    def configurations(self) -> NDArray[np.int8]:
        return self.states[:, :-1] * self.states[:, -1:]


def terms_per_site(system: SpinSystem) -> float:
    """Return how many terms hold a site, on average."""
    return len(system.site_terms) / max(1, system.n_sites)


@dataclass(frozen=True)
class Engine:
    """A method for one system at one temperature: the class of its groups of chains, and what a sweep costs."""

    method: str
    system: SpinSystem
    temperature: float
    group: type[ChainGroup]
    price: Prices
    ground_state: NDArray[np.int8] | None  # where chains start; None: from disorder
    options: tuple[NDArray[np.float64], ...] = ()

    def new_group(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> ChainGroup:
        """Return chains that start from these spins."""
        return self.group(spins, self.system, seed, *self.options)


def new_engine(
    method: str, system: SpinSystem, temperature: float, ground_state: NDArray[np.int8] | None = None
) -> Engine:
    """Return the engine of the method of that name."""
    if method == "parallel-tempering":
        rungs = ladder(system, temperature)
        price = TemperedGroup.prices_on(system, len(rungs))
        return Engine(method, system, temperature, TemperedGroup, price, ground_state, (rungs,))
    if method == "swendsen-wang":
        if (k := system.largest_order) > 2:
            raise ValueError(f"method='swendsen-wang' moves pair terms and fields only, got a term of {k} spins")
        group: type[ChainGroup] = ClusterGroup
    else:
        group = HeatBathGroup if uniform_couplings(system) is None else MultiSpinGroup
    return Engine(method, system, temperature, group, group.prices(system), ground_state)
