"""Chains from their start to their draws, spaced by how long they remember."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from .._lattice.bonds import SpinSystem
from .._montecarlo.statistics import autocorrelation_time
from .chains import ChainGroup, group_class
from .kernels import energies, satisfying_state
from .tempering import ladder

_NANOSECONDS_PER_PILOT = 1e10
_SHARE_OF_TEMPERING = 0.3  # of that, where single spins are tried after it
_SHORTEST_PILOT = 64  # sweeps
_RECORDS = 256  # states looked at in a pilot run, however long it is
_COOLING_STEPS = 32


class Landscape(NamedTuple):
    """What the terms say about where chains should start and which moves suit them."""

    ground_state: NDArray[np.int8] | None  # where it satisfies all terms, and pair terms leave only its reversal
    has_clusters: bool  # pairs and fields that do not compete


def landscape(system: SpinSystem) -> Landscape:
    """Look for a state that satisfies every term, and whether the pair terms leave no other."""
    order, first = np.diff(system.term_start), system.term_start[:-1]
    s = satisfying_state(system)
    fields, pairs = order == 1, order == 2
    if (system.strength[fields] * s[system.term_sites[first[fields]]]).sum() < 0:
        s = -s
    satisfied = bool(np.isclose(energies(s[None], system)[0], -np.abs(system.strength).sum()))
    a, b = system.term_sites[first[pairs]], system.term_sites[first[pairs] + 1]
    bonds = coo_array((np.ones(len(a)), (a, b)), shape=(system.n_sites, system.n_sites))
    unique = satisfied and connected_components(bonds, directed=False, return_labels=False) == 1
    return Landscape(
        ground_state=s if unique else None,
        has_clusters=satisfied and bool(pairs.any()) and system.largest_order <= 2,
    )


class Plan(NamedTuple):
    """How a sample is drawn: sweeps before the first draw and between two, from the measured memory of a chain."""

    algorithm: str
    group: type[ChainGroup]
    burn_in: int
    n_sweeps: int
    tau: float  # integrated autocorrelation time in sweeps, the slowest of those looked at
    converged: bool


def plan(
    algorithm: str,
    system: SpinSystem,
    temperature: float,
    n_samples: int,
    seed: np.random.SeedSequence,
    *,
    burn_in: int | None = None,
    n_sweeps: int | None = None,
) -> Plan:
    """Return the plan of the algorithm with the least work for an independent draw, unless all is given.

    Other algorithms are tried as long as the trial is cheap against the sample that the first would draw. Draws are
    2 tau apart, so that consecutive ones are correlated by exp(-4) where one mode is all; burn-in is 8 tau, or eight
    times what it takes a tempered chain to take up a state from the hottest rung.
    """
    scene = landscape(system)
    given = burn_in is not None and n_sweeps is not None
    names = _candidates(system, scene, temperature, given) if algorithm == "auto" else (algorithm,)
    if burn_in is not None and n_sweeps is not None:
        return Plan(names[0], group_class(names[0], system, temperature), burn_in, n_sweeps, math.nan, True)
    plans: list[tuple[bool, float, Plan]] = []
    budget = _NANOSECONDS_PER_PILOT
    for name in names:
        group = group_class(name, system, temperature)
        if plans and _pilot_price(group, system, _SHORTEST_PILOT) > budget:
            break
        share = _SHARE_OF_TEMPERING if len(names) > 1 and name == "parallel-tempering" else 1.0
        tau, forgotten, n, converged = _pilot(group, system, scene, temperature, share * budget, seed)
        n_chains = suitable_number(group, n_samples, None)
        n_draws = max(1, math.ceil(n_samples / n_chains))
        trial = Plan(name, group, math.ceil(8 * forgotten), math.ceil(2 * tau), tau, True)
        if not converged:  # tau is unknown: spend on the draws what the burn-in takes
            trial = Plan(name, group, n, max(1, n // n_draws), tau, False)
        price = (trial.burn_in + trial.n_sweeps * n_draws) * system.n_sites * group.nanoseconds(n_chains)
        plans.append((not converged, price, trial))
        budget = min(budget, 0.3 * price) if converged else budget
        if converged and name == "parallel-tempering":
            break
    best = min(plans, key=lambda each: each[:2])[2]
    return best._replace(
        burn_in=best.burn_in if burn_in is None else burn_in, n_sweeps=best.n_sweeps if n_sweeps is None else n_sweeps
    )


def _candidates(system: SpinSystem, scene: Landscape, temperature: float, given: bool) -> tuple[str, ...]:
    """Return the algorithms that "auto" may take, in the order of their trials.

    Where couplings compete, chains are tempered, unless it is too hot for valleys: single spins do not see a valley
    that few chains fall into and none leaves. They are believed on lattices too large to be tempered in time, where
    all chains meet the same valleys.
    """
    if scene.has_clusters:
        return ("swendsen-wang", "heat-bath")
    rough = scene.ground_state is None and len(ladder(system, temperature)) > 1
    return ("parallel-tempering", "heat-bath") if rough and not given else ("heat-bath",)


def _pilot(
    group: type[ChainGroup],
    system: SpinSystem,
    scene: Landscape,
    temperature: float,
    budget: float,
    seed: np.random.SeedSequence,
) -> tuple[float, float, int, bool]:
    """Return tau, the sweeps in which a chain forgets, how long chains ran to tell, and whether that was ten times so.

    Looked at are the energy, the magnetization, the overlap with a state of low energy and that with another chain,
    all but the energy without their sign where H has none. Tempered chains forget by taking up a state from the
    hottest rung, others in tau. Each trial is twice as long as the one before; half of it is burn-in.
    """
    direction = satisfying_state(system)
    n, n_chains = _SHORTEST_PILOT, group.pilot_chains
    while True:
        [chains] = start(group, system, temperature, n_chains, n, seed.spawn(1)[0], scene=scene)
        stride = max(1, n // _RECORDS)
        E, m, q, r = np.empty((4, n_chains, n // stride))
        for t in range(n // stride):
            chains.advance(stride, temperature)
            s = np.ascontiguousarray(chains.configurations())
            E[:, t], m[:, t], q[:, t] = energies(s, system), s.mean(axis=1), (s * direction).mean(axis=1)
            r[:, t] = (s * np.roll(s, 1, axis=0)).mean(axis=1)
        if system.is_even:
            m, q, r = np.abs(m), np.abs(q), np.abs(r)
        tau = stride * max(map(autocorrelation_time, (E, m, q, r)))
        forgotten = max(tau, chains.renewal_time())
        if n >= 10 * forgotten or _pilot_price(group, system, 2 * n) > budget:
            return tau, forgotten, n, n >= 10 * forgotten
        n *= 2


def _pilot_price(group: type[ChainGroup], system: SpinSystem, n: int) -> float:
    """Return the nanoseconds of all trials up to that of n sweeps."""
    return 4 * n * system.n_sites * group.nanoseconds(group.pilot_chains)


def suitable_number(group: type[ChainGroup], n_samples: int, wanted: int | None) -> int:
    """Return the number of chains: about eight draws to each where none is wanted, and never more than draws."""
    number = min(max(64, math.ceil(n_samples / 8)), group.enough_chains) if wanted is None else wanted
    return max(1, min(number, n_samples))


def start(
    cls: type[ChainGroup],
    system: SpinSystem,
    temperature: float,
    n_chains: int,
    burn_in: int,
    seed: np.random.SeedSequence,
    n_jobs: int | None = None,
    scene: Landscape | None = None,
) -> list[ChainGroup]:
    """Return groups of chains after their burn-in.

    Chains start from the ground state or its reversal, by their Boltzmann weights, where it is known: from
    disorder they would freeze in stripes at low T. Otherwise those that freeze are cooled, from where nothing is
    frozen, in as many sweeps as the burn-in has.
    """
    scene = landscape(system) if scene is None else scene

    def start_group(stop: Event, n: int, child: np.random.SeedSequence) -> ChainGroup:
        starts, moves = child.spawn(2)
        group = cls(_starting_states(n, system, scene, temperature, np.random.default_rng(starts)), system, moves)
        group.stop = stop
        if scene.ground_state is None and cls.freezes:
            for T in _cooling(system, temperature):
                group.advance(burn_in // _COOLING_STEPS, T)
        group.advance(burn_in, temperature)
        return group

    sizes = [min(cls.most_chains, n_chains - first) for first in range(0, n_chains, cls.most_chains)]
    return _in_parallel(start_group, zip(sizes, seed.spawn(len(sizes)), strict=True), n_jobs)


def _starting_states(
    n: int, system: SpinSystem, scene: Landscape, temperature: float, rng: np.random.Generator
) -> NDArray[np.int8]:
    if scene.ground_state is None:
        return rng.choice(np.array([-1, 1], dtype=np.int8), (n, system.n_sites))
    s = scene.ground_state
    E, reversed_E = energies(np.stack([s, -s]), system)
    return np.where(rng.random((n, 1)) < expit(np.nan_to_num((reversed_E - E) / temperature)), s, -s)


def _cooling(system: SpinSystem, temperature: float) -> NDArray[np.float64]:
    """Return falling temperatures, from twice the largest field on a spin to `temperature`, or 1 % of the former."""
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))
    hot = 2 * np.bincount(sites, np.abs(system.strength)[system.site_terms], minlength=system.n_sites).max()
    return np.geomspace(hot, max(temperature, 0.01 * hot), _COOLING_STEPS) if hot > temperature else np.zeros(0)


def draw(
    groups: list[ChainGroup], n_samples: int, n_sweeps: int, temperature: float, n_jobs: int | None
) -> NDArray[np.int8]:
    """Let all chains run on and return at least `n_samples` states, (n_chains, n_draws, n_sites).

    Where H(-s) = H(s), every state is turned over with probability 1/2, which single spins would take long to do.
    """
    firsts = np.cumsum([0] + [group.n_chains for group in groups])
    n_chains, n_sites = firsts[-1], groups[0].n_sites
    draws = np.empty((n_chains, math.ceil(n_samples / n_chains), n_sites), dtype=np.int8)

    def fill(stop: Event, group: ChainGroup, block: NDArray[np.int8]) -> None:
        group.stop = stop
        for t in range(block.shape[1]):
            group.advance(n_sweeps, temperature)
            block[:, t] = group.configurations()
        if group.system.is_even:
            block *= group.rng.choice(np.array([-1, 1], dtype=np.int8), (*block.shape[:2], 1))

    blocks = [draws[a:b] for a, b in pairwise(firsts)]
    _in_parallel(fill, zip(groups, blocks, strict=True), n_jobs)
    return draws


def evolved(
    X: NDArray[Any],
    cls: type[ChainGroup],
    system: SpinSystem,
    n_sweeps: int,
    temperature: float,
    seed: np.random.SeedSequence,
    n_jobs: int | None,
) -> NDArray[np.int8]:
    """Return every row after `n_sweeps` sweeps, starting from the signs of its entries."""
    result = np.empty(X.shape, dtype=np.int8)
    firsts = range(0, len(X), cls.most_chains)

    def evolve(stop: Event, first: int, child: np.random.SeedSequence) -> None:
        rows = slice(first, first + cls.most_chains)
        group = cls(np.where(X[rows] > 0, 1, -1).astype(np.int8), system, child)
        group.stop = stop
        group.advance(n_sweeps, temperature)
        result[rows] = group.configurations()

    _in_parallel(evolve, zip(firsts, seed.spawn(len(firsts)), strict=True), n_jobs)
    return result


def memory(X: NDArray[np.int8], energy: NDArray[np.float64], n_sweeps: int) -> tuple[float, float]:
    """Return the autocorrelation time in sweeps and the number of independent draws, by energy and magnetization."""
    m = X.mean(axis=2)
    tau = max(map(autocorrelation_time, (energy, m, np.abs(m)))) if energy.size else 1.0
    return n_sweeps * tau, energy.size / tau


def _in_parallel(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    """Call function(stop, *each) in threads (kernels release the interpreter's lock); `stop` is set by Ctrl-C."""
    stop = Event()
    try:
        return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(stop, *each) for each in arguments)
    except BaseException:
        stop.set()
        raise
