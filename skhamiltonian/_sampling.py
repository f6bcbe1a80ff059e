"""Draws from p^exponent exp(tilt): independent, tempered and resampled, or by Monte Carlo."""

from __future__ import annotations

import numpy as np

from ._autoregressive import (
    Array,
    Codes,
    Network,
    Population,
    log_prob,
    systematic_resample,
    tempered_draws,
    tempered_log_weight,
)
from ._metropolis import LANES, Chains

# Draws of one tempered population: its arrays stay in the cache of a core.
POPULATION = 1024
# Populations behind an error bar, whose own relative error is then 18 %.
N_POPULATIONS = 16


def is_exact(network: Network, exponent: float, tilt: Array) -> bool:
    """Whether ancestral draws have equal weights: the law itself, or no law at all."""
    return not np.any(tilt) and (exponent == 0.0 or (exponent == 1.0 and network.calibration is None))


def populations(
    network: Network, size: int, exponent: float, tilt: Array, seeds: list[np.random.SeedSequence]
) -> list[Population]:
    """Return independent tempered populations of `size` draws, one per seed."""
    return [tempered_draws(network, size, exponent, tilt, np.random.default_rng(seed)) for seed in seeds]


def equal_weight_codes(
    network: Network, n_samples: int, exponent: float, tilt: Array, seed: np.random.SeedSequence
) -> Codes:
    """Return `n_samples` configurations of equal weight.

    They are independent where draws are exact, else resampled from at least twice as many weighted ones.
    """
    exact = is_exact(network, exponent, tilt)
    n_blocks = -(-n_samples // POPULATION) if exact else max(2, -(-2 * n_samples // POPULATION))
    *block_seeds, resample_seed = seed.spawn(n_blocks + 1)
    blocks = populations(network, POPULATION, exponent, tilt, block_seeds)
    codes = np.concatenate([block.codes for block in blocks])
    if exact:
        return codes[:n_samples]
    rng = np.random.default_rng(resample_seed)
    return codes[rng.permutation(systematic_resample(joint_log_weight(blocks).ravel(), n_samples, rng))]


def parted_codes(network: Network, n_samples: int, exponent: float, tilt: Array, seed: np.random.SeedSequence) -> Codes:
    """Return `equal_weight_codes` after one Monte Carlo sweep, so that rows that repeat each other part.

    All rows are swept: to move repeated ones alone would change the law, since likely states repeat more often.
    """
    draw_seed, sweep_seed = seed.spawn(2)
    codes = equal_weight_codes(network, n_samples, exponent, tilt, draw_seed)
    generators = [np.random.default_rng(child) for child in sweep_seed.spawn(n_samples)]
    for start in range(0, n_samples, LANES):
        tile = slice(start, start + LANES)
        chains = Chains(network, codes[tile], exponent, tilt, generators[tile])
        chains.sweep()
        codes[tile] = chains.codes
    return codes


def independent_populations(
    network: Network, n_samples: int, exponent: float, tilt: Array, seed: np.random.SeedSequence
) -> list[Population]:
    """Return populations of equal size with at least `n_samples` draws, enough of them for an error bar."""
    size = max(128, -(-n_samples // N_POPULATIONS))
    return populations(network, size, exponent, tilt, seed.spawn(N_POPULATIONS))


def joint_log_weight(blocks: list[Population]) -> Array:
    """Return the log weights (n_populations, size) that make one population of several.

    Inside a population they are its own; a population as a whole weighs its estimate of Z.
    """
    log_weight = np.stack([block.log_weight for block in blocks])
    own = np.logaddexp.reduce(log_weight, axis=1) - np.log(log_weight.shape[1])
    return log_weight + (np.array([block.log_partition for block in blocks]) - own)[:, None]


def metropolis_codes(
    network: Network,
    n_chains: int,
    n_draws: int,
    exponent: float,
    tilt: Array,
    burn_in: int,
    n_sweeps: int,
    seed: np.random.SeedSequence,
    global_moves: bool = False,
) -> tuple[Codes, float]:
    """Return configurations (n_chains, n_draws, n_sites) of chains started from tempered draws, and the acceptance.

    With `global_moves` whole configurations are proposed before every draw, and the acceptance is theirs.
    """
    start_seed, move_seed, *chain_seeds = seed.spawn(n_chains + 2)
    start = equal_weight_codes(network, n_chains, exponent, tilt, start_seed)
    codes = np.empty((n_chains, n_draws, network.n_sites), np.int8)
    rng = np.random.default_rng(move_seed)
    accepted = proposed = 0
    for first in range(0, n_chains, LANES):
        tile = slice(first, first + LANES)
        generators = [np.random.default_rng(child) for child in chain_seeds[tile]]
        chains = Chains(network, start[tile], exponent, tilt, generators)
        chains.sweep(burn_in)
        for draw in range(n_draws):
            chains.sweep(n_sweeps)
            if global_moves:
                accepted, proposed = accepted + _propose_draws(chains, rng), proposed + len(generators)
                _propose_flips(chains, rng)
            codes[tile, draw] = chains.codes
        if not global_moves:
            accepted, proposed = accepted + chains.n_accepted, proposed + chains.n_proposed
    return codes, accepted / proposed


def _propose_draws(chains: Chains, rng: np.random.Generator) -> int:
    """Propose an independent tempered draw to every chain; return how many accept.

    The chance min(1, w' / w) is exact, since the weight w is target over proposal.
    """
    network, codes = chains.network, chains.codes
    proposal = tempered_draws(network, len(codes), chains.law.exponent, chains.law.tilt, rng, resample=False)
    log_weight = tempered_log_weight(network, codes, chains.law.exponent, chains.law.tilt)
    accepted = np.log(rng.random(len(codes))) < proposal.log_weight - log_weight
    chains.codes = np.where(accepted[:, None], proposal.codes, codes)
    return int(accepted.sum())


def _propose_flips(chains: Chains, rng: np.random.Generator) -> None:
    """Propose to reverse the order of the states on the whole lattice, by heat bath."""
    network, codes = chains.network, chains.codes
    flipped = np.asarray(network.n_states - 1 - codes, np.int8)
    old, new = (chains.law.exponent * log_prob(network, c) + chains.law.tilt[c].sum(axis=1) for c in (codes, flipped))
    accepted = rng.random(len(codes)) < np.exp(-np.logaddexp(0, old - new))
    chains.codes = np.where(accepted[:, None], flipped, codes)


def support(log_likelihood: Array, exponent: float) -> float:
    r"""Return the effective fraction of training rows under :math:`p^\lambda`: weights :math:`p^{\lambda - 1}`."""
    log_weight = (exponent - 1) * log_likelihood
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.mean() ** 2 / (weight**2).mean())
