"""How chains move between two draws: sites, windows, whole configurations, or replicas at other temperatures."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._montecarlo.kernels import exchange, new_streams
from ..network import Codes, Network, log_prob
from .law import Law
from .sweeps import Chains, Moves
from .tempered import ancestral_log_weight, equal_weight_codes, tempered_draws


class Seeds(NamedTuple):
    """One seed for each chain, and one for what chains have in common."""

    chains: list[np.random.SeedSequence]
    common: np.random.SeedSequence


class SiteChains(Chains):
    """Chains that visit all sites in turn; "metropolis" and "heat-bath" are the rules of acceptance."""

    def __init__(self, network: Network, codes: Codes, law: Law, seeds: Seeds, rule: str = "metropolis"):
        super().__init__(network, codes, law, [np.random.default_rng(seed) for seed in seeds.chains], rule)
        self.rng = np.random.default_rng(seeds.common)

    def move(self) -> float:
        """Make the moves before a draw; return the share of the proposals since the last draw that is accepted."""
        accepted = self.n_accepted / max(1, self.n_proposed)
        self.n_accepted = self.n_proposed = 0
        return accepted


class WindowChains(SiteChains):
    """Chains that visit all sites in turn, then all windows; both by Metropolis. The acceptance is that of windows."""

    def __init__(self, network: Network, codes: Codes, law: Law, seeds: Seeds, moves: Moves):
        super().__init__(network, codes, law, seeds)
        self.moves = moves

    def sweep(self, n_sweeps: int = 1) -> None:
        for _ in range(n_sweeps):
            super().sweep()
            if len(self.moves.positions):
                self.n_accepted, self.n_proposed = self.counts
                self.sweep_windows(self.moves)
                self.counts = self.n_accepted, self.n_proposed

    counts = 0, 0

    def move(self) -> float:
        self.counts = 0, 0
        return super().move()


class IndependenceChains(SiteChains):
    """Chains that visit all sites by Metropolis and are also offered tempered draws, and the flip of the lattice."""

    def move(self) -> float:
        accepted = self._propose_draws()
        self._propose_flips()
        return accepted / len(self.generators)

    def _propose_draws(self) -> int:
        """Propose an independent tempered draw to every chain; return how many accept.

        The chance min(1, w' / w) is exact, since the weight w is target over proposal.
        """
        network, codes = self.network, self.codes
        proposal = tempered_draws(network, len(codes), self.law, self.rng, resample=False)
        log_weight = ancestral_log_weight(network, codes, self.law)
        accepted = np.log(self.rng.random(len(codes))) < proposal.log_weight - log_weight
        self.codes = np.where(accepted[:, None], proposal.codes, codes)
        return int(accepted.sum())

    def _propose_flips(self) -> None:
        """Propose to reverse the order of the states on the whole lattice, by heat bath."""
        codes = self.codes
        flipped = np.asarray(self.network.n_states - 1 - codes, np.int8)
        old, new = (self.law.log_weight(log_prob(self.network, c), c) for c in (codes, flipped))
        accepted = self.rng.random(len(codes)) < np.exp(-np.logaddexp(0, old - new))
        self.codes = np.where(accepted[:, None], flipped, codes)


class LadderChains:
    r"""Chains on several rungs, which visit all sites by Metropolis and change places after every sweep.

    All rungs have the weight :math:`e^{-\lambda E(s)}` with the same
    :math:`-E(s) = \log p(s) + \sum_i t(s_i) / \lambda`: the same field, and temperatures T0 / lambda.
    The first rung holds the law; its chains are the ones that are drawn from.
    """

    def __init__(self, network: Network, codes: Codes, law: Law, seeds: Seeds):
        pilot_seed, exchange_seed, hotter_seed = seeds.common.spawn(3)
        self.network, self.unit = network, law.tempered(1.0)
        self.ladder = exponents(network, law, np.random.default_rng(pilot_seed))
        self.streams, self.n_exchanges = new_streams(exchange_seed, len(codes)), 0
        self.rungs = [SiteChains(network, codes, law, seeds)]
        for rung, rung_seed in zip(self.ladder[1:], hotter_seed.spawn(len(self.ladder) - 1), strict=True):
            start_seed, *chain_seeds = rung_seed.spawn(len(codes) + 1)
            hotter = law.tempered(rung)
            start = equal_weight_codes(network, len(codes), hotter, start_seed)
            self.rungs.append(SiteChains(network, start, hotter, Seeds(chain_seeds, rung_seed)))
        self.n_changed = self.n_offered = 0

    @property
    def codes(self) -> Codes:
        """The present configurations of the first rung."""
        return self.rungs[0].codes

    @property
    def log_prob(self) -> NDArray[np.floating]:
        """Their log p, not calibrated."""
        return self.rungs[0].log_prob

    def sweep(self, n_sweeps: int = 1) -> None:
        """Visit every site of every chain, and let rungs change places, `n_sweeps` times."""
        for _ in range(n_sweeps):
            for chains in self.rungs:
                chains.sweep()
            self._exchange()

    def _exchange(self) -> None:
        codes = np.stack([chains.codes for chains in self.rungs])
        n_rungs, n_chains, n_sites = codes.shape
        codes = codes.reshape(-1, n_sites)
        energy = -self.unit.log_weight(log_prob(self.network, codes), codes)
        before = np.arange(n_rungs) * n_chains + np.arange(n_chains)[:, None]
        column, parity = before.copy(), self.n_exchanges % 2
        exchange(column, energy, self.ladder, parity, self.streams)
        self.n_exchanges += 1
        self.n_changed += (column != before).sum() // 2
        self.n_offered += n_chains * ((n_rungs - parity) // 2)
        for rung, chains in enumerate(self.rungs):
            if (column[:, rung] != before[:, rung]).any():
                chains.codes = codes[column[:, rung]]

    def move(self) -> float:
        """Return the share of all exchanges offered that are made."""
        return self.n_changed / max(1, self.n_offered)


def exponents(network: Network, law: Law, rng: np.random.Generator) -> NDArray[np.float64]:
    r"""Return a ladder from the law's exponent down to half of it, or to twice the data's temperature if that is less.

    A step is one standard deviation of the energy, :math:`\Delta\lambda = 1 / \sigma_E(\lambda)`, as measured on a
    few tempered draws: about half of all exchanges are then accepted (Kofke, J. Chem. Phys. 117, 6911, 2002).
    """
    unit, rungs = law.tempered(1.0), [min(law.exponent, 1.0) / 2]
    while rungs[-1] < law.exponent:
        draws = tempered_draws(network, 256, law.tempered(rungs[-1]), rng)
        weight = np.exp(draws.log_weight - np.logaddexp.reduce(draws.log_weight))
        log_w = unit.log_weight(draws.log_prob, draws.codes)
        sigma = math.sqrt(weight @ (log_w - weight @ log_w) ** 2)
        rungs.append(min(rungs[-1] + 1 / max(sigma, 1 / law.exponent), law.exponent))
    return np.array(rungs[::-1])
