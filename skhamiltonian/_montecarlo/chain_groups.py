"""Groups of chains side by side that a kernel moves, in calls short enough for Ctrl-C."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parallel import Threads, Watch

_NANOSECONDS_PER_CALL = 5e7
_COOLING_STEPS = 32
_DRAWS_PER_CHAIN = 8


class ChainGroup(ABC):
    """Chains that share random streams and kernel calls; groups are independent of each other.

    States are rows of int8 numbers, spins -1 and 1 or codes of an alphabet, or rows of float64 angles.
    """

    most_chains: int  # in a group
    enough_chains: int  # for a sample of any size
    trial_chains: int  # at most, in a trial run
    dtype: type[np.generic] = np.int8  # of a state
    freezes = True  # if it starts from disorder at low temperature

    def __init__(self, states: NDArray[Any], system: Any, seed: np.random.SeedSequence) -> None:
        self.n_chains, self.n_sites = states.shape
        self.system = system
        self.watch = Watch()
        self.rng = np.random.default_rng(seed.spawn(1)[0])
        self._pack(states, seed)

    @abstractmethod
    def advance(self, n_sweeps: int, temperature: float) -> None:
        """Move all chains."""

    @abstractmethod
    def states(self) -> NDArray[Any]:
        """Return the states of the chains, (n_chains, n_sites)."""

    @abstractmethod
    def values(self, states: NDArray[Any]) -> NDArray[Any]:
        """Return the value of every site."""

    @abstractmethod
    def energies(self, states: NDArray[Any]) -> NDArray[np.float64]:
        """Return H of every state."""

    @abstractmethod
    def apply_symmetry(self, states: NDArray[Any]) -> None:
        """Apply a random symmetry of H to each of the states, in place: a flip with probability 1/2, or a rotation."""

    @abstractmethod
    def _pack(self, states: NDArray[Any], seed: np.random.SeedSequence) -> None:
        """Store the states as the kernel needs them, and create the random streams."""

    @abstractmethod
    def _nanoseconds(self, n_chains: int) -> float:
        """Return about how long a sweep of so many chains takes for each site."""

    def equilibrate(self, n_sweeps: int, temperature: float, hot: float = 0.0) -> None:
        """Move all chains `n_sweeps` times, after a cooling from a higher temperature `hot` in as many sweeps."""
        if hot > temperature:
            self.watch.expect(n_sweeps // _COOLING_STEPS * _COOLING_STEPS * self.n_chains)
            for T in np.geomspace(hot, max(temperature, 0.01 * hot), _COOLING_STEPS):
                self.advance(n_sweeps // _COOLING_STEPS, T)
        self.advance(n_sweeps, temperature)

    def renewal_time(self) -> float:
        """Return the mean number of sweeps between arrivals from the hottest rung; 1 if it is not measured."""
        return 1.0

    def _calls(self, n_sweeps: int, n_chains: int) -> Iterator[int]:
        """Divide sweeps into calls, between which Ctrl-C is heard and progress is shown."""
        most = max(1, int(_NANOSECONDS_PER_CALL / (self.n_sites * self._nanoseconds(n_chains))))
        for done in range(0, n_sweeps, most):
            if self.watch.is_set():
                raise InterruptedError("another thread was interrupted")
            n = min(n_sweeps - done, most)
            yield n
            self.watch.done(n * min(n_chains, self.n_chains))  # a kernel may move spare chains, too


def number_of_chains(kind: type[ChainGroup], n_samples: int, given: int | None = None) -> int:
    """Return the number of chains: by default about eight draws to each, and never more than draws."""
    by_default = min(max(64, math.ceil(n_samples / _DRAWS_PER_CHAIN)), kind.enough_chains)
    return max(1, min(by_default if given is None else int(given), n_samples))


def start_groups(
    kind: type[ChainGroup],
    n_chains: int,
    start: Callable[[int, np.random.SeedSequence, Watch], Any],
    seed: np.random.SeedSequence,
    threads: Threads,
) -> list[Any]:
    """Return start(n, seed, watch) of each group of n chains, `n_chains` in all."""
    sizes = [min(kind.most_chains, n_chains - first) for first in range(0, n_chains, kind.most_chains)]
    each = zip(sizes, seed.spawn(len(sizes)), strict=True)
    return threads.run(lambda watch, n, child: start(n, child, watch), each)


def draw_states(groups: list[Any], n_samples: int, n_sweeps: int, temperature: float, threads: Threads) -> NDArray[Any]:
    """Move all chains further and return at least `n_samples` states, (n_chains, n_draws, n_sites).

    If H(-s) = H(s), every state is flipped with probability 1/2, or rotated by a random angle: moves of single sites
    would need long for that.
    """
    firsts = np.cumsum([0] + [group.n_chains for group in groups])
    n_chains, n_sites = firsts[-1], groups[0].n_sites
    draws = np.empty((n_chains, math.ceil(n_samples / n_chains), n_sites), dtype=groups[0].dtype)
    is_even = groups[0].system.is_even

    def fill(watch: Watch, group: ChainGroup, block: NDArray[Any]) -> None:
        group.watch = watch
        for t in range(block.shape[1]):
            group.advance(n_sweeps, temperature)
            block[:, t] = group.states()
        if is_even:
            group.apply_symmetry(block)

    blocks = [draws[a:b] for a, b in pairwise(firsts)]
    threads.run(fill, zip(groups, blocks, strict=True))
    return draws


def evolve_rows(
    states: NDArray[Any], engine: Any, n_sweeps: int, seed: np.random.SeedSequence, threads: Threads
) -> NDArray[Any]:
    """Return every row of `states` after `n_sweeps` sweeps."""
    result = np.empty_like(states)
    most = engine.kind.most_chains
    firsts = range(0, len(states), most)

    def evolve(watch: Watch, first: int, child: np.random.SeedSequence) -> None:
        rows = slice(first, first + most)
        group = engine.new_group(states[rows], child)
        group.watch = watch
        group.advance(n_sweeps, engine.temperature)
        result[rows] = group.states()

    threads.run(evolve, zip(firsts, seed.spawn(len(firsts)), strict=True))
    return result
