"""Chains of angles from their start to equilibrium, and trial runs that measure how many sweeps a sample needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._montecarlo.chain_groups import number_of_chains, start_groups
from .._montecarlo.parallel import ONE_THREAD, Threads, Watch
from .._montecarlo.planning import Plan, Request
from .._montecarlo.trials import NANOSECONDS_PER_TRIAL, Trial, record
from .chain_groups import FULL_TURN, AngleGroup, Engine
from .system import AngleSystem

METHODS = ("auto", "heat-bath", "wolff")
_SHORTEST_TRIAL = 64  # sweeps
_TYPICAL_TRIAL = 512
_LARGEST_KAPPA = 1e12  # of the law of the first angles; more is no rotation


def plan(method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
    """Return the method, and its sweeps by a trial run unless all of them are given.

    Draws are 2 tau apart, and the burn-in is 8 tau.
    """
    if method == "auto":
        method = "heat-bath" if request.system.competes else "wolff"
    engine = Engine(method, request.system, request.temperature)
    if request.is_given:
        return request.complete(Plan(engine, 0, 1, math.nan, True))
    n_chains = number_of_chains(engine.kind, request.n_samples)
    trial = _run_trial(engine, _trial_chains(engine), seed)
    burn_in, n_sweeps = trial.schedule(math.ceil(request.n_samples / n_chains))
    return request.complete(Plan(engine, burn_in, n_sweeps, trial.tau, trial.converged))


def _run_trial(engine: Engine, n_chains: int, seed: np.random.SeedSequence) -> Trial:
    """Run chains until the run is ten times as long as tau, or the budget is spent.

    Each stage is as long as all stages before it together; these are its burn-in. Chains that have to be cooled start
    anew in each stage, with a longer cooling.
    """
    system, n = engine.system, _SHORTEST_TRIAL
    low = np.exp(1j * (np.zeros(system.n_sites) if system.competes else system.ordered))
    groups: list[AngleGroup] = []
    while True:
        if system.competes or not groups:
            groups = start_chains(engine, n_chains, n, seed.spawn(1)[0])
        seen = record(groups[0], n, engine.temperature, low)
        tau = seen.autocorrelation_time()
        converged = n >= 10 * tau and not seen.drift()
        if converged or (4 if system.competes else 2) * engine.price(2 * n, n_chains) > NANOSECONDS_PER_TRIAL:
            return Trial(tau, tau, n, converged)
        n *= 2


def _trial_chains(engine: Engine) -> int:
    """Return the number of chains in a trial: fewer on large lattices, so that each can run longer."""
    price = 2 * engine.price(_TYPICAL_TRIAL, 1)
    return max(2, min(engine.kind.trial_chains, int(NANOSECONDS_PER_TRIAL / price)))


def start_chains(
    engine: Engine, n_chains: int, burn_in: int, seed: np.random.SeedSequence, threads: Threads = ONE_THREAD
) -> list[Any]:
    """Return groups of chains after their burn-in.

    Chains start from the ground state, rotated as a whole by an angle from its Boltzmann law in the field: from
    disorder, vortices and whole turns along a periodic axis would stay for long at low T. If terms compete, they are
    cooled from disorder.
    """
    system = engine.system
    hot = 2 * (np.abs(system.field).max() + _strongest_pull(system)) if system.competes else 0.0
    kappa = min(np.abs(system.field).sum() / engine.temperature, _LARGEST_KAPPA)

    def start(n: int, child: np.random.SeedSequence, watch: Watch) -> AngleGroup:
        starts, moves = child.spawn(2)
        rng = np.random.default_rng(starts)
        if system.competes:
            angles = rng.uniform(0.0, FULL_TURN, (n, system.n_sites))
        else:
            angles = rng.vonmises(0.0, kappa, (n, 1)) + system.ordered
        group = engine.new_group(angles, moves)
        group.watch = watch
        group.equilibrate(burn_in, engine.temperature, hot)
        return group

    return start_groups(engine.kind, n_chains, start, seed, threads)


def _strongest_pull(system: AngleSystem) -> float:
    """Return the largest sum of the absolute couplings of a site."""
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))
    return float(np.bincount(sites, np.abs(system.coupling), minlength=system.n_sites).max())
