"""Draws of Markov chains on a network at a temperature: start, burn-in, and what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..._montecarlo.statistics import r_hat
from ..._utils.progress import Progress
from ..network import Codes, Network, log_prob
from .joint_moves import learn_moves
from .law import Law
from .moves import IndependenceChains, LadderChains, Seeds, SiteChains, WindowChains
from .sweeps import Chains, Moves
from .tempered import POPULATION, equal_weight_codes, populations

METHODS = ("metropolis", "heat-bath", "window", "independence", "parallel-tempering")
# Chains that run side by side and are compared with each other.
TILE = 64
R_HAT_LIMIT = 1.05
# Sweeps of the first try to show that chains agree, and of all tries, each longer than all before it.
_FIRST_WINDOW, _LONGEST_BURN_IN = 10, 2550
# Draws at the temperature of the data from which moves of windows are learned, in populations.
_N_MOVE_POPULATIONS = 8
# Chains are frozen if they accept so few proposals, and their energies are so much those of the start.
_LOW_ACCEPTANCE, _LONG_MEMORY, _ENOUGH_CHAINS = 0.01, 0.5, 8


@dataclass(frozen=True)
class ChainPlan:
    """How many chains run and for how long; only "window" reads the shape of the lattice, a chain unless given."""

    n_chains: int
    n_draws: int
    burn_in: int | str = "auto"
    n_sweeps: int = 5  # between two draws
    method: str = "metropolis"
    lattice_shape: tuple[int, ...] | None = None
    verbose: int = 0


@dataclass(frozen=True)
class ChainDraws:
    """Draws of chains; the acceptance is that of windows, whole configurations or exchanges if there are any."""

    codes: Codes  # (n_chains, n_draws, n_sites)
    acceptance: float
    r_hat: float  # at the end of an adaptive burn-in, the largest of all tiles; nan without one
    memory: float  # correlation of log p at the end with that at the start, over chains; nan for few chains

    @property
    def frozen(self) -> bool:
        return _frozen(self.acceptance, self.memory)


def chain_draws(network: Network, law: Law, plan: ChainPlan, seed: np.random.SeedSequence) -> ChainDraws:
    """Return draws of chains that start from tempered draws.

    With burn_in="auto" chains are swept until those of a tile agree.
    """
    codes = np.empty((plan.n_chains, plan.n_draws, network.n_sites), np.int8)
    accepted, worst = [], math.nan
    start_seed, tile_seed, *chain_seeds = seed.spawn(plan.n_chains + 2)
    run = _run(network, plan, seed)
    start = equal_weight_codes(network, plan.n_chains, law, start_seed)
    tiles = _tiles(plan.n_chains, tile_seed)
    progress = Progress(plan.verbose, "MADEHamiltonian", "draw", len(tiles) * plan.n_draws, is_often_short=True)
    for tile, common in tiles:
        chains = run(network, start[tile], law, Seeds(chain_seeds[tile], common))
        if plan.burn_in == "auto":
            worst = np.fmax(worst, burn_in_by_r_hat(chains))
        else:
            chains.sweep(int(plan.burn_in))
        for draw in range(plan.n_draws):
            chains.sweep(plan.n_sweeps)
            accepted.append(chains.move())
            codes[tile, draw] = chains.codes
            progress.done()
    return ChainDraws(codes, float(np.mean(accepted)), float(worst), _memory(network, start, codes[:, -1]))


def _tiles(n_chains: int, seed: np.random.SeedSequence) -> list[tuple[slice, np.random.SeedSequence]]:
    starts = range(0, n_chains, TILE)
    return [(slice(first, first + TILE), child) for first, child in zip(starts, seed.spawn(len(starts)), strict=True)]


def _run(network: Network, plan: ChainPlan, seed: np.random.SeedSequence) -> Callable[..., SiteChains | LadderChains]:
    """Return what makes chains of a method."""
    if plan.method == "window":
        moves = _moves(network, plan.lattice_shape or (network.n_sites,), seed.spawn(1)[0])
        return partial(WindowChains, moves=moves)
    if plan.method in ("metropolis", "heat-bath"):
        return partial(SiteChains, rule=plan.method)
    return IndependenceChains if plan.method == "independence" else LadderChains


def parted_codes(network: Network, n_samples: int, law: Law, seed: np.random.SeedSequence) -> Codes:
    """Return `equal_weight_codes` after one sweep by heat bath, so that repeated rows become different.

    All rows are swept: to move repeated ones alone would change the law, since likely states repeat more often.
    """
    draw_seed, sweep_seed = seed.spawn(2)
    codes = equal_weight_codes(network, n_samples, law, draw_seed)
    generators = [np.random.default_rng(child) for child in sweep_seed.spawn(n_samples)]
    for start in range(0, n_samples, TILE):
        tile = slice(start, start + TILE)
        chains = Chains(network, codes[tile], law, generators[tile], "heat-bath")
        chains.sweep()
        codes[tile] = chains.codes
    return codes


def _frozen(acceptance: float, memory: float) -> bool:
    return acceptance < _LOW_ACCEPTANCE and memory > _LONG_MEMORY


def _memory(network: Network, start: Codes, end: Codes) -> float:
    """Return the correlation of log p at the end with that at the start, nan if either does not vary."""
    if len(start) < _ENOUGH_CHAINS or (start == start[0]).all() or (end == end[0]).all():
        return math.nan
    with np.errstate(invalid="ignore", divide="ignore"):  # all log p may be one
        return float(np.corrcoef(log_prob(network, start), log_prob(network, end))[0, 1])


def _moves(network: Network, lattice_shape: tuple[int, ...], seed: np.random.SeedSequence) -> Moves:
    """Return moves learned from draws at the temperature of the data, since a network keeps no data."""
    *seeds, move_seed = seed.spawn(_N_MOVE_POPULATIONS + 1)
    draws = populations(network, POPULATION, Law(1.0), seeds)
    codes = np.concatenate([population.codes for population in draws])
    return learn_moves(codes, lattice_shape, network.ordering, np.random.default_rng(move_seed))


def burn_in_by_r_hat(chains: SiteChains | LadderChains) -> float:
    """Sweep and move until log p and the absolute order agree between chains and halves of chains; return R-hat.

    Each try is longer than all before it and is judged alone. Chains stop early if they would still be frozen after
    the longest burn-in, when the memory of their start fades exponentially.
    """
    start, accepted, n_done, worst = chains.codes, [], 0, math.inf
    while n_done < _LONGEST_BURN_IN and not worst <= R_HAT_LIMIT:
        n_sweeps = n_done + _FIRST_WINDOW
        trace = np.empty((2, len(chains.codes), n_sweeps))
        for t in range(n_sweeps):
            chains.sweep(1)
            accepted.append(chains.move())
            trace[:, :, t] = chains.log_prob, chains.network.alphabet.order(chains.codes)
        weight = np.full(trace.shape[1:], 1 / trace[0].size)
        worst = max(r_hat(values, weight) for values in trace)
        n_done += n_sweeps
        memory = _memory(chains.network, start, chains.codes)
        if memory > 0 and _frozen(float(np.mean(accepted)), memory ** (_LONGEST_BURN_IN / n_done)):
            break
    return worst
