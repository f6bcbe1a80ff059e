"""Chains of a local energy from their start to their draws, spaced by their autocorrelation time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from threading import Event
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from .._montecarlo.statistics import autocorrelation_time
from .chains import ChainGroup
from .methods import group_class
from .system import LocalSystem, OrderedStates, ordered_states, typical_change

_NANOSECONDS_PER_PILOT = 1e10
_SHORTEST_PILOT = 32  # sweeps
_TYPICAL_PILOT = 512
_RECORDS = 256  # states looked at in a pilot run, however long it is
_COOLING_STEPS = 32


@dataclass(frozen=True)
class Starts:
    """Where chains start: from ordered states by their Boltzmann weights, or cooled from disorder."""

    ordered: OrderedStates
    cooled: bool = False

    def draw(self, n: int, temperature: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the numbers of the ordered states from which `n` chains start."""
        E = self.ordered.energy
        weight = np.exp((E.min() - E) / temperature)
        return rng.choice(len(E), n, p=weight / weight.sum())

    def phases(self, first: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return labels of the ordered states from which chains started, and of their energies; 0 if cooled."""
        if self.cooled:
            return np.zeros_like(first), np.zeros_like(first)
        E = self.ordered.energy[first]
        return first, np.round(E / (1e-9 * np.abs(E).max(initial=1e-300))).astype(np.int64)


@dataclass(frozen=True)
class Plan:
    """How a sample is drawn: sweeps before the first draw and between two, from the measured autocorrelation time."""

    method: str
    group: type[ChainGroup]
    starts: Starts
    burn_in: int
    n_sweeps: int
    tau: float  # integrated autocorrelation time in sweeps, the slowest of those looked at
    converged: bool


def plan(
    methods: tuple[str, ...],
    system: LocalSystem,
    temperature: float,
    n_samples: int,
    seed: np.random.SeedSequence,
) -> Plan:
    """Return the plan of the method with the least work for an independent draw.

    Draws are 2 tau apart, so that consecutive ones are correlated by exp(-4) where one mode is all; burn-in is 8 tau.
    A further method is tried as long as its trial is cheap against the sample that the best one so far would draw;
    chains are tempered only if the methods before do not forget their start.
    """
    starts = Starts(ordered_states(system))
    first = group_class(methods[0], system, temperature, seed.spawn(1)[0])
    starts = replace(starts, cooled=_cooling_goes_lower(first, system, starts, temperature, seed.spawn(1)[0]))
    plans: list[tuple[bool, float, Plan]] = []
    budget = _NANOSECONDS_PER_PILOT
    for method in methods:
        if plans and plans[-1][2].converged and method == "parallel-tempering":
            break
        group = first if method == methods[0] else group_class(method, system, temperature, seed.spawn(1)[0])
        if plans and _pilot_price(group, system, _SHORTEST_PILOT) > budget:
            break
        tau, n, converged = _pilot(group, system, starts, temperature, budget, seed.spawn(1)[0])
        n_chains = suitable_number(group, n_samples)
        n_draws = max(1, math.ceil(n_samples / n_chains))
        trial = Plan(method, group, starts, math.ceil(8 * tau), math.ceil(2 * tau), tau, True)
        if not converged:  # tau is unknown: spend on the draws what the burn-in takes
            trial = Plan(method, group, starts, n, max(1, n // n_draws), tau, False)
        sweeps = trial.burn_in + trial.n_sweeps * n_draws
        price = sweeps * system.n_sites * group.nanoseconds(system, n_chains)
        plans.append((not converged, price if converged else 0.0, trial))  # the first of those that are not
        budget = min(budget, 0.3 * price) if converged else budget
    return min(plans, key=lambda each: each[:2])[2]


def _pilot(
    group: type[ChainGroup],
    system: LocalSystem,
    starts: Starts,
    temperature: float,
    budget: float,
    seed: np.random.SeedSequence,
) -> tuple[float, int, bool]:
    """Return (tau, n, converged): chains ran n sweeps after as many of burn-in; converged means n >= 10 tau.

    The slowest counts of the energy, the mean state, the overlap with the ordered state of lowest energy and that
    with another chain; all but the energy without their sign if H has none.
    """
    lowest = system.energy.states[starts.ordered.codes(0)].astype(float)
    n, n_chains = _SHORTEST_PILOT, _pilot_chains(group, system)
    while True:
        [chains], [first] = start(group, system, starts, temperature, n_chains, n, seed.spawn(1)[0])
        stride = max(1, n // _RECORDS)
        E, m, q, r = np.empty((4, n_chains, n // stride))
        for t in range(n // stride):
            chains.advance(stride, temperature)
            codes = np.ascontiguousarray(chains.codes())
            s = system.energy.states[codes].astype(np.float32)
            E[:, t], m[:, t] = system.energies(codes), s.mean(axis=1)
            q[:, t], r[:, t] = (s * lowest).mean(axis=1), (s * np.roll(s, 1, axis=0)).mean(axis=1)
        if system.is_even:
            m, q, r = np.abs(m), np.abs(q), np.abs(r)
        one = starts.phases(first)
        two = [1j * np.roll(labels, 1) + labels for labels in one]  # of a chain and of the one before it
        series = [_without_phases(x, *phases) for x, phases in ((E, one), (m, one), (q, one), (r, two))]
        tau = stride * max(map(autocorrelation_time, series))
        if n >= 10 * tau or _pilot_price(group, system, 2 * n) > budget:
            return tau, n, n >= 10 * tau
        n *= 2


def _without_phases(x: NDArray[np.float64], phase: NDArray[Any], level: NDArray[Any]) -> NDArray[np.float64]:
    """Return x (n_chains, n_records) without the mean differences between phases of the same level.

    Symmetry makes ordered states of the same energy equivalent: chains are divided among them at the start, and need
    not change from one to another.
    """
    result = x.copy()
    for value in np.unique(level):
        same_level = level == value
        for each in np.unique(phase[same_level]):
            result[phase == each] += x[same_level].mean() - x[phase == each].mean()
    return result


def _pilot_price(group: type[ChainGroup], system: LocalSystem, n: int) -> float:
    """Return the nanoseconds of all trials up to that of n sweeps."""
    return 4 * n * system.n_sites * group.nanoseconds(system, _pilot_chains(group, system))


def _pilot_chains(group: type[ChainGroup], system: LocalSystem) -> int:
    """Return the number of chains in a trial: fewer on large lattices, so that each can run longer."""
    price = 4 * _TYPICAL_PILOT * system.n_sites * group.nanoseconds(system, 1)
    return max(2, min(group.pilot_chains, int(_NANOSECONDS_PER_PILOT / price)))


def _cooling_goes_lower(
    group: type[ChainGroup], system: LocalSystem, starts: Starts, temperature: float, seed: np.random.SeedSequence
) -> bool:
    """Whether chains cooled from disorder have a lower energy than those from ordered states, by three errors."""
    n_chains = 16
    price = 2 * n_chains * system.n_sites * group.nanoseconds(system, 1)
    n = max(_COOLING_STEPS, min(256, int(0.1 * _NANOSECONDS_PER_PILOT / price)))
    if not group.freezes:
        return False
    E = []
    for cooled in (False, True):
        [chains], _ = start(group, system, replace(starts, cooled=cooled), temperature, n_chains, n, seed.spawn(1)[0])
        E.append(system.energies(np.ascontiguousarray(chains.codes())))
    return bool(E[1].mean() < E[0].mean() - 3 * math.hypot(E[0].std(), E[1].std()) / math.sqrt(15))


def suitable_number(group: type[ChainGroup], n_samples: int) -> int:
    """Return the number of chains: about eight draws to each, and never more than draws."""
    return max(1, min(max(64, math.ceil(n_samples / 8)), group.enough_chains, n_samples))


def start(
    cls: type[ChainGroup],
    system: LocalSystem,
    starts: Starts,
    temperature: float,
    n_chains: int,
    burn_in: int,
    seed: np.random.SeedSequence,
    n_jobs: int | None = None,
) -> tuple[list[ChainGroup], list[NDArray[np.int64]]]:
    """Return groups of chains after their burn-in, and the numbers of the ordered states from which they started.

    From disorder chains would freeze in stripes at low T. If ordered states are known to be higher in energy, chains
    are cooled in as many sweeps as the burn-in has.
    """

    def start_group(stop: Event, n: int, child: np.random.SeedSequence) -> tuple[ChainGroup, NDArray[np.int64]]:
        first, moves = child.spawn(2)
        rng = np.random.default_rng(first)
        numbers = starts.draw(n, temperature, rng)
        if starts.cooled:
            codes = rng.integers(0, system.n_states, (n, system.n_sites)).astype(np.int8)
        else:
            states = {k: starts.ordered.codes(k) for k in np.unique(numbers)}
            codes = np.stack([states[k] for k in numbers])
        group = cls(codes, system, moves)
        group.stop = stop
        if starts.cooled and cls.freezes:
            for T in _cooling(system, temperature):
                group.advance(burn_in // _COOLING_STEPS, T)
        group.advance(burn_in, temperature)
        return group, numbers

    sizes = [min(cls.most_chains, n_chains - first) for first in range(0, n_chains, cls.most_chains)]
    groups, numbers = zip(
        *_in_parallel(start_group, zip(sizes, seed.spawn(len(sizes)), strict=True), n_jobs), strict=True
    )
    return list(groups), list(numbers)


def _cooling(system: LocalSystem, temperature: float) -> NDArray[np.float64]:
    """Return falling temperatures, from four times the typical change of the energy by one site to `temperature`."""
    hot = 4 * typical_change(system)
    return np.geomspace(hot, max(temperature, 0.01 * hot), _COOLING_STEPS) if hot > temperature else np.zeros(0)


def draw(
    groups: list[ChainGroup], n_samples: int, n_sweeps: int, temperature: float, n_jobs: int | None
) -> NDArray[np.int8]:
    """Let all chains run on and return the codes of at least `n_samples` states, (n_chains, n_draws, n_sites).

    Where H(-s) = H(s), every state is turned over with probability 1/2, which single sites would take long to do.
    """
    firsts = np.cumsum([0] + [group.n_chains for group in groups])
    n_chains, n_sites = firsts[-1], groups[0].n_sites
    draws = np.empty((n_chains, math.ceil(n_samples / n_chains), n_sites), dtype=np.int8)
    is_even = groups[0].system.is_even

    def fill(stop: Event, group: ChainGroup, block: NDArray[np.int8]) -> None:
        group.stop = stop
        for t in range(block.shape[1]):
            group.advance(n_sweeps, temperature)
            block[:, t] = group.codes()
        if is_even:
            block ^= group.rng.integers(0, 2, (*block.shape[:2], 1), dtype=np.int8)

    blocks = [draws[a:b] for a, b in pairwise(firsts)]
    _in_parallel(fill, zip(groups, blocks, strict=True), n_jobs)
    return draws


def _in_parallel(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    """Call function(stop, *each) in threads (kernels release the interpreter's lock); `stop` is set by Ctrl-C."""
    stop = Event()
    try:
        return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(stop, *each) for each in arguments)
    except BaseException:
        stop.set()
        raise
