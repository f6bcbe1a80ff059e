"""Chains from their start to their draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from threading import Event
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import expit

from .._montecarlo.statistics import autocorrelation_time
from .groups import ChainGroup, Engine
from .kernels import energies
from .terms import SpinSystem

_COOLING_STEPS = 32


def start_chains(
    engine: Engine, n_chains: int, burn_in: int, seed: np.random.SeedSequence, n_jobs: int | None = None
) -> list[ChainGroup]:
    """Return groups of chains after their burn-in.

    If a ground state is known, chains start from it or from its reversal, by their Boltzmann weights: from disorder
    they would freeze in stripes at low T. Otherwise chains that freeze are cooled first, in as many sweeps as the
    burn-in has.
    """
    system, temperature = engine.system, engine.temperature
    cooling = _cooling(system, temperature) if is_cooled(engine) else ()

    def start_group(stop: Event, n: int, child: np.random.SeedSequence) -> ChainGroup:
        starts, moves = child.spawn(2)
        spins = _starting_states(n, system, engine.ground_state, temperature, np.random.default_rng(starts))
        group = engine.new_group(spins, moves)
        group.stop = stop
        for T in cooling:
            group.advance(burn_in // _COOLING_STEPS, T)
        group.advance(burn_in, temperature)
        return group

    most = engine.group.most_chains
    sizes = [min(most, n_chains - first) for first in range(0, n_chains, most)]
    return _in_parallel(start_group, zip(sizes, seed.spawn(len(sizes)), strict=True), n_jobs)


def is_cooled(engine: Engine) -> bool:
    """Return whether chains start from disorder, in which they would freeze."""
    return engine.ground_state is None and engine.group.freezes


def _starting_states(
    n: int, system: SpinSystem, s: NDArray[np.int8] | None, temperature: float, rng: np.random.Generator
) -> NDArray[np.int8]:
    if s is None:
        return rng.choice(np.array([-1, 1], dtype=np.int8), (n, system.n_sites))
    E, reversed_E = energies(np.stack([s, -s]), system)
    return np.where(rng.random((n, 1)) < expit(np.nan_to_num((reversed_E - E) / temperature)), s, -s)


def _cooling(system: SpinSystem, temperature: float) -> NDArray[np.float64]:
    """Return falling temperatures, from twice the largest field on a spin to `temperature`, or 1 % of the former."""
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))
    hot = 2 * np.bincount(sites, np.abs(system.strength)[system.site_terms], minlength=system.n_sites).max()
    return np.geomspace(hot, max(temperature, 0.01 * hot), _COOLING_STEPS) if hot > temperature else np.zeros(0)


def draw_states(
    groups: list[ChainGroup], n_samples: int, n_sweeps: int, temperature: float, n_jobs: int | None
) -> NDArray[np.int8]:
    """Move all chains on and return at least `n_samples` states, (n_chains, n_draws, n_sites).

    If H(-s) = H(s), every state is turned over with probability 1/2, which single spins would take long to do.
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


def evolve_rows(
    X: NDArray[Any], engine: Engine, n_sweeps: int, seed: np.random.SeedSequence, n_jobs: int | None
) -> NDArray[np.int8]:
    """Return every row after `n_sweeps` sweeps, starting from the signs of its entries."""
    result = np.empty(X.shape, dtype=np.int8)
    most = engine.group.most_chains
    firsts = range(0, len(X), most)

    def evolve(stop: Event, first: int, child: np.random.SeedSequence) -> None:
        rows = slice(first, first + most)
        group = engine.new_group(np.where(X[rows] > 0, 1, -1).astype(np.int8), child)
        group.stop = stop
        group.advance(n_sweeps, engine.temperature)
        result[rows] = group.configurations()

    _in_parallel(evolve, zip(firsts, seed.spawn(len(firsts)), strict=True), n_jobs)
    return result


def autocorrelation(X: NDArray[np.int8], energy: NDArray[np.float64], n_sweeps: int) -> tuple[float, float]:
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
