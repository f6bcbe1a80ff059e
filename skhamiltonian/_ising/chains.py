"""Chains from their start to equilibrium."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .._montecarlo.chain_groups import start_groups
from .._montecarlo.parallel import ONE_THREAD, Threads, Watch
from .chain_groups import Engine, SpinGroup
from .kernels import energies
from .terms import SpinSystem


def start_chains(
    engine: Engine, n_chains: int, burn_in: int, seed: np.random.SeedSequence, threads: Threads = ONE_THREAD
) -> list[SpinGroup]:
    """Return groups of chains after their burn-in.

    If a ground state is known, chains start from it or from its reversal, by their Boltzmann weights: from disorder
    they would freeze in stripes at low T. Otherwise chains that freeze are cooled first, in as many sweeps as the
    burn-in has.
    """
    system, temperature = engine.system, engine.temperature
    hot = _hot(system) if is_cooled(engine) else 0.0

    def start(n: int, child: np.random.SeedSequence, watch: Watch) -> SpinGroup:
        starts, moves = child.spawn(2)
        spins = _starting_states(n, system, engine.ground_state, temperature, np.random.default_rng(starts))
        group = engine.new_group(spins, moves)
        group.watch = watch
        group.equilibrate(burn_in, temperature, hot)
        return group

    return start_groups(engine.kind, n_chains, start, seed, threads)


def is_cooled(engine: Engine) -> bool:
    """Return whether chains start from disorder, in which they would freeze."""
    return engine.ground_state is None and engine.kind.freezes


def _starting_states(
    n: int, system: SpinSystem, s: NDArray[np.int8] | None, temperature: float, rng: np.random.Generator
) -> NDArray[np.int8]:
    if s is None:
        return rng.choice(np.array([-1, 1], dtype=np.int8), (n, system.n_sites))
    E, reversed_E = energies(np.stack([s, -s]), system)
    return np.where(rng.random((n, 1)) < expit(np.nan_to_num((reversed_E - E) / temperature)), s, -s)


def _hot(system: SpinSystem) -> float:
    """Return the temperature from which chains are cooled: twice the largest field on a spin."""
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))
    fields = np.bincount(sites, np.abs(system.strength)[system.site_terms], minlength=system.n_sites)
    return float(2 * fields.max())
