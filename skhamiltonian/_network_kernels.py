"""Compiled steps of Monte Carlo on a masked network; chains ("lanes") are the columns of every array.

Rows are padded to a multiple of four and products blocked four by four.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._autoregressive import Codes
from ._calibration import features
from ._compile import kernel

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@kernel
def _exp(x: Any) -> Any:
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
def _log(y: Any) -> Any:
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
def _act(a: Any, name: int) -> Any:
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
def _add_product_of_one(weight: F32, x: F32, first: int, stop: I64, start: int, out: F32) -> None:
    """Do `_add_product` for one lane: units in the innermost loop, and none where x has not changed."""
    y, z = out.ravel(), x.ravel()
    for u in range(first, stop[len(stop) - 1]):
        if z[u] != np.float32(0.0):
            row, factor = weight[u], z[u]
            for v in range(np.uint64(start), np.uint64(len(y))):
                y[v] += row[v] * factor


@kernel
def _add_product(weight: F32, x: F32, first: int, stop: I64, start: int, out: F32) -> None:
    """Add sum of weight[u, v] x[u] over first <= u < stop[v // 4] to out[v], v >= start; edges are multiples of 4."""
    if out.shape[1] == 1:
        _add_product_of_one(weight, x, first, stop, start, out)
        return
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
def site_term(x: F32, z: F32, term: F32) -> None:
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
def _propose(codes: Codes, inputs: F32, uniform: F64, n_states: int, new_codes: Codes, dx: F32, threshold: F64) -> None:
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
def _propagate(
    d: int,
    row: int,
    weights: tuple[F32, ...],
    skip: F32,
    name: int,
    starts: I64,
    stops: tuple[I64, ...],
    edge: I64,
    pre: tuple[F32, ...],
    dx: F32,
    delta: tuple[F32, ...],
    change: tuple[F32, ...],
) -> None:
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
            a, da, h = pre[layer][start:].ravel(), out[start:].ravel(), change[layer][start:].ravel()
            for i in range(len(a)):
                h[i] = _act(a[i] + da[i], name) - _act(a[i], name)
    start = starts[last, d]
    if len(skip) > 0:
        _add_product(skip[row : row + len(dx)], dx, 0, edge, start, delta[last])
    z, dz = pre[last][start:].ravel(), delta[last][start:].ravel()
    for i in range(len(z)):
        dz[i] += z[i]


_features = kernel(features)


@kernel
def _log_ratio(log_prob: float, order_parameter: float, scales: F64, coef: F64) -> float:
    """Return the calibration of log p, up to its constant."""
    feature, total = _features(log_prob, order_parameter, scales), 0.0
    for i in range(len(feature)):
        total += coef[i] * feature[i]
    return total


@kernel
def _calibrate(
    dlog: F32, log_prob: F64, d_order: F64, order: F64, scales: F64, coef: F64, exponent: float, dlog_extra: F64
) -> None:
    """Add exponent times the change of the calibration to dlog_extra."""
    for lane in range(len(dlog)):
        new = _log_ratio(log_prob[lane] + dlog[lane], order[lane] + d_order[lane], scales, coef)
        dlog_extra[lane] += exponent * (new - _log_ratio(log_prob[lane], order[lane], scales, coef))


@kernel
def _decide(dlog: F32, dlog_extra: F64, threshold: F64, exponent: float, keep: F32, log_prob: F64) -> int:
    """Set keep to 1 in the lanes that accept, with chance 1 / (1 + exp(-dlog w)); return their number."""
    n_accepted = 0
    for lane in range(len(dlog)):
        dlog_weight = exponent * dlog[lane] + dlog_extra[lane]
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
def _new_terms(d: int, width: int, inputs: F32, z: F32, terms: F32) -> None:
    """Set the terms from site d on, given inputs and logits."""
    if width == 1:
        x, y, t = inputs[d:].ravel(), z[d:].ravel(), terms[d:].ravel()
        zero, one = np.float32(0.0), np.float32(1.0)
        for i in range(len(t)):
            a = x[i] * y[i]
            t[i] = min(a, zero) - _log(one + _exp(-abs(a)))
        return
    for k in range(d, len(terms)):
        block = slice(k * width, (k + 1) * width)
        site_term(inputs[block], z[block], terms[k])


@kernel
def _add_changes(d: int, new: F32, old: F32, total: F32) -> None:
    """Add new - old of the sites from d on to total."""
    for k in range(np.uint64(d), np.uint64(len(old))):
        for lane in range(np.uint64(len(total))):
            total[lane] += new[k, lane] - old[k, lane]


@kernel
def _blend(keep: F32, start: int, old: F32, new: F32) -> None:
    """Take over the new rows from `start` on in the lanes that keep them."""
    for k in range(np.uint64(start), np.uint64(len(old))):
        for lane in range(np.uint64(len(keep))):
            old[k, lane] = new[k, lane] if keep[lane] > 0 else old[k, lane]


@kernel
def _add_kept(keep: F32, start: int, old: F32, change: F32) -> None:
    """Add the change of the rows from `start` on in the lanes that keep it."""
    for k in range(np.uint64(start), np.uint64(len(old))):
        for lane in range(np.uint64(len(keep))):
            old[k, lane] += keep[lane] * change[k, lane]


def sweep_impl(
    positions: NDArray[np.intp],
    weights: tuple[F32, ...],
    skip: F32,
    name: int,
    starts: I64,
    stops: tuple[I64, ...],
    edge: I64,
    codes: Codes,
    inputs: F32,
    pre: tuple[F32, ...],
    terms: F32,
    delta: tuple[F32, ...],
    change: tuple[F32, ...],
    new_terms: F32,
    dx: F32,
    uniform: F64,
    exponent: float,
    tilt: F64,
    log_prob: F64,
    order: F64,
    contribution: F64,
    scales: F64,
    coef: F64,
) -> int:
    """Visit the given drawing positions in all lanes; return the number of accepted proposals.

    Heat-bath acceptance is ergodic and aperiodic in a fixed order of sites, which Metropolis acceptance
    is not. A lane whose weight is NaN gets log_prob = NaN. `contribution` holds what each state of each site
    adds to the order parameter.
    """
    n_lanes, last, width = codes.shape[1], len(weights) - 1, len(inputs) // len(codes)
    new_codes, threshold = np.empty(n_lanes, np.int8), np.empty(n_lanes)
    dlog_extra, d_order = np.empty(n_lanes), np.empty(n_lanes)
    dlog, keep = np.empty(n_lanes, np.float32), np.empty(n_lanes, np.float32)
    n_accepted = 0
    for d in positions:
        row = d * width
        _propose(codes[d], inputs[row : row + width], uniform[d], len(tilt), new_codes, dx, threshold)
        _propagate(d, row, weights, skip, name, starts, stops, edge, pre, dx, delta, change)
        for channel in range(width):
            inputs[row + channel] += dx[channel]
        dlog[:] = np.float32(0.0)
        _new_terms(d, width, inputs, delta[last], new_terms)
        _add_changes(d, new_terms, terms, dlog)
        for lane in range(n_lanes):
            dlog_extra[lane] = tilt[new_codes[lane]] - tilt[codes[d, lane]]
            d_order[lane] = contribution[d, new_codes[lane]] - contribution[d, codes[d, lane]]
        if len(coef) > 0:
            _calibrate(dlog, log_prob, d_order, order, scales, coef, exponent, dlog_extra)
        n_accepted += _decide(dlog, dlog_extra, threshold, exponent, keep, log_prob)
        for lane in range(n_lanes):
            order[lane] += keep[lane] * d_order[lane]
        for lane in range(n_lanes):
            codes[d, lane] = new_codes[lane] if keep[lane] > 0 else codes[d, lane]
        for channel in range(width):
            inputs[row + channel] -= (np.float32(1.0) - keep) * dx[channel]
        if keep.any():
            for layer in range(last):
                _add_kept(keep, starts[layer, d], pre[layer], delta[layer])
            _blend(keep, starts[last, d], pre[last], delta[last])
            _blend(keep, d, terms, new_terms)
    return n_accepted


sweep = kernel(sweep_impl)
