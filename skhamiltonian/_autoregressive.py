r"""Masked autoregressive network in numpy: masks, log-likelihood, exact and tempered draws.

A configuration is factorised along the drawing order, :math:`\log p(s) = \sum_d \log q(s_d | s_{<d})`.
A hidden unit of degree m sees the first m sites and feeds the sites from the m-th on (counted from
zero). Degrees ascend within a layer, so every masked weight matrix is block triangular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ._calibration import Calibration

Array = NDArray[np.floating]
Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Network:
    """Weights of a masked network whose sites stand in drawing order.

    A site has one input and one logit for two states, else one of each per state.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    skip: Array | None
    ordering: NDArray[np.intp]
    n_states: int
    activation: str
    calibration: Calibration | None = None

    @property
    def n_sites(self) -> int:
        return len(self.ordering)

    @property
    def n_channels(self) -> int:
        return channels(self.n_states)

    @property
    def degrees(self) -> list[NDArray[np.intp]]:
        return [hidden_degrees(self.n_sites, len(bias)) for bias in self.biases[:-1]]

    def astype(self, dtype: type) -> Network:
        """Return the same network in another precision."""
        weights: tuple[Array, ...] = tuple(w.astype(dtype) for w in self.weights)
        biases: tuple[Array, ...] = tuple(b.astype(dtype) for b in self.biases)
        skip: Array | None = None if self.skip is None else self.skip.astype(dtype)
        return replace(self, weights=weights, biases=biases, skip=skip)


def channels(n_states: int) -> int:
    """Inputs and logits of one site: two states share one of each."""
    return 1 if n_states == 2 else n_states


def hidden_degrees(n_sites: int, n_units: int) -> NDArray[np.intp]:
    """Return the ascending degrees of a hidden layer, evenly spread over 1 ... n_sites - 1."""
    return 1 + ((np.arange(n_units) + 0.5) * (n_sites - 1) / n_units).astype(np.intp)


def masks(n_sites: int, n_states: int, hidden: Sequence[int], n_inputs: int | None = None) -> list[NDArray[np.bool_]]:
    """Return the masks (in, out) of all layers and, last, that of the skip connections.

    A site has `n_inputs` inputs, as many as logits unless given.
    """
    site = np.repeat(np.arange(n_sites), channels(n_states))
    seen = site if n_inputs is None else np.repeat(np.arange(n_sites), n_inputs)
    # An input carries its own site, so what depends on it has a degree above: m > site.
    degrees = [seen + 1, *(hidden_degrees(n_sites, n_units) for n_units in hidden), site]
    layers = [low[:, None] <= high for low, high in pairwise(degrees)]
    return [*layers, seen[:, None] < site]


def encode(codes: Codes, network: Network, dtype: type = np.float64) -> Array:
    """Return codes (n, n_sites) in site order as network inputs (n, n_sites * n_channels) in drawing order."""
    return encode_ordered(codes[:, network.ordering], network.n_states, dtype)


def encode_ordered(codes: Codes, n_states: int, dtype: type = np.float64) -> Array:
    """Return codes as inputs: -1 or +1 for two states, else one-hot."""
    if n_states == 2:
        return 2 * codes.astype(dtype) - 1
    return (codes[:, :, None] == np.arange(n_states)).reshape(len(codes), -1).astype(dtype)


def activate(name: str, a: Array) -> Array:
    """Return the hidden activation of `a`: relu, tanh, logistic or silu."""
    if name == "relu":
        return np.maximum(a, 0)
    if name == "tanh":
        return np.tanh(a)
    sigmoid = np.exp(-np.logaddexp(0, -a))
    return sigmoid if name == "logistic" else a * sigmoid


def logits(network: Network, inputs: Array) -> Array:
    """Return the logits (n, n_sites * n_channels) of all conditionals."""
    hidden = inputs
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        hidden = activate(network.activation, hidden @ weight + bias)
    output = hidden @ network.weights[-1] + network.biases[-1]
    return output if network.skip is None else output + inputs @ network.skip


def log_conditionals(network: Network, codes: Codes) -> Array:
    """Return log q(a | s_<d), shape (n, n_sites, n_states), the sites in drawing order."""
    z = logits(network, encode(codes, network)).reshape(len(codes), network.n_sites, network.n_channels)
    if network.n_states == 2:
        return -np.logaddexp(0, np.concatenate([z, -z], axis=2))
    return z - np.logaddexp.reduce(z, axis=2)[..., None]


def tempered_log_weight(network: Network, codes: Codes, exponent: float, tilt: Array) -> Array:
    """Return the log weight that `tempered_draws` without resampling gives to these configurations."""
    log_q = log_conditionals(network, codes)
    log_weight = np.logaddexp.reduce(exponent * log_q + tilt, axis=2).sum(axis=1)
    if network.calibration is None:
        return log_weight
    return log_weight + exponent * network.calibration(_chosen(network, log_q, codes), codes)


def log_prob(network: Network, codes: Codes) -> Array:
    r"""Return :math:`\log p(s) = \sum_d \log q(s_d | s_{<d})` of every row, in nats, calibrated."""
    log_p = uncalibrated_log_prob(network, codes)
    return log_p if network.calibration is None else log_p + network.calibration(log_p, codes)


def uncalibrated_log_prob(network: Network, codes: Codes) -> Array:
    """Return log p of every row as the network alone has it."""
    if network.n_states == 2:
        inputs = encode(codes, network)
        return -np.logaddexp(0, -inputs * logits(network, inputs)).sum(axis=1)
    return _chosen(network, log_conditionals(network, codes), codes)


def _chosen(network: Network, log_q: Array, codes: Codes) -> Array:
    """Return the sum of log q(s_d | s_<d) over the states taken."""
    return np.take_along_axis(log_q, codes[:, network.ordering, None].astype(np.intp), axis=2).sum(axis=(1, 2))


@dataclass(frozen=True)
class Population:
    r"""Weighted draws: averages under p^exponent are averages with weights exp(log_weight).

    ``log_partition`` estimates :math:`\ln \sum_s p(s)^\lambda e^{\sum_i \mathrm{tilt}(s_i)}` without bias
    in its exponential.
    """

    codes: Codes
    log_prob: Array
    log_weight: Array
    log_partition: float


def tempered_draws(
    network: Network, n_draws: int, exponent: float, tilt: Array, rng: np.random.Generator, resample: bool = True
) -> Population:
    r"""Draw site after site from :math:`q(a|s_{<d})^\lambda e^{\mathrm{tilt}(a)} / Z_d`.

    The weight of a draw is :math:`w = \prod_d Z_d`, times the calibration to the power :math:`\lambda`;
    with :math:`\lambda = 1`, no tilt and no calibration it is 1 and the draws are exact and independent.
    Where the effective sample size falls under half, the population is resampled and the mean weight
    moves into ``log_partition``; without `resample` draws stay independent. `tilt` holds one number per state.
    """
    draws = _PartialDraws(network.astype(np.float32), n_draws)
    log_p, log_weight = np.zeros(n_draws), np.zeros(n_draws)
    log_partition = 0.0
    for site in range(network.n_sites):
        log_q = draws.log_conditional(site)
        log_term = exponent * log_q + tilt[:, None]
        log_norm = np.logaddexp.reduce(log_term, axis=0)
        cumulative = np.cumsum(np.exp(log_term - log_norm), axis=0)
        log_weight += log_norm
        code = (rng.random(n_draws) > cumulative[:-1]).sum(axis=0, dtype=np.int8)
        log_p += np.take_along_axis(log_q, code[None].astype(np.intp), 0)[0]
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
        log_p, log_weight = log_p + log_ratio, log_weight + exponent * log_ratio
    return Population(codes, log_p, log_weight, log_partition + log_mean_exp(log_weight))


class _PartialDraws:
    """A population of configurations drawn up to some site, one column each.

    A hidden unit is computed once, when the last site that it may see has been drawn, so that a
    whole draw costs one forward pass.
    """

    def __init__(self, network: Network, n_draws: int):
        self.network = network
        self.codes = np.empty((network.n_sites, n_draws), np.int8)
        self.layers = [np.empty((len(weight), n_draws), np.float32) for weight in network.weights]
        self.final = [np.searchsorted(degrees, np.arange(network.n_sites), "right") for degrees in network.degrees]

    def log_conditional(self, site: int) -> Array:
        """Return log q(a | drawn sites), shape (n_states, n_draws), in float64."""
        width = self.network.n_channels
        columns = slice(site * width, (site + 1) * width)
        known = self.final[-1][site] if self.final else columns.start
        z = self.network.weights[-1][:known, columns].T @ self.layers[-1][:known]
        if self.network.skip is not None:
            z += self.network.skip[: columns.start, columns].T @ self.layers[0][: columns.start]
        z = (z + self.network.biases[-1][columns, None]).astype(np.float64)
        if self.network.n_states == 2:
            return -np.logaddexp(0, np.concatenate([z, -z]))
        return z - np.logaddexp.reduce(z, axis=0)

    def append(self, site: int, code: Codes) -> None:
        """Fix `site` and compute the hidden units that have now seen all they may see."""
        self.codes[site] = code
        width = self.network.n_channels
        inputs = encode_ordered(code[:, None], self.network.n_states, np.float32).T
        self.layers[0][site * width : (site + 1) * width] = inputs
        if site + 1 == self.network.n_sites:
            return
        seen = (site + 1) * width
        for layer, (weight, bias) in enumerate(zip(self.network.weights[:-1], self.network.biases[:-1], strict=True)):
            new = slice(self.final[layer][site], self.final[layer][site + 1])
            a = weight[:seen, new].T @ self.layers[layer][:seen] + bias[new, None]
            self.layers[layer + 1][new] = activate(self.network.activation, a)
            seen = new.stop

    def take(self, columns: NDArray[np.intp]) -> None:
        """Keep the given columns, with repetition."""
        self.codes = self.codes[:, columns]
        self.layers = [layer[:, columns] for layer in self.layers]


def effective_sample_size(log_weight: Array) -> float:
    """Return Kish's effective number of draws, (sum w)^2 / sum w^2."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight**2).sum())


def log_mean_exp(log_weight: Array) -> float:
    """Return the logarithm of the mean weight."""
    return float(np.logaddexp.reduce(log_weight) - np.log(len(log_weight)))


def systematic_resample(log_weight: Array, n_draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return indices, each repeated in proportion to its weight up to rounding."""
    weight = np.exp(log_weight - log_weight.max())
    position = (np.arange(n_draws) + rng.random()) / n_draws
    return np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), position), len(weight) - 1)
