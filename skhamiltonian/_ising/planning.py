"""Trial runs measure which method draws a sample with the least work, and how many sweeps it needs."""

from __future__ import annotations

import math

import numpy as np

from .._montecarlo.chain_groups import number_of_chains
from .._montecarlo.planning import Plan, Request
from .._montecarlo.trials import NANOSECONDS_PER_TRIAL, Trial, record
from .chain_groups import Engine, SpinGroup, new_engine
from .chains import is_cooled, start_chains
from .ground_state import Landscape, landscape, satisfying_state
from .tempering import ladder

_SHARE_OF_TEMPERING = 0.3  # of the nanoseconds of a trial, if single spins are tried after it
_SHORTEST_TRIAL = 64  # sweeps
_CHAINS_PER_TRIAL = 4  # chains of the sample for each chain of a trial
_RARE_FLIPS = 0.01  # per site and sweep


def plan(method: str, request: Request, seed: np.random.SeedSequence) -> Plan:
    """Return the plan with the least work for an independent draw, unless all sweeps are given.

    A further method is tried if its trial is cheap against the sample that the best method so far would draw. Draws are
    2 tau apart. The burn-in is 8 tau, or eight mean times between arrivals from the hottest rung.
    """
    system, T = request.system, request.temperature
    terms = landscape(system)
    names = _candidates(request, terms) if method == "auto" else (method,)
    engines = [new_engine(name, system, T, terms.ground_state) for name in names]
    if request.is_given:
        return request.complete(Plan(engines[0], 0, 1, math.nan, True))
    plans: list[tuple[bool, float, Plan]] = []
    budget = NANOSECONDS_PER_TRIAL
    for engine in engines:
        if plans and _trial_price(engine, _trial_chains(engine, request), _SHORTEST_TRIAL) > budget:
            break
        tempers = engine.method == "parallel-tempering"
        share = _SHARE_OF_TEMPERING if len(names) > 1 and tempers else 1.0
        one, price = _measured(engine, request, share * budget, seed)
        plans.append((not one.converged, price, one))
        budget = min(budget, 0.3 * price) if one.converged else budget
        if one.converged and tempers:
            break
    best = min(plans, key=lambda each: each[:2])[2]
    return request.complete(best)


def _candidates(request: Request, terms: Landscape) -> tuple[str, ...]:
    """Return the methods that "auto" may take, in the order of their trials.

    Competing couplings need tempering, except at high T. Single-spin chains can miss rare metastable states, so they
    are tried only if the trial of tempering has not converged within its budget.
    """
    if terms.has_clusters:
        return ("swendsen-wang", "heat-bath")
    rough = terms.ground_state is None and len(ladder(request.system, request.temperature)) > 1
    return ("parallel-tempering", "heat-bath") if rough and not request.is_given else ("heat-bath",)


def _measured(engine: Engine, request: Request, budget: float, seed: np.random.SeedSequence) -> tuple[Plan, float]:
    """Return the plan by a trial run, and the nanoseconds of the sample."""
    trial = _run_trial(engine, _trial_chains(engine, request), budget, seed)
    n_chains = number_of_chains(engine.kind, request.n_samples)
    n_draws = max(1, math.ceil(request.n_samples / n_chains))
    burn_in, n_sweeps = trial.schedule(n_draws)
    price = (burn_in + n_sweeps * n_draws) * engine.system.n_sites * engine.price.of(n_chains)
    return Plan(engine, burn_in, n_sweeps, trial.tau, trial.converged), price


def _run_trial(engine: Engine, n_chains: int, budget: float, seed: np.random.SeedSequence) -> Trial:
    """Run chains until the run is ten times as long as n_forget, or the budget is spent.

    Each stage is as long as all stages before it together; these are its burn-in. Chains that have to be cooled start
    anew in each stage, with a longer cooling.
    """
    n, may_be_rigid = _SHORTEST_TRIAL, _may_be_rigid(engine)
    groups: list[SpinGroup] = []
    while True:
        if is_cooled(engine) or not groups:
            groups = start_chains(engine, n_chains, n, seed.spawn(1)[0])
        seen = record(groups[0], n, engine.temperature, satisfying_state(engine.system))
        tau = seen.autocorrelation_time()
        n_forget = max(tau, groups[0].renewal_time())
        is_rigid = may_be_rigid and seen.change_rate < _RARE_FLIPS
        converged = n >= 10 * n_forget and not is_rigid and not seen.drift()
        if converged or is_rigid or _trial_price(engine, n_chains, 2 * n) > budget:
            return Trial(tau, n_forget, n, converged)
        n *= 2


def _may_be_rigid(engine: Engine) -> bool:
    """Return whether trials of single spins may show no motion although whole lines of spins flip in equilibrium.

    They may if sites have two strong bonds, and their other bonds together are weak against T: a domain on a line then
    costs much energy to begin and little to grow. Such a trial proves nothing unless spins flip.
    """
    system = engine.system
    if engine.method != "heat-bath" or engine.ground_state is None or system.largest_order > 2:
        return False
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))
    bonds = np.where(np.diff(system.term_start) == 2, np.abs(system.strength), 0.0)[system.site_terms]
    strongest_first = np.lexsort((-bonds, sites))
    others = np.arange(len(sites)) - system.site_start[sites] >= 2  # all but the two strongest of a site
    return bool(bonds[strongest_first][others].sum() < engine.temperature * system.n_sites)


def _trial_chains(engine: Engine, request: Request) -> int:
    """Return the number of chains of a trial: a fraction of those of the sample, unless more cost almost nothing."""
    most = engine.kind.trial_chains
    if engine.price.fixed > engine.price.per_chain * most:
        return most
    n_chains = number_of_chains(engine.kind, request.n_samples)
    return min(most, max(2, n_chains // _CHAINS_PER_TRIAL))


def _trial_price(engine: Engine, n_chains: int, n: int) -> float:
    """Return the nanoseconds of all stages up to that of n sweeps."""
    stages = 4 if is_cooled(engine) else 2
    return stages * n * engine.system.n_sites * engine.price.of(n_chains)
