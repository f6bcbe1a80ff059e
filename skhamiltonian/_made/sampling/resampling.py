"""Draws from p^exponent exp(tilt): independent, or tempered and resampled."""

from __future__ import annotations

import math

import numpy as np

from ..network import Array, Codes, Network
from .sweeps import LANES, Chains
from .tempered import Population, systematic_resample, tempered_draws

# Draws of one tempered population: its arrays stay in the cache of a core.
POPULATION = 1024
# Populations behind an error bar, whose own relative error is then 18 %.
N_POPULATIONS = 16
# Draws that tell how much the data say about a temperature, to a tenth or so.
_SUPPORT_DRAWS = 512


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


def support(network: Network, exponent: float, tilt: Array, seed: np.random.SeedSequence) -> float:
    r"""Return how many draws under p^exponent exp(tilt) one draw under p is worth.

    It is :math:`\langle w \rangle^2 / \langle w^2 \rangle` with :math:`w = p^{\lambda - 1} e^{\mathrm{tilt}}`, and so
    :math:`Z(\lambda, \mathrm{tilt})^2 / Z(2 \lambda - 1, 2\,\mathrm{tilt})`. Averages over draws of p would not do:
    where few carry all the weight, what counts may not be among them.
    """
    if exponent == 1.0 and not tilt.any():
        return 1.0
    log_mean, log_square = (
        tempered_draws(network, _SUPPORT_DRAWS, *law, np.random.default_rng(child)).log_partition
        for law, child in zip(((exponent, tilt), (2 * exponent - 1, 2 * tilt)), seed.spawn(2), strict=True)
    )
    return math.exp(min(0.0, 2 * log_mean - log_square))
