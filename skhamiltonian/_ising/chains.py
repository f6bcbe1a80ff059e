"""Chains side by side that a kernel moves, in calls short enough for Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import numpy as np
from numpy.typing import NDArray

from .._lattice.bonds import SpinSystem
from .._montecarlo.kernels import new_streams
from .kernels import heat_bath, swendsen_wang
from .multispin import multispin_heat_bath, pack, probability_bits, uniform_couplings, unpack
from .tempering import ladder, temper

_NANOSECONDS_PER_CALL = 5e7


class ChainGroup:
    """Chains that share random streams and kernel calls; what happens to one group is independent of all others.

    A sweep of n chains takes about ``fixed_price + price * n`` nanoseconds a site.
    """

    fixed_price: float
    price: float
    most_chains: int  # in a group
    enough_chains: int  # for a sample of any size
    pilot_chains: int  # for a look at the autocorrelation
    freezes = True  # where it starts from disorder in the cold

    def __init__(self, spins: NDArray[np.int8], system: SpinSystem, seed: np.random.SeedSequence) -> None:
        self.n_chains, self.n_sites = spins.shape
        self.system = system
        self.stop = Event()
        self.rng = np.random.default_rng(seed.spawn(1)[0])
        self._pack(spins, seed)

    @classmethod
    def nanoseconds(cls, n_chains: int) -> float:
        """Return the price of a sweep for each site."""
        return cls.fixed_price + cls.price * n_chains

    def advance(self, n_sweeps: int, temperature: float) -> None:
        """Move all chains."""
        raise NotImplementedError

    def configurations(self) -> NDArray[np.int8]:
        """Return the states of the chains, (n_chains, n_sites)."""
        raise NotImplementedError

    def renewal_time(self) -> float:
        """Return after how many sweeps a chain takes up a state from where all is forgotten, 1 where it never does."""
        return 1.0

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        raise NotImplementedError

    def _calls(self, n_sweeps: int, n_chains: int) -> Iterator[int]:
        """Divide sweeps into calls, between which Ctrl-C is heard."""
        most = max(1, int(_NANOSECONDS_PER_CALL / (self.n_sites * self.nanoseconds(n_chains))))
        for done in range(0, n_sweeps, most):
            if self.stop.is_set():
                raise InterruptedError("another thread was interrupted")
            yield min(n_sweeps - done, most)


class HeatBathGroup(ChainGroup):
    """Chains of any energy, moved by `heat_bath`."""

    fixed_price, price = 90.0, 0.5
    most_chains, enough_chains, pilot_chains = 256, 256, 64

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
    """Chains at the coldest rung of a ladder of temperatures, moved by `temper`: each a replica on every rung."""

    ladder: NDArray[np.float64]
    most_chains, enough_chains, pilot_chains = 32, 64, 32
    freezes = False

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        n_replicas = self.n_chains * len(self.ladder)
        super()._pack(np.repeat(spins, len(self.ladder), axis=0), seed)
        self.column = np.arange(n_replicas).reshape(self.n_chains, -1)
        self.from_hot = np.zeros(n_replicas, dtype=bool)
        self.n_done = self.arrivals = 0

    def advance(self, n_sweeps: int, temperature: float) -> None:
        for n in self._calls(n_sweeps, self.n_chains):
            self.arrivals += temper(
                self.spins, n, self.system, self.ladder, self.column, self.from_hot, self.n_done, self.streams
            )
            self.n_done += n

    def configurations(self) -> NDArray[np.int8]:
        return self.spins[:, self.column[:, 0]].T

    def renewal_time(self) -> float:
        return self.n_done * self.n_chains / max(1, self.arrivals)


def tempered_group(system: SpinSystem, temperature: float) -> type[TemperedGroup]:
    """Return the class of chains with the ladder for this system down to this temperature."""
    rungs = ladder(system, temperature)
    terms_per_site = len(system.site_terms) / system.n_sites

    class Tempered(TemperedGroup):
        ladder = rungs
        fixed_price, price = 120.0, (0.5 + terms_per_site) * len(rungs)

    return Tempered


class MultiSpinGroup(ChainGroup):
    """Chains with couplings of one strength, moved by `multispin_heat_bath`, 64 in a word."""

    fixed_price, price = 80.0, 0.22
    most_chains, enough_chains, pilot_chains = 1024, 1024, 64

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

    fixed_price, price = 0.0, 16.0
    most_chains, enough_chains, pilot_chains = 16, 64, 16

    def _pack(self, spins: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        ghost, first = self.n_sites, self.system.term_start[:-1]
        self.states = np.concatenate([spins, np.ones((self.n_chains, 1), np.int8)], axis=1)
        second = np.append(self.system.term_sites, ghost)[first + 1]
        second = np.where(np.diff(self.system.term_start) == 2, second, ghost)
        self.bonds = np.stack([self.system.term_sites[first], second], axis=1).astype(np.int32)
        self.streams = new_streams(seed, 16)

    def advance(self, n_sweeps: int, temperature: float) -> None:
        per_chain = self.n_sites * self.price * max(1, n_sweeps)
        chains_per_call = max(1, int(_NANOSECONDS_PER_CALL / per_chain))
        for chain in range(0, self.n_chains, chains_per_call):
            states = self.states[chain : chain + chains_per_call]
            for n in self._calls(n_sweeps, len(states)):
                swendsen_wang(states, n, self.bonds, self.system.strength, temperature, self.streams)

    def configurations(self) -> NDArray[np.int8]:
        return self.states[:, :-1] * self.states[:, -1:]


def group_class(algorithm: str, system: SpinSystem, temperature: float) -> type[ChainGroup]:
    """Return the class of chains that moves by the algorithm of that name."""
    if algorithm == "parallel-tempering":
        return tempered_group(system, temperature)
    if algorithm == "swendsen-wang":
        if (k := system.largest_order) > 2:
            raise ValueError(f"algorithm='swendsen-wang' moves pair terms and fields only, got a term of {k} spins")
        return ClusterGroup
    return HeatBathGroup if uniform_couplings(system) is None else MultiSpinGroup
