"""Chains of Monte Carlo on p^exponent exp(tilt): sites, windows, proposals of whole configurations, or exchanges."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._montecarlo.kernels import exchange, new_streams
from ..._montecarlo.statistics import r_hat
from ..network import Array, Codes, Network, log_prob, tempered_log_weight
from .resampling import POPULATION, equal_weight_codes, populations
from .sweeps import LANES, Chains, Moves
from .tempered import tempered_draws
from .windows import NO_MOVES, learn_moves

R_HAT_LIMIT = 1.05
# Sweeps of the first try to show that chains agree, and of all tries, each longer than all before it.
_FIRST_WINDOW, _LONGEST_BURN_IN = 10, 2550
# Draws at the temperature of the data from which moves are learned, in populations.
_N_MOVE_POPULATIONS = 8
# Chains are frozen that accept so few proposals, and whose energies are so much those of the start.
_LOW_ACCEPTANCE, _LONG_MEMORY, _ENOUGH_CHAINS = 0.01, 0.5, 8


class ChainDraws(NamedTuple):
    """Draws of chains; the acceptance is that of windows, whole configurations or exchanges where there are any."""

    codes: Codes  # (n_chains, n_draws, n_sites)
    acceptance: float
    r_hat: float  # at the end of an adaptive burn-in, the largest of all tiles; nan without one
    memory: float  # correlation of log p at the end with that at the start, over chains; nan for few chains

    @property
    def frozen(self) -> bool:
        return _frozen(self.acceptance, self.memory)


def chain_draws(
    network: Network,
    n_chains: int,
    n_draws: int,
    exponent: float,
    tilt: Array,
    burn_in: int | str,
    n_sweeps: int,
    seed: np.random.SeedSequence,
    method: str = "metropolis",
    lattice_shape: tuple[int, ...] | None = None,
) -> ChainDraws:
    """Return draws of chains that start from tempered draws, `n_sweeps` sweeps apart.

    Before a draw "independence" offers every chain a new configuration. With burn_in="auto" sweeps go on until
    the chains of a tile agree. Only "window" asks for the shape of the lattice, a chain unless given.
    """
    codes = np.empty((n_chains, n_draws, network.n_sites), np.int8)
    accepted, worst = [], math.nan
    run: Callable[..., _Single] = _RUNS[method]
    start_seed, move_seed, *chain_seeds = seed.spawn(n_chains + 2)
    if method == "window":
        run = partial(run, moves=_moves(network, lattice_shape or (network.n_sites,), seed.spawn(1)[0]))
    start = equal_weight_codes(network, n_chains, exponent, tilt, start_seed)
    n_tiles = -(-n_chains // LANES)
    for first, tile_seed in zip(range(0, n_chains, LANES), move_seed.spawn(n_tiles), strict=True):
        tile = slice(first, first + LANES)
        chains = run(network, start[tile], exponent, tilt, chain_seeds[tile], tile_seed)
        if burn_in == "auto":
            worst = np.fmax(worst, burn_in_by_r_hat(chains))
        else:
            chains.sweep(int(burn_in))
        for draw in range(n_draws):
            chains.sweep(n_sweeps)
            accepted.append(chains.move())
            codes[tile, draw] = chains.codes
    return ChainDraws(codes, float(np.mean(accepted)), float(worst), _memory(network, start, codes[:, -1]))


def _frozen(acceptance: float, memory: float) -> bool:
    return acceptance < _LOW_ACCEPTANCE and memory > _LONG_MEMORY


def _memory(network: Network, start: Codes, end: Codes) -> float:
    """Return the correlation of log p at the end with that at the start, nan where there is nothing to remember."""
    if len(start) < _ENOUGH_CHAINS or (start == start[0]).all() or (end == end[0]).all():
        return math.nan
    with np.errstate(invalid="ignore", divide="ignore"):  # all log p may be one
        return float(np.corrcoef(log_prob(network, start), log_prob(network, end))[0, 1])


def _moves(network: Network, lattice_shape: tuple[int, ...], seed: np.random.SeedSequence) -> Moves:
    """Return moves learned from draws at the temperature of the data, which no network keeps."""
    *seeds, move_seed = seed.spawn(_N_MOVE_POPULATIONS + 1)
    draws = populations(network, POPULATION, 1.0, np.zeros(network.n_states), seeds)
    codes = np.concatenate([population.codes for population in draws])
    return learn_moves(codes, lattice_shape, network.ordering, np.random.default_rng(move_seed))


def burn_in_by_r_hat(chains: _Single) -> float:
    """Sweep and move until log p and the absolute order agree between chains and halves of chains; return their R-hat.

    What is judged has left the first half of all sweeps behind. Chains end early that would be frozen still after
    the longest burn-in, if the memory of their start goes on to fade exponentially.
    """
    start, accepted, n_done, worst = chains.codes, [], 0, math.inf
    while n_done < _LONGEST_BURN_IN and not worst <= R_HAT_LIMIT:
        n_sweeps = n_done + _FIRST_WINDOW
        trace = np.empty((2, len(chains.codes), n_sweeps))
        for t in range(n_sweeps):
            chains.sweep(1)
            accepted.append(chains.move())
            mean = chains.codes.mean(axis=1) / (chains.network.n_states - 1)
            trace[:, :, t] = chains.log_prob, np.abs(mean - 0.5)
        weight = np.full(trace.shape[1:], 1 / trace[0].size)
        worst = max(r_hat(values, weight) for values in trace)
        n_done += n_sweeps
        memory = _memory(chains.network, start, chains.codes)
        if memory > 0 and _frozen(float(np.mean(accepted)), memory ** (_LONGEST_BURN_IN / n_done)):
            break
    return worst


class _Single(Chains):
    """Chains that move one site at a time, and then window after window where there are any."""

    def __init__(
        self,
        network: Network,
        codes: Codes,
        exponent: float,
        tilt: Array,
        seeds: list[np.random.SeedSequence],
        tile_seed: np.random.SeedSequence,
        moves: Moves = NO_MOVES,
    ):
        generators = [np.random.default_rng(seed) for seed in seeds]
        super().__init__(network, codes, exponent, tilt, generators, moves.positions.shape[1])
        self.rng, self.moves = np.random.default_rng(tile_seed), moves

    def sweep(self, n_sweeps: int = 1) -> None:
        if not len(self.moves.positions):
            return super().sweep(n_sweeps)
        for _ in range(n_sweeps):
            counts = self.n_accepted, self.n_proposed
            super().sweep()
            self.n_accepted, self.n_proposed = counts
            self.sweep_windows(self.moves)

    def move(self) -> float:
        """Make the moves before a draw; return which part of the proposals since the last is accepted."""
        accepted = self.n_accepted / self.n_proposed
        self.n_accepted = self.n_proposed = 0
        return accepted


class _Independence(_Single):
    """Chains that are also offered independent tempered draws, and the flip of the whole lattice."""

    def move(self) -> float:
        accepted = _propose_draws(self, self.rng)
        _propose_flips(self, self.rng)
        return accepted / len(self.generators)


def _propose_draws(chains: Chains, rng: np.random.Generator) -> int:
    """Propose an independent tempered draw to every chain; return how many accept.

    The chance min(1, w' / w) is exact, since the weight w is target over proposal.
    """
    network, codes, law = chains.network, chains.codes, chains.law
    proposal = tempered_draws(network, len(codes), law.exponent, law.tilt, rng, resample=False)
    log_weight = tempered_log_weight(network, codes, law.exponent, law.tilt)
    accepted = np.log(rng.random(len(codes))) < proposal.log_weight - log_weight
    chains.codes = np.where(accepted[:, None], proposal.codes, codes)
    return int(accepted.sum())


def _propose_flips(chains: Chains, rng: np.random.Generator) -> None:
    """Propose to reverse the order of the states on the whole lattice, by heat bath."""
    network, codes, law = chains.network, chains.codes, chains.law
    flipped = np.asarray(network.n_states - 1 - codes, np.int8)
    old, new = (law.exponent * log_prob(network, c) + law.tilt[c].sum(axis=1) for c in (codes, flipped))
    accepted = rng.random(len(codes)) < np.exp(-np.logaddexp(0, old - new))
    chains.codes = np.where(accepted[:, None], flipped, codes)


class _Ladder(_Single):
    r"""Chains with replicas at smaller exponents, which change places after every sweep.

    All rungs have the weight :math:`e^{-\lambda E(s)}` with the same
    :math:`-E(s) = \log p(s) + \sum_i \mathrm{tilt}(s_i) / \lambda`: the same field, and temperatures T0 / lambda.
    """

    def __init__(
        self,
        network: Network,
        codes: Codes,
        exponent: float,
        tilt: Array,
        seeds: list[np.random.SeedSequence],
        tile_seed: np.random.SeedSequence,
    ):
        super().__init__(network, codes, exponent, tilt, seeds, tile_seed)
        pilot_seed, exchange_seed, hotter_seed = tile_seed.spawn(3)
        self.field = self.law.tilt / exponent if exponent else 0 * self.law.tilt
        self.ladder = exponents(network, exponent, self.field, np.random.default_rng(pilot_seed))
        self.streams, self.n_exchanges = new_streams(exchange_seed, len(codes)), 0
        self.hotter = []
        for rung, rung_seed in zip(self.ladder[1:], hotter_seed.spawn(len(self.ladder) - 1), strict=True):
            start_seed, *chain_seeds = rung_seed.spawn(len(codes) + 1)
            start = equal_weight_codes(network, len(codes), rung, rung * self.field, start_seed)
            self.hotter.append(_Single(network, start, rung, rung * self.field, chain_seeds, rung_seed))
        self.n_changed = self.n_offered = 0

    def sweep(self, n_sweeps: int = 1) -> None:
        for _ in range(n_sweeps):
            super().sweep()
            for chains in self.hotter:
                chains.sweep()
            self._exchange()

    def _exchange(self) -> None:
        rungs = [self, *self.hotter]
        codes = np.concatenate([chains.codes for chains in rungs])
        energy = -log_prob(self.network, codes) - self.field[codes].sum(axis=1)
        n_chains, n_rungs = len(self.generators), len(rungs)
        before = np.arange(n_rungs) * n_chains + np.arange(n_chains)[:, None]
        column, parity = before.copy(), self.n_exchanges % 2
        exchange(column, energy, self.ladder, parity, self.streams)
        self.n_exchanges += 1
        self.n_changed += (column != before).sum() // 2
        self.n_offered += n_chains * ((n_rungs - parity) // 2)
        for rung, chains in enumerate(rungs):
            if (column[:, rung] != before[:, rung]).any():
                chains.codes = codes[column[:, rung]]

    def move(self) -> float:
        return self.n_changed / max(1, self.n_offered)


_RUNS = {"metropolis": _Single, "window": _Single, "independence": _Independence, "parallel-tempering": _Ladder}


def exponents(network: Network, exponent: float, field: Array, rng: np.random.Generator) -> NDArray[np.float64]:
    r"""Return a ladder from `exponent` down to half of it, or to twice the temperature of the data if that is less.

    A step is one standard deviation of the energy, :math:`\Delta\lambda = 1 / \sigma_E(\lambda)`, as measured on a
    few tempered draws: about half of all exchanges are then accepted (Kofke, J. Chem. Phys. 117, 6911, 2002).
    """
    rungs = [min(exponent, 1.0) / 2]
    while rungs[-1] < exponent:
        draws = tempered_draws(network, 256, rungs[-1], rungs[-1] * field, rng)
        weight = np.exp(draws.log_weight - np.logaddexp.reduce(draws.log_weight))
        log_w = draws.log_prob + field[draws.codes].sum(axis=1)
        sigma = math.sqrt(weight @ (log_w - weight @ log_w) ** 2)
        rungs.append(min(rungs[-1] + 1 / max(sigma, 1 / exponent), exponent))
    return np.array(rungs[::-1])
