"""Trial runs measure which method draws a sample with the least work, and how many sweeps it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.chain_groups import number_of_chains, start_groups
from .._montecarlo.parallel import ONE_THREAD, Threads, Watch
from .._montecarlo.planning import Plan, Request
from .._montecarlo.statistics import autocorrelation_time
from .._montecarlo.trials import NANOSECONDS_PER_TRIAL, Trial, record
from .chain_groups import CodeGroup
from .methods import group_class
from .system import LocalSystem, OrderedStates, ordered_states, typical_change

_SHORTEST_TRIAL = 32  # sweeps
_TYPICAL_TRIAL = 512
_COOLED_CHAINS, _COOLING_SWEEPS = 16, (32, 256)


@dataclass(frozen=True)
class Starts:
    """The start of chains: ordered states by their Boltzmann weights, or disorder with a cooling."""

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
class Engine:
    """A method for one system at one temperature: the class of its groups of chains, and their start."""

    method: str
    system: LocalSystem
    temperature: float
    kind: type[CodeGroup]
    starts: Starts

    def new_group(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> CodeGroup:
        """Return chains that start from these codes."""
        return self.kind(codes, self.system, seed)

    def price(self, n_sweeps: int, n_chains: int) -> float:
        """Return the estimated nanoseconds of `n_sweeps` sweeps of `n_chains` chains."""
        return n_sweeps * self.system.n_sites * self.kind.nanoseconds(self.system, n_chains)


def plan(methods: tuple[str, ...], request: Request, seed: np.random.SeedSequence) -> Plan:
    """Return the plan of the method with the least work for an independent draw, unless all sweeps are given.

    A further method is tried if its trial is cheap against the sample that the best method so far would draw. Tempered
    chains are tried only if no trial before has converged.
    """
    system, temperature, n_samples = request.system, request.temperature, request.n_samples
    starts = Starts(ordered_states(system))
    first = Engine(methods[0], system, temperature, group_class(methods[0], system, temperature, _next(seed)), starts)
    first = replace(first, starts=replace(starts, cooled=_cooling_finds_less(first, _next(seed))))
    if request.is_given:
        return request.complete(Plan(first, 0, 1, math.nan, True))
    plans: list[tuple[bool, float, Plan]] = []
    budget = NANOSECONDS_PER_TRIAL
    for method in methods:
        if plans and plans[-1][2].converged and method == "parallel-tempering":
            break
        engine = first
        if method != methods[0]:
            engine = replace(first, method=method, kind=group_class(method, system, temperature, _next(seed)))
        if plans and _trial_price(engine, _SHORTEST_TRIAL) > budget:
            break
        trial = _run_trial(engine, budget, _next(seed))
        n_chains = number_of_chains(engine.kind, n_samples)
        n_draws = max(1, math.ceil(n_samples / n_chains))
        burn_in, n_sweeps = trial.schedule(n_draws)
        price = engine.price(burn_in + n_sweeps * n_draws, n_chains) if trial.converged else 0.0
        plans.append((not trial.converged, price, Plan(engine, burn_in, n_sweeps, trial.tau, trial.converged)))
        budget = min(budget, 0.3 * price) if trial.converged else budget
    return request.complete(min(plans, key=lambda each: each[:2])[2])  # of those that have not converged, the first


def _next(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    return seed.spawn(1)[0]


def _run_trial(engine: Engine, budget: float, seed: np.random.SeedSequence) -> Trial:
    """Run chains until the run is ten times as long as tau, or the budget is spent."""
    system, starts = engine.system, engine.starts
    low = system.energy.states[starts.ordered.codes(0)].astype(float)
    n, n_chains = _SHORTEST_TRIAL, _trial_chains(engine)
    while True:
        [(chains, first)] = start_chains(engine, n_chains, n, _next(seed))
        seen = record(chains, n, engine.temperature, low)
        one = starts.phases(first)
        two = [1j * np.roll(labels, 1) + labels for labels in one]  # of a chain and of the chain before it
        series = [_without_phases(x, *one) for x in (seen.energy, seen.mean, seen.overlap)]
        series.append(_without_phases(seen.overlap_of_two, *two))
        tau = seen.stride * max(map(autocorrelation_time, series))
        n_forget = max(tau, chains.renewal_time())
        converged = n >= 10 * n_forget and not seen.drift()
        if converged or _trial_price(engine, 2 * n) > budget:
            return Trial(tau, n_forget, n, converged)
        n *= 2


def _without_phases(x: NDArray[np.float64], phase: NDArray[Any], level: NDArray[Any]) -> NDArray[np.float64]:
    """Return x (n_chains, n_records) without the mean differences between phases of the same level.

    A symmetry makes ordered states of the same energy equivalent. Chains are divided among these states at the start,
    so they need not change from one to another.
    """
    result = x.copy()
    for value in np.unique(level):
        same_level = level == value
        for each in np.unique(phase[same_level]):
            result[phase == each] += x[same_level].mean() - x[phase == each].mean()
    return result


def _trial_price(engine: Engine, n: int) -> float:
    """Return the nanoseconds of all stages of a trial up to the stage of n sweeps."""
    return 4 * engine.price(n, _trial_chains(engine))


def _trial_chains(engine: Engine) -> int:
    """Return the number of chains in a trial: fewer on large lattices, so that each can run longer."""
    price = 4 * engine.price(_TYPICAL_TRIAL, 1)
    return max(2, min(engine.kind.trial_chains, int(NANOSECONDS_PER_TRIAL / price)))


def _cooling_finds_less(engine: Engine, seed: np.random.SeedSequence) -> bool:
    """Whether chains cooled from disorder have less energy than those from ordered states, by three standard errors."""
    if not engine.kind.freezes:
        return False
    shortest, longest = _COOLING_SWEEPS
    n = int(0.1 * NANOSECONDS_PER_TRIAL / (2 * _COOLED_CHAINS * engine.price(1, 1)))
    E = []
    for cooled in (False, True):
        one = replace(engine, starts=replace(engine.starts, cooled=cooled))
        [(chains, _)] = start_chains(one, _COOLED_CHAINS, max(shortest, min(longest, n)), _next(seed))
        E.append(chains.energies(np.ascontiguousarray(chains.states())))
    return bool(E[1].mean() < E[0].mean() - 3 * math.hypot(E[0].std(), E[1].std()) / math.sqrt(_COOLED_CHAINS - 1))


def start_chains(
    engine: Engine, n_chains: int, burn_in: int, seed: np.random.SeedSequence, threads: Threads = ONE_THREAD
) -> list[tuple[CodeGroup, NDArray[np.int64]]]:
    """Return groups of chains after their burn-in, with the numbers of the ordered states from which they started.

    From disorder chains would freeze in stripes at low T. If a trial has shown that ordered states are higher in energy
    than cooled ones, chains are cooled in as many sweeps as the burn-in has.
    """
    system, starts, temperature = engine.system, engine.starts, engine.temperature
    hot = 4 * typical_change(system) if starts.cooled and engine.kind.freezes else 0.0

    def start(n: int, child: np.random.SeedSequence, watch: Watch) -> tuple[CodeGroup, NDArray[np.int64]]:
        first, moves = child.spawn(2)
        rng = np.random.default_rng(first)
        numbers = starts.draw(n, temperature, rng)
        if starts.cooled:
            codes = rng.integers(0, system.n_states, (n, system.n_sites)).astype(np.int8)
        else:
            states = {k: starts.ordered.codes(k) for k in np.unique(numbers)}
            codes = np.stack([states[k] for k in numbers])
        group = engine.kind(codes, system, moves)
        group.watch = watch
        group.equilibrate(burn_in, temperature, hot)
        return group, numbers

    return start_groups(engine.kind, n_chains, start, seed, threads)
