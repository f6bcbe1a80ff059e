"""Weighted draws from a network at any temperature: site after site, with resampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._utils.compile import kernel
from ..network import Array, Codes, Network, activate, log_conditionals, uncalibrated_log_prob
from .law import Law

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
# Sites that share a product of matrices.
_BLOCK = 16
# Draws of one population: its arrays stay in the cache of a core.
POPULATION = 1024
# Populations behind an error bar, whose own relative error is then 18 %.
N_POPULATIONS = 16
# Draws from which the support of a temperature is estimated, to a tenth or so.
_SUPPORT_DRAWS = 512


@dataclass(frozen=True)
class Population:
    r"""Weighted draws: averages under a law are averages with weights exp(log_weight).

    exp(log_partition) estimates :math:`\sum_s p(s)^\lambda e^{\sum_i t(s_i)}` without bias.
    """

    codes: Codes
    log_prob: Array
    log_weight: Array
    log_partition: float


def tempered_draws(
    network: Network, n_draws: int, law: Law, rng: np.random.Generator, resample: bool = True
) -> Population:
    r"""Draw site after site from :math:`q(a|s_{<d})^\lambda e^{t(a)} / Z_d`.

    The weight of a draw is :math:`w = \prod_d Z_d`, times the calibration to the power :math:`\lambda`;
    with :math:`\lambda = 1`, no tilt and no calibration it is 1 and the draws are exact and independent.
    If the effective sample size falls below half, the population is resampled and the mean weight moves into
    ``log_partition``; without `resample` draws stay independent.
    """
    draws = _PartialDraws(network.astype(np.float32), n_draws)
    log_p, log_weight = np.zeros(n_draws), np.zeros(n_draws)
    log_partition, tilt = 0.0, law.site_tilt(network)
    for site in range(network.n_sites):
        z, code = draws.logits(site), np.empty(n_draws, np.int8)
        draw_site(z, law.exponent, tilt[site], rng.random(n_draws), code, log_p, log_weight)
        draws.append(site, code)
        if resample and effective_sample_size(log_weight) < n_draws / 2:
            log_partition += log_mean_exp(log_weight)
            survivors = systematic_resample(log_weight, n_draws, rng)
            draws.take(survivors)
            log_p, log_weight = log_p[survivors], np.zeros(n_draws)
    codes = np.empty((n_draws, network.n_sites), np.int8)
    codes[:, network.ordering] = draws.codes.T
    if network.calibration is not None:
        log_ratio = network.calibration(log_p, codes)
        log_p, log_weight = log_p + log_ratio, log_weight + law.exponent * log_ratio
    return Population(codes, log_p, log_weight, log_partition + log_mean_exp(log_weight))


def ancestral_log_weight(network: Network, codes: Codes, law: Law) -> Array:
    """Return the log weight that `tempered_draws` without resampling gives to these configurations."""
    log_q = log_conditionals(network, codes)
    log_weight = np.logaddexp.reduce(law.exponent * log_q + law.site_tilt(network), axis=2).sum(axis=1)
    if network.calibration is None:
        return log_weight
    return log_weight + law.exponent * network.calibration(uncalibrated_log_prob(network, codes), codes)


def populations(network: Network, size: int, law: Law, seeds: list[np.random.SeedSequence]) -> list[Population]:
    """Return independent populations of `size` draws, one per seed."""
    return [tempered_draws(network, size, law, np.random.default_rng(seed)) for seed in seeds]


def independent_populations(
    network: Network, n_samples: int, law: Law, seed: np.random.SeedSequence
) -> list[Population]:
    """Return populations of equal size with at least `n_samples` draws, enough of them for an error bar."""
    return populations(network, max(128, -(-n_samples // N_POPULATIONS)), law, seed.spawn(N_POPULATIONS))


def joint_log_weight(blocks: list[Population]) -> Array:
    """Return the log weights (n_populations, size) that make one population of several.

    Inside a population they are its own; a population as a whole weighs its estimate of Z.
    """
    log_weight = np.stack([block.log_weight for block in blocks])
    own = np.logaddexp.reduce(log_weight, axis=1) - np.log(log_weight.shape[1])
    return log_weight + (np.array([block.log_partition for block in blocks]) - own)[:, None]


def equal_weight_codes(network: Network, n_samples: int, law: Law, seed: np.random.SeedSequence) -> Codes:
    """Return `n_samples` configurations of equal weight.

    They are independent if draws are exact, else resampled from at least twice as many weighted ones.
    """
    exact = law.is_exact(network)
    n_blocks = -(-n_samples // POPULATION) if exact else max(2, -(-2 * n_samples // POPULATION))
    *block_seeds, resample_seed = seed.spawn(n_blocks + 1)
    blocks = populations(network, POPULATION, law, block_seeds)
    codes = np.concatenate([block.codes for block in blocks])
    if exact:
        return codes[:n_samples]
    rng = np.random.default_rng(resample_seed)
    return codes[rng.permutation(systematic_resample(joint_log_weight(blocks).ravel(), n_samples, rng))]


def support(network: Network, law: Law, seed: np.random.SeedSequence) -> float:
    r"""Return how many draws under a law one draw under p is worth.

    It is :math:`\langle w \rangle^2 / \langle w^2 \rangle` with :math:`w = p^{\lambda - 1} e^{t}`, and so
    :math:`Z(\lambda, t)^2 / Z(2 \lambda - 1, 2 t)`. Averages over draws of p would fail when a few rare
    configurations carry all the weight.
    """
    if law.exponent == 1.0 and not law.has_field:
        return 1.0
    square = Law(2 * law.exponent - 1, None if law.tilt is None else 2 * law.tilt)
    log_mean, log_square = (
        tempered_draws(network, _SUPPORT_DRAWS, each, np.random.default_rng(child)).log_partition
        for each, child in zip((law, square), seed.spawn(2), strict=True)
    )
    return math.exp(min(0.0, 2 * log_mean - log_square))


@kernel
def draw_site(z: F32, exponent: float, tilt: F64, uniform: F64, code: Codes, log_p: F64, log_weight: F64) -> None:
    """Draw the state of one site, and add its log q and ln Z_d.

    The logits z are (n_states, n_draws), and (1, n_draws) for two states, whose first logit is 0.
    """
    if len(tilt) == 2:
        _draw_of_two(z, exponent, tilt, uniform, code, log_p, log_weight)
    else:
        _draw_of_many(z, exponent, tilt, uniform, code, log_p, log_weight)


@kernel
def _draw_of_two(z: F32, exponent: float, tilt: F64, uniform: F64, code: Codes, log_p: F64, log_weight: F64) -> None:
    for draw in range(len(code)):
        x = np.float64(z[0, draw])
        x_tempered = exponent * x + tilt[1] - tilt[0]
        e, e_tempered = math.exp(-abs(x)), math.exp(-abs(x_tempered))
        log_q = -max(x, 0.0) - math.log(1 + e)  # of state 0; that of state 1 is larger by x
        log_weight[draw] += exponent * log_q + tilt[0] + max(x_tempered, 0.0) + math.log(1 + e_tempered)
        chosen = uniform[draw] * (1 + e_tempered) > (1.0 if x_tempered < 0 else e_tempered)
        code[draw] = chosen
        log_p[draw] += log_q + chosen * x


@kernel
def _draw_of_many(z: F32, exponent: float, tilt: F64, uniform: F64, code: Codes, log_p: F64, log_weight: F64) -> None:
    log_q, weight = np.empty(len(tilt)), np.empty(len(tilt))
    for draw in range(len(code)):
        for a in range(len(tilt)):
            log_q[a] = z[a, draw]
        norm, _ = _exp_of(log_q, weight)
        for a in range(len(tilt)):
            log_q[a] -= norm
            weight[a] = exponent * log_q[a] + tilt[a]
        norm, total = _exp_of(weight, weight)
        left, chosen = uniform[draw] * total - weight[0], 0
        while left > 0 and chosen < len(tilt) - 1:
            chosen += 1
            left -= weight[chosen]
        code[draw] = chosen
        log_p[draw] += log_q[chosen]
        log_weight[draw] += norm


@kernel
def _exp_of(x: F64, weight: F64) -> tuple[float, float]:
    """Return ln sum e^x; set weight, which may be x itself, to e^x up to a factor, and return its sum."""
    top, total = x[0], 0.0
    for a in range(1, len(x)):
        top = max(top, x[a])
    for a in range(len(x)):
        weight[a] = math.exp(x[a] - top)
        total += weight[a]
    return top + math.log(total), total


@kernel
def effective_sample_size(log_weight: F64) -> float:
    """Return Kish's effective number of draws, (sum w)^2 / sum w^2."""
    top, total, squares = log_weight[0], 0.0, 0.0
    for i in range(1, len(log_weight)):
        top = max(top, log_weight[i])
    for i in range(len(log_weight)):
        w = math.exp(log_weight[i] - top)
        total += w
        squares += w * w
    return total * total / squares


def log_mean_exp(log_weight: Array) -> float:
    """Return the logarithm of the mean weight."""
    return float(np.logaddexp.reduce(log_weight) - np.log(len(log_weight)))


def systematic_resample(log_weight: Array, n_draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return indices, each repeated in proportion to its weight up to rounding."""
    weight = np.exp(log_weight - log_weight.max())
    position = (np.arange(n_draws) + rng.random()) / n_draws
    return np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), position), len(weight) - 1)


class _PartialDraws:
    """A population of configurations drawn up to some site, one column each.

    A hidden unit is computed once, when the last site that it may see has been drawn, so that a whole draw costs
    one forward pass. What the sites before a block of sites contribute is one large product of matrices a block.
    """

    def __init__(self, network: Network, n_draws: int):
        self.network = network
        self.codes = np.empty((network.n_sites, n_draws), np.int8)
        self.layers = [np.empty((len(weight), n_draws), np.float32) for weight in network.weights]
        sites = np.arange(network.n_sites + 1)
        hidden = [np.searchsorted(degrees, sites, "right") for degrees in network.degrees]
        # How many units of a layer, and of the next one, can be computed before a site is drawn.
        self.known = [sites * network.alphabet.n_inputs, *hidden]
        self.next_known = [*hidden, sites * network.alphabet.n_outputs]
        self.start = 0
        self.sums: list[Array] = []

    def logits(self, site: int) -> Array:
        """Return the logits of a site given the drawn ones, as `draw_site` takes them."""
        if site % _BLOCK == 0:
            self._begin_block(site)
        z = self._pre_activations(len(self.layers) - 1, site, site)
        if self.network.skip is not None:
            seen, units = slice(self.known[0][self.start], self.known[0][site]), self._new(-1, site, site + 1)
            z += self.network.skip[seen, units].T @ self.layers[0][seen]
        return z if self.network.n_states == 2 else self.network.alphabet.logits(z.T).T

    def append(self, site: int, code: Codes) -> None:
        """Fix `site` and compute the hidden units that have now seen all they may see."""
        self.codes[site] = code
        self.layers[0][self.known[0][site] : self.known[0][site + 1]] = self.network.alphabet.show(
            code[:, None], np.float32
        ).T
        for layer in range(len(self.layers) - 1):
            a = self._pre_activations(layer, site, site + 1)
            self.layers[layer + 1][self._new(layer, site, site + 1)] = activate(self.network.activation, a)

    def take(self, columns: NDArray[np.intp]) -> None:
        """Keep the given columns, with repetition."""
        self.codes = self.codes[:, columns]
        self.layers = [layer[:, columns] for layer in self.layers]
        self.sums = [known[:, columns] for known in self.sums]

    def _new(self, layer: int, start: int, stop: int) -> slice:
        """Return which units of the next layer can first be computed when sites from `start` on are drawn."""
        return slice(self.next_known[layer][start], self.next_known[layer][stop])

    def _begin_block(self, site: int) -> None:
        self.start, self.sums = site, []
        stop = min(site + _BLOCK, self.network.n_sites)
        for layer, (weight, bias) in enumerate(zip(self.network.weights, self.network.biases, strict=True)):
            seen, units = self.known[layer][site], self._new(layer, site, stop)
            self.sums.append(weight[:seen, units].T @ self.layers[layer][:seen] + bias[units, None])
        if self.network.skip is not None:
            self.sums[-1] += self.network.skip[: self.known[0][site], units].T @ self.layers[0][: self.known[0][site]]

    def _pre_activations(self, layer: int, site: int, drawn: int) -> Array:
        """Return those of the units that belong to a site, from the units known when `drawn` sites are drawn."""
        units = self._new(layer, site, site + 1)
        first, seen = self.next_known[layer][self.start], slice(self.known[layer][self.start], self.known[layer][drawn])
        known = self.sums[layer][units.start - first : units.stop - first]
        return known + self.network.weights[layer][seen, units].T @ self.layers[layer][seen]
