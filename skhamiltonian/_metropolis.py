r"""Single-site Monte Carlo on a masked network, many chains side by side.

A proposal at drawing position d changes one input, the hidden units that may see it and the
conditionals from d on. Degrees ascend, so these are the tails of every layer, and

.. math:: \Delta \log p = \sum_{k \ge d} \Delta \log q(s_k | s_{<k}).

Chains are columns ("lanes") of every array, so that the innermost loops run over chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._autoregressive import Array, Codes, Network, activate, encode_ordered
from ._network_kernels import site_term, sweep

LANES = 64
# Multiply-adds a kernel call may take: about 50 ms, so that Ctrl-C is answered soon.
_CHUNK = 1e9
_ACTIVATIONS = {"relu": 0, "tanh": 1, "logistic": 2, "silu": 3}


class Chains:
    r"""At most LANES chains on :math:`\log w(s) = \lambda \log p(s) + \sum_i \mathrm{tilt}(s_i)`.

    Each chain draws from its own generator, so that it does not depend on its neighbours.
    """

    def __init__(
        self,
        network: Network,
        codes: Codes,
        exponent: float,
        tilt: Array,
        generators: Sequence[np.random.Generator],
    ):
        self.network, self.exponent, self.tilt = network, exponent, np.asarray(tilt, np.float64)
        self.generators = generators
        calibration, shape = network.calibration, (network.n_sites, network.n_states)
        if calibration is None:
            self.contribution, self.scales, self.coef = np.zeros(shape), np.zeros(0), np.zeros(0)
        else:
            self.contribution = np.outer(calibration.direction, calibration.states)[network.ordering]
            self.scales, self.coef = calibration.scales, calibration.coef[:-1]
        self.ordered = np.ascontiguousarray(codes[:, network.ordering].T)
        self._kernel_arrays(_pad(network.astype(np.float32)))
        self.n_accepted = self.n_proposed = 0

    @property
    def codes(self) -> Codes:
        """The present configurations (n_chains, n_sites), in site order."""
        codes = np.empty(self.ordered.T.shape, np.int8)
        codes[:, self.network.ordering] = self.ordered.T
        return codes

    def replace(self, codes: Codes, accepted: NDArray[np.bool_]) -> None:
        """Put other configurations (n_chains, n_sites) in the place of some."""
        self.ordered[:, accepted] = codes[accepted][:, self.network.ordering].T

    def _kernel_arrays(self, padded: _Padded) -> None:
        shape = self.ordered.shape
        self.padded = padded
        self.delta = tuple(np.zeros((w.shape[1], shape[1]), np.float32) for w in padded.weights)
        self.change = tuple(np.zeros_like(d) for d in self.delta)
        self.new_terms = np.zeros(shape, np.float32)
        self.dx = np.zeros((_ceil4(self.network.n_channels), shape[1]), np.float32)

    def refresh(self) -> None:
        """Compute every unit anew from the configurations, so that rounding errors do not add up."""
        padded, n_inputs = self.padded, self.network.n_sites * self.network.n_channels
        self.inputs = np.ascontiguousarray(encode_ordered(self.ordered.T, self.network.n_states, np.float32).T)
        pre, hidden = [], self.inputs
        for layer, (weight, bias) in enumerate(zip(padded.weights, padded.biases, strict=True)):
            pre.append(weight[: len(hidden)].T @ hidden + bias[:, None])
            if layer < len(padded.weights) - 1:
                hidden = activate(self.network.activation, pre[-1])
        if len(padded.skip):
            pre[-1] += padded.skip[:n_inputs].T @ self.inputs
        self.pre = tuple(np.ascontiguousarray(a, np.float32) for a in pre)
        self.terms = np.empty(self.ordered.shape, np.float32)
        for site in range(self.network.n_sites):
            block = slice(site * self.network.n_channels, (site + 1) * self.network.n_channels)
            site_term(self.inputs[block], self.pre[-1][block], self.terms[site])
        self.log_prob = self.terms.sum(axis=0, dtype=np.float64)
        self.order = np.take_along_axis(self.contribution, self.ordered.astype(np.intp), axis=1).sum(axis=0)

    def sweep(self, n_sweeps: int = 1) -> None:
        """Visit every site of every chain `n_sweeps` times."""
        n_sites, n_chains = self.ordered.shape
        for _ in range(n_sweeps):
            self.refresh()
            uniform = np.stack([generator.random(n_sites) for generator in self.generators], axis=1)
            for start in range(0, n_sites, self.padded.chunk):
                positions = np.arange(start, min(start + self.padded.chunk, n_sites))
                self.n_accepted += self._visit(positions, uniform)
            self.n_proposed += n_sites * n_chains
            if not np.isfinite(self.log_prob).all():
                raise FloatingPointError("the model gives NaN for a configuration reached by Monte Carlo")

    def _visit(self, positions: NDArray[np.intp], uniform: Array) -> int:
        p = self.padded
        name = _ACTIVATIONS[self.network.activation]
        return sweep(
            positions, p.weights, p.skip, name, p.starts, p.stops, p.edge, self.ordered, self.inputs, self.pre,
            self.terms, self.delta, self.change, self.new_terms, self.dx, uniform, self.exponent, self.tilt,
            self.log_prob, self.order, self.contribution, self.scales, self.coef,
        )  # fmt: skip


@dataclass(frozen=True)
class _Padded:
    """Weights with all rows and columns padded by zeros to multiples of four, and where each tail starts and ends."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    skip: Array
    starts: NDArray[np.int64]
    stops: tuple[NDArray[np.int64], ...]
    edge: NDArray[np.int64]
    chunk: int


def _ceil4(n: int) -> int:
    return -(-n // 4) * 4


def _padded(matrix: Array, extra_rows: int) -> Array:
    n_rows, n_columns = matrix.shape
    out = np.zeros((_ceil4(n_rows) + extra_rows, _ceil4(n_columns)), np.float32)
    out[:n_rows, :n_columns] = matrix
    return out


def _pad(network: Network) -> _Padded:
    width, n_sites = network.n_channels, network.n_sites
    # The first product reads whole groups of four input rows from the site on, hence the extra rows.
    extra = _ceil4(width)
    weights = tuple(_padded(w, extra if layer == 0 else 0) for layer, w in enumerate(network.weights))
    biases = tuple(_padded(b[None], 0)[0] for b in network.biases)
    skip = np.zeros((0, 4), np.float32) if network.skip is None else _padded(network.skip, extra)
    site = np.arange(n_sites)
    degrees = [*network.degrees, np.repeat(site, width)]
    starts = np.stack([np.searchsorted(degree, site + 1) for degree in degrees[:-1]] + [site * width]) // 4 * 4
    stops = [np.full(biases[0].size // 4, extra)]
    for low, high, bias in zip(degrees[:-1], degrees[1:], biases[1:], strict=True):
        top = high[np.minimum(np.arange(3, bias.size, 4), len(high) - 1)]
        stops.append(_ceil4_array(np.searchsorted(low, top, "right")))
    edge = np.full(max(b.size for b in biases) // 4, extra)
    work = sum(w.size for w in weights) / 4 * LANES
    return _Padded(weights, biases, skip, starts, tuple(stops), edge, max(1, int(_CHUNK / work)))


def _ceil4_array(n: NDArray[np.intp]) -> NDArray[np.int64]:
    return -(-n // 4) * 4
