r"""Masked autoregressive network in numpy: masks, log-likelihood, exact and tempered draws.

A configuration is factorised along the drawing order, :math:`\log p(s) = \sum_d \log q(s_d | s_{<d})`.
A hidden unit of degree m sees the first m sites and feeds the sites from the m-th on (counted from
zero). Degrees ascend within a layer, so every masked weight matrix is block triangular.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.utils import gen_batches

from .._utils.alphabet import Alphabet
from .calibration import Calibration, LocalCalibration

Array = NDArray[np.floating]
Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Network:
    """Weights of a masked network whose sites stand in drawing order.

    The alphabet says what a site shows to the network, and what the outputs mean.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    skip: Array | None
    ordering: NDArray[np.intp]
    alphabet: Alphabet
    activation: str
    calibration: Calibration | LocalCalibration | None = None

    @property
    def n_sites(self) -> int:
        return len(self.ordering)

    @property
    def n_states(self) -> int:
        return self.alphabet.n_states

    @property
    def degrees(self) -> list[NDArray[np.intp]]:
        return [hidden_degrees(self.n_sites, len(bias)) for bias in self.biases[:-1]]

    def astype(self, dtype: type) -> Network:
        """Return the same network in another precision."""
        weights: tuple[Array, ...] = tuple(w.astype(dtype) for w in self.weights)
        biases: tuple[Array, ...] = tuple(b.astype(dtype) for b in self.biases)
        skip: Array | None = None if self.skip is None else self.skip.astype(dtype)
        return replace(self, weights=weights, biases=biases, skip=skip)


def hidden_degrees(n_sites: int, n_units: int) -> NDArray[np.intp]:
    """Return the ascending degrees of a hidden layer, evenly spread over 1 ... n_sites - 1."""
    return 1 + ((np.arange(n_units) + 0.5) * (n_sites - 1) / n_units).astype(np.intp)


def masks(n_sites: int, n_inputs: int, n_outputs: int, hidden: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Return the masks (in, out) of all layers and, last, that of the skip connections.

    Every site has `n_inputs` inputs and `n_outputs` outputs.
    """
    return [*layer_masks(n_sites, n_inputs, n_outputs, hidden), skip_mask(n_sites, n_inputs, n_outputs)]


def layer_masks(n_sites: int, n_inputs: int, n_outputs: int, hidden: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Return the masks (in, out) of all layers, as `masks` does."""
    seen, site = (np.repeat(np.arange(n_sites), n) for n in (n_inputs, n_outputs))
    # An input carries its own site, so what depends on it has a degree above: m > site.
    degrees = [seen + 1, *(hidden_degrees(n_sites, n_units) for n_units in hidden), site]
    return [low[:, None] <= high for low, high in pairwise(degrees)]


def skip_mask(n_sites: int, n_inputs: int, n_outputs: int) -> NDArray[np.bool_]:
    """Return the mask (in, out) of the skip connections, as `masks` does."""
    seen, site = (np.repeat(np.arange(n_sites), n) for n in (n_inputs, n_outputs))
    return seen[:, None] < site


def encode(codes: Codes, network: Network, dtype: type = np.float64) -> Array:
    """Return codes (n, n_sites) in site order as inputs (n, n_sites * n_inputs) in drawing order."""
    return network.alphabet.show(codes[:, network.ordering], dtype)


def activate(name: str, a: Array) -> Array:
    """Return the hidden activation of `a`: relu, tanh, logistic or silu."""
    if name == "relu":
        return np.maximum(a, 0)
    if name == "tanh":
        return np.tanh(a)
    sigmoid = np.exp(-np.logaddexp(0, -a))
    return sigmoid if name == "logistic" else a * sigmoid


def outputs(network: Network, inputs: Array) -> Array:
    """Return the outputs (n, n_sites * n_outputs), which are the logits of all conditionals in the alphabet's basis."""
    hidden = inputs
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        hidden = activate(network.activation, hidden @ weight + bias)
    output = hidden @ network.weights[-1] + network.biases[-1]
    return output if network.skip is None else output + inputs @ network.skip


def log_conditionals(network: Network, codes: Codes) -> Array:
    """Return log q(a | s_<d), shape (n, n_sites, n_states), the sites in drawing order."""
    y = outputs(network, encode(codes, network)).reshape(len(codes), network.n_sites, -1)
    z = network.alphabet.logits(y)
    return z - np.logaddexp.reduce(z, axis=2)[..., None]


def log_prob(network: Network, codes: Codes) -> Array:
    r"""Return :math:`\log p(s) = \sum_d \log q(s_d | s_{<d})` of every row, in nats, calibrated."""
    if isinstance(network.calibration, LocalCalibration):
        return network.calibration.log_prob(codes)
    log_p = uncalibrated_log_prob(network, codes)
    return log_p if network.calibration is None else log_p + network.calibration(log_p, codes)


def score_codes(network: Network, codes: Codes) -> NDArray[np.float64]:
    """Return log p of every row, in double precision and in batches that respect scikit-learn's working memory."""
    network = network.astype(np.float64)
    each = [log_prob(network, codes[rows]) for rows in batches(network, len(codes))]
    return np.concatenate(each, dtype=np.float64)


def batches(network: Network, n_rows: int) -> Iterator[slice]:
    """Return slices of rows whose arrays fit into scikit-learn's working memory."""
    row_bytes = 8 * (4 * network.n_sites * _width(network) + 2 * sum(map(len, network.biases)))
    return gen_batches(n_rows, min(4096, max(1, int(get_config()["working_memory"] * 2**20 / row_bytes))))


def _width(network: Network) -> int:
    """Return how many numbers a site needs at a time: one for two states, which take the short way."""
    return network.n_states if network.n_states > 2 else 1


def uncalibrated_log_prob(network: Network, codes: Codes) -> Array:
    """Return log p of every row as the network alone has it."""
    if network.n_states == 2:  # log q = -ln(1 + e^(-x y)) with the input x = -1 or 1: half of the work
        inputs = encode(codes, network)
        return -np.logaddexp(0, -inputs * outputs(network, inputs)).sum(axis=1)
    return _chosen(network, log_conditionals(network, codes), codes)


def _chosen(network: Network, log_q: Array, codes: Codes) -> Array:
    """Return the sum of log q(s_d | s_<d) over the states taken."""
    return np.take_along_axis(log_q, codes[:, network.ordering, None].astype(np.intp), axis=2).sum(axis=(1, 2))
