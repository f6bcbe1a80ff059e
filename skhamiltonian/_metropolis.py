r"""Single-site Monte Carlo on a masked network, many chains side by side.

A proposal at drawing position d changes one input, the hidden units that may see it and the
conditionals from d on. Degrees ascend, so these are the tails of every layer, and

.. math:: \Delta \log p = \sum_{k \ge d} \Delta \log q(s_k | s_{<k}).

Chains are columns ("lanes") of every array, so that the innermost loop runs over chains. Rows are
padded to a multiple of four and products blocked four by four, which keeps the multiply-adds, not
the loads, the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._autoregressive import Array, Codes, Network, activate, encode_ordered
from ._compile import kernel

LANES = 64
# Multiply-adds a kernel call may take: about 50 ms, so that Ctrl-C is answered soon.
_CHUNK = 1e9
_ACTIVATIONS = {"relu": 0, "tanh": 1, "logistic": 2, "silu": 3}


@kernel
def _exp(x):
    """Return exp(x) for -87 < x <= 0 in float32, without a call, so that the loop around it vectorises."""
    y = max(x, np.float32(-87.0)) * np.float32(1.4426950408889634)
    n = np.int32(y - np.float32(0.5))
    f = (y - np.float32(n)) * np.float32(0.6931471805599453)
    p = np.float32(1.0 / 720.0)
    p = p * f + np.float32(1.0 / 120.0)
    p = p * f + np.float32(1.0 / 24.0)
    p = p * f + np.float32(1.0 / 6.0)
    p = p * f + np.float32(0.5)
    p = p * f + np.float32(1.0)
    p = p * f + np.float32(1.0)
    return p * np.int32((n + np.int32(127)) * np.int32(8388608)).view(np.float32)


@kernel
def _log(y):
    """Return log(y) for y >= 1 in float32: y = 2^n r with r near [2/3, 4/3), log r = 2 artanh((r-1)/(r+1))."""
    bits = np.float32(y).view(np.int32)
    # A product instead of a shift: numba would widen the shift to 64 bits and the loop would not vectorise.
    n = np.int32(np.float32(np.int32(bits - np.int32(0x3F2AAAAB))) * np.float32(1.0 / 8388608.0))
    r = np.int32(bits - n * np.int32(8388608)).view(np.float32)
    s = (r - np.float32(1.0)) / (r + np.float32(1.0))
    q = s * s
    p = np.float32(1.0 / 9.0)
    p = p * q + np.float32(1.0 / 7.0)
    p = p * q + np.float32(1.0 / 5.0)
    p = p * q + np.float32(1.0 / 3.0)
    p = p * q + np.float32(1.0)
    return np.float32(n) * np.float32(0.6931471805599453) + np.float32(2.0) * s * p


@kernel
def _act(a, name):
    if name == 0:
        return max(a, np.float32(0.0))
    e = _exp(-abs(a))
    sigmoid = (np.float32(1.0) if a > 0 else e) / (np.float32(1.0) + e)
    if name == 1:
        t = _exp(-abs(a) - abs(a))
        tanh = (np.float32(1.0) - t) / (np.float32(1.0) + t)
        return tanh if a > 0 else -tanh
    return sigmoid if name == 2 else a * sigmoid


@kernel
def _add_product(weight, x, first, stop, start, out):
    """Add sum of weight[u, v] x[u] over first <= u < stop[v // 4] to out[v], v >= start; edges are multiples of 4."""
    n_lanes, one, four = np.uint64(out.shape[1]), np.uint64(1), np.uint64(4)
    for v in range(np.uint64(start), np.uint64(out.shape[0]), four):
        o0, o1, o2, o3 = out[v], out[v + one], out[v + one + one], out[v + four - one]
        for u in range(np.uint64(first), np.uint64(stop[v // four]), four):
            x0, x1, x2, x3 = x[u], x[u + one], x[u + one + one], x[u + four - one]
            w0, w1 = weight[u, v : v + four], weight[u + one, v : v + four]
            w2, w3 = weight[u + one + one, v : v + four], weight[u + four - one, v : v + four]
            for lane in range(n_lanes):
                a, b, c, d = x0[lane], x1[lane], x2[lane], x3[lane]
                o0[lane] += w0[0] * a + w1[0] * b + w2[0] * c + w3[0] * d
                o1[lane] += w0[1] * a + w1[1] * b + w2[1] * c + w3[1] * d
                o2[lane] += w0[2] * a + w1[2] * b + w2[2] * c + w3[2] * d
                o3[lane] += w0[3] * a + w1[3] * b + w2[3] * c + w3[3] * d


@kernel
def _site_term(x, z, term):
    """Set term[lane] = log q of the chosen state, from the inputs x and logits z of one site (channels, lanes)."""
    zero, one = np.float32(0.0), np.float32(1.0)
    if len(x) == 1:
        for lane in range(len(term)):
            t = x[0, lane] * z[0, lane]
            term[lane] = min(t, zero) - _log(one + _exp(-abs(t)))
        return
    for lane in range(len(term)):
        top, chosen = z[0, lane], zero
        for channel in range(len(x)):
            top = max(top, z[channel, lane])
            chosen += x[channel, lane] * z[channel, lane]
        total = zero
        for channel in range(len(x)):
            total += _exp(z[channel, lane] - top)
        term[lane] = chosen - top - _log(total)


@kernel
def _propose(codes, inputs, uniform, n_states, new_codes, dx, threshold):
    """Choose another state uniformly, write the change of the inputs, keep what is left of the uniform number."""
    for lane in range(len(codes)):
        scaled = uniform[lane] * (n_states - 1)
        step = min(int(scaled), n_states - 2)
        threshold[lane] = scaled - step
        new_codes[lane] = (codes[lane] + step + 1) % n_states
        if len(inputs) == 1:
            dx[0, lane] = -2 * inputs[0, lane]
        else:
            for channel in range(len(inputs)):
                dx[channel, lane] = np.float32(channel == new_codes[lane]) - np.float32(channel == codes[lane])


@kernel
def _propagate(d, row, weights, skip, name, starts, stops, edge, pre, dx, delta, change):
    """Set delta to the change of every pre-activation, and that of the logits to their new values."""
    last = len(weights) - 1
    for layer in range(last + 1):
        out = delta[layer]
        start = starts[layer, d]
        out[start:] = np.float32(0.0)
        if layer == 0:
            _add_product(weights[0][row : row + len(dx)], dx, 0, edge, start, out)
        else:
            _add_product(weights[layer], change[layer - 1], starts[layer - 1, d], stops[layer], start, out)
        if layer < last:
            for u in range(start, len(out)):
                a, da, h = pre[layer][u], out[u], change[layer][u]
                for lane in range(len(a)):
                    h[lane] = _act(a[lane] + da[lane], name) - _act(a[lane], name)
    z, dz = pre[last], delta[last]
    if len(skip) > 0:
        _add_product(skip[row : row + len(dx)], dx, 0, edge, starts[last, d], dz)
    for j in range(starts[last, d], len(dz)):
        dz[j] += z[j]


@kernel
def _decide(dlog, dlog_tilt, threshold, exponent, keep, log_prob):
    """Set keep to 1 in the lanes that accept, with chance 1 / (1 + exp(-dlog w)); return their number."""
    n_accepted = 0
    for lane in range(len(dlog)):
        dlog_weight = exponent * dlog[lane] + dlog_tilt[lane]
        if math.isnan(dlog_weight):
            log_prob[lane] = math.nan
        e = math.exp(-abs(dlog_weight))
        chance = 1 / (1 + e) if dlog_weight > 0 else e / (1 + e)
        keep[lane] = np.float32(threshold[lane] < chance)
        if threshold[lane] < chance:
            n_accepted += 1
            log_prob[lane] += dlog[lane]
    return n_accepted


@kernel
def _blend(keep, old, new):
    for lane in range(len(old)):
        old[lane] = new[lane] if keep[lane] > 0 else old[lane]


def _sweep_impl(
    positions, weights, skip, name, starts, stops, edge, codes, inputs, pre, terms, delta, change, new_terms,
    dx, uniform, exponent, tilt, log_prob,
):  # fmt: skip
    """Visit the given drawing positions in all lanes; return the number of accepted proposals.

    Heat-bath acceptance is ergodic and aperiodic in a fixed order of sites, which Metropolis acceptance
    is not. A lane whose weight is NaN gets log_prob = NaN.
    """
    n_lanes, last, width = codes.shape[1], len(weights) - 1, len(inputs) // len(codes)
    new_codes, threshold, dlog_tilt = np.empty(n_lanes, np.int8), np.empty(n_lanes), np.empty(n_lanes)
    dlog, keep = np.empty(n_lanes, np.float32), np.empty(n_lanes, np.float32)
    n_accepted = 0
    for d in positions:
        row = d * width
        _propose(codes[d], inputs[row : row + width], uniform[d], len(tilt), new_codes, dx, threshold)
        _propagate(d, row, weights, skip, name, starts, stops, edge, pre, dx, delta, change)
        for channel in range(width):
            inputs[row + channel] += dx[channel]
        dlog[:] = np.float32(0.0)
        for k in range(d, len(codes)):
            block = slice(k * width, (k + 1) * width)
            _site_term(inputs[block], delta[last][block], new_terms[k])
            dlog += new_terms[k] - terms[k]
        for lane in range(n_lanes):
            dlog_tilt[lane] = tilt[new_codes[lane]] - tilt[codes[d, lane]]
        n_accepted += _decide(dlog, dlog_tilt, threshold, exponent, keep, log_prob)
        _blend(keep, codes[d], new_codes)
        for channel in range(width):
            inputs[row + channel] -= (np.float32(1.0) - keep) * dx[channel]
        for layer in range(last):
            for u in range(starts[layer, d], len(delta[layer])):
                pre[layer][u] += keep * delta[layer][u]
        for j in range(starts[last, d], len(delta[last])):
            _blend(keep, pre[last][j], delta[last][j])
        for k in range(d, len(codes)):
            _blend(keep, terms[k], new_terms[k])
    return n_accepted


_sweep = kernel(_sweep_impl)


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
        self.ordered = np.ascontiguousarray(codes[:, network.ordering].T)
        self._kernel_arrays(_pad(network.astype(np.float32)))
        self.n_accepted = self.n_proposed = 0

    @property
    def codes(self) -> Codes:
        """The present configurations (n_chains, n_sites), in site order."""
        codes = np.empty(self.ordered.T.shape, np.int8)
        codes[:, self.network.ordering] = self.ordered.T
        return codes

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
            _site_term(self.inputs[block], self.pre[-1][block], self.terms[site])
        self.log_prob = self.terms.sum(axis=0, dtype=np.float64)

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
        return _sweep(
            positions, p.weights, p.skip, name, p.starts, p.stops, p.edge, self.ordered, self.inputs, self.pre,
            self.terms, self.delta, self.change, self.new_terms, self.dx, uniform, self.exponent, self.tilt,
            self.log_prob,
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
