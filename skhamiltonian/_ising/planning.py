"""Which method draws a sample with the least work, and how many sweeps it needs: measured in trial runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .._montecarlo.statistics import autocorrelation_time
from .chains import is_cooled, start_chains
from .ground_state import Landscape, landscape, satisfying_state
from .groups import ChainGroup, Engine, new_engine
from .kernels import energies
from .tempering import ladder
from .terms import SpinSystem

_NANOSECONDS_PER_TRIAL = 1e10
_SHARE_OF_TEMPERING = 0.3  # of that, if single spins are tried after it
_SHORTEST_TRIAL = 64  # sweeps
_RECORDS = 256  # states looked at in a trial, however long it is
_CHAINS_PER_TRIAL = 4  # the sample has so many chains for each chain of a trial
_RARE_FLIPS = 0.01  # per site and sweep


@dataclass(frozen=True)
class Plan:
    """How a sample is drawn: sweeps before the first draw and between two."""

    engine: Engine
    burn_in: int
    n_sweeps: int
    tau: float  # integrated autocorrelation time in sweeps, of the slowest observable; nan if not measured
    converged: bool

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.engine.method


@dataclass(frozen=True)
class Request:
    """What is asked for: a number of draws from a system at a temperature; None means measured sweeps."""

    system: SpinSystem
    temperature: float
    n_samples: int
    burn_in: int | None = None
    n_sweeps: int | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is nothing to measure."""
        return self.burn_in is not None and self.n_sweeps is not None


def plan(method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
    """Return the plan with the least work for an independent draw, unless all sweeps are given.

    Other methods are tried as long as their trial is cheap against the sample that the first would draw. Draws are
    2 tau apart, so that consecutive ones are correlated by exp(-4) if there is one time scale. The burn-in is 8 tau,
    or eight mean times between arrivals from the hottest rung.
    """
    system, T = request.system, request.temperature
    scene = landscape(system)
    names = _candidates(request, scene) if method == "auto" else (method,)
    engines = [new_engine(name, system, T, scene.ground_state) for name in names]
    if request.burn_in is not None and request.n_sweeps is not None:
        return Plan(engines[0], request.burn_in, request.n_sweeps, math.nan, True)
    plans: list[tuple[bool, float, Plan]] = []
    budget = _NANOSECONDS_PER_TRIAL
    for engine in engines:
        if plans and _trial_price(engine, _trial_chains(engine, request), _SHORTEST_TRIAL) > budget:
            break
        tempers = engine.method == "parallel-tempering"
        share = _SHARE_OF_TEMPERING if len(names) > 1 and tempers else 1.0
        made, price = _measured(engine, request, share * budget, seed)
        plans.append((not made.converged, price, made))
        budget = min(budget, 0.3 * price) if made.converged else budget
        if made.converged and tempers:
            break
    best = min(plans, key=lambda each: each[:2])[2]
    return replace(
        best,
        burn_in=best.burn_in if request.burn_in is None else request.burn_in,
        n_sweeps=best.n_sweeps if request.n_sweeps is None else request.n_sweeps,
    )


def _candidates(request: Request, scene: Landscape) -> tuple[str, ...]:
    """Return the methods that "auto" may take, in the order of their trials.

    Competing couplings call for tempering, except at high T: single-spin chains can miss rare metastable states, so
    they are accepted only if tempering exceeds its budget.
    """
    if scene.has_clusters:
        return ("swendsen-wang", "heat-bath")
    rough = scene.ground_state is None and len(ladder(request.system, request.temperature)) > 1
    return ("parallel-tempering", "heat-bath") if rough and not request.is_given else ("heat-bath",)


def _measured(engine: Engine, request: Request, budget: float, seed: np.random.SeedSequence) -> tuple[Plan, float]:
    """Return the plan by a trial run, and the nanoseconds of the sample."""
    trial = _run_trial(engine, _trial_chains(engine, request), budget, seed)
    n_chains = suitable_number(engine.group, request.n_samples, None)
    n_draws = max(1, math.ceil(request.n_samples / n_chains))
    burn_in, n_sweeps = math.ceil(8 * trial.n_forget), math.ceil(2 * trial.tau)
    if not trial.converged:  # tau is unknown: the draws take as many sweeps as the burn-in
        burn_in, n_sweeps = trial.n_run, max(1, trial.n_run // n_draws)
    price = (burn_in + n_sweeps * n_draws) * engine.system.n_sites * engine.price.of(n_chains)
    return Plan(engine, burn_in, n_sweeps, trial.tau, trial.converged), price


def suitable_number(group: type[ChainGroup], n_samples: int, wanted: int | None) -> int:
    """Return the number of chains: by default about eight draws to each, and never more than draws."""
    number = min(max(64, math.ceil(n_samples / 8)), group.enough_chains) if wanted is None else wanted
    return max(1, min(number, n_samples))


# ------------------------------------------------------------------ trial runs


class Trial(NamedTuple):
    """What a trial run has measured, in sweeps."""

    tau: float  # integrated autocorrelation time of the slowest observable
    n_forget: float  # tau, or the mean time between arrivals from the hottest rung
    n_run: int  # length of the run that was looked at, after a burn-in as long
    converged: bool  # n_run >= 10 n_forget, and no axis is rigid


def _run_trial(engine: Engine, n_chains: int, budget: float, seed: np.random.SeedSequence) -> Trial:
    """Run chains until they have forgotten their start ten times, or the budget is spent.

    Each stage is as long as all before it, which are its burn-in; chains that have to be cooled start anew, with a
    longer cooling.
    """
    n, may_be_rigid = _SHORTEST_TRIAL, _may_be_rigid(engine)
    groups: list[ChainGroup] = []
    while True:
        if is_cooled(engine) or not groups:
            groups = start_chains(engine, n_chains, n, seed.spawn(1)[0])
        observables, stride, flips = _records(groups[0], engine, n)
        tau = stride * max(map(autocorrelation_time, observables))
        n_forget = max(tau, groups[0].renewal_time())
        is_rigid = may_be_rigid and flips < _RARE_FLIPS
        converged = n >= 10 * n_forget and not is_rigid
        if converged or is_rigid or _trial_price(engine, n_chains, 2 * n) > budget:
            return Trial(tau, n_forget, n, converged)
        n *= 2


def _records(chains: ChainGroup, engine: Engine, n: int) -> tuple[list[np.ndarray], int, float]:
    """Run n sweeps; return observables (n_chains, n_records), sweeps between records, and flips a site and sweep.

    Looked at are the energy, the magnetization, the overlap with a state of low energy and that with another chain,
    all but the energy without their sign if H has none.
    """
    system = engine.system
    direction = satisfying_state(system)
    stride = max(1, n // _RECORDS)
    E, m, q, r = np.empty((4, chains.n_chains, n // stride))
    last, flips = np.ascontiguousarray(chains.configurations()), 0
    for t in range(n // stride):
        chains.advance(stride, engine.temperature)
        s = np.ascontiguousarray(chains.configurations())
        E[:, t], m[:, t], q[:, t] = energies(s, system), s.mean(axis=1), (s * direction).mean(axis=1)
        r[:, t] = (s * np.roll(s, 1, axis=0)).mean(axis=1)
        flips += int(np.count_nonzero(s != last))
        last = s
    if system.is_even:
        m, q, r = np.abs(m), np.abs(q), np.abs(r)
    return [E, m, q, r], stride, flips / (n * s.size)


def _may_be_rigid(engine: Engine) -> bool:
    """Return whether single spins may see no motion at all although whole lines of spins turn over.

    That is so if sites have two strong bonds, and the others together are weak against T: a domain on a line costs much
    to begin and little to grow. A trial then proves nothing unless spins flip.
    """
    system = engine.system
    if engine.method != "heat-bath" or engine.ground_state is None or system.largest_order > 2:
        return False
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))
    bonds = np.where(np.diff(system.term_start) == 2, np.abs(system.strength), 0.0)[system.site_terms]
    strongest_first = np.lexsort((-bonds, sites))
    others = np.arange(len(sites)) - system.site_start[sites] >= 2  # in that order
    return bool(bonds[strongest_first][others].sum() < engine.temperature * system.n_sites)


def _trial_chains(engine: Engine, request: Request) -> int:
    """Return the number of chains of a trial: a fraction of those of the sample, unless they cost next to nothing."""
    most = engine.group.trial_chains
    if engine.price.fixed > engine.price.per_chain * most:
        return most
    n_chains = suitable_number(engine.group, request.n_samples, None)
    return min(most, max(2, n_chains // _CHAINS_PER_TRIAL))


def _trial_price(engine: Engine, n_chains: int, n: int) -> float:
    """Return the nanoseconds of all stages up to that of n sweeps."""
    stages = 4 if is_cooled(engine) else 2
    return stages * n * engine.system.n_sites * engine.price.of(n_chains)
