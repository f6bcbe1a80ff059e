r"""Compiled sweep of Markov chains over the sites of a masked network, or over windows of several sites.

Units are sorted by degree, so a change at site d changes the tail of every layer. Each changed unit adds its row of
weights, times its change, to the units that see it, and

.. math:: \Delta \log p = \sum_{k \ge d} \Delta \log q(s_k | s_{<k}).

Loops run over neighbouring units, which the compiler turns into vector instructions. It needs unsigned indices for
that: a negative index would count from the end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._utils.compile import kernel
from ..calibration import features
from ..network import Codes
from .arrays import BLOCK, F32, F64, GROUP, U64, Layers, State, Target

_0, _1, _2, _3, _4, _8, _12 = (np.uint64(i) for i in (0, 1, 2, 3, 4, 8, 12))
_16 = np.uint64(BLOCK)


@kernel
def exp(x: Any) -> Any:
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
def activation(a: Any, name: int) -> Any:
    """Return relu, tanh, logistic or silu of a."""
    if name == 0:
        return max(a, np.float32(0.0))
    e = exp(-abs(a))
    sigmoid = (np.float32(1.0) if a > 0 else e) / (np.float32(1.0) + e)
    if name == 1:
        t = exp(-abs(a) - abs(a))
        tanh = (np.float32(1.0) - t) / (np.float32(1.0) + t)
        return tanh if a > 0 else -tanh
    return sigmoid if name == 2 else a * sigmoid


@kernel
def _activate(name: int, start: int, stop: int, pre: F32, hidden: F32) -> None:
    # A loop for each name: a branch inside would not vectorise.
    if name == 0:
        for i in range(start, stop):
            hidden[i] = activation(pre[i], 0)
    elif name == 1:
        for i in range(start, stop):
            hidden[i] = activation(pre[i], 1)
    elif name == 2:
        for i in range(start, stop):
            hidden[i] = activation(pre[i], 2)
    else:
        for i in range(start, stop):
            hidden[i] = activation(pre[i], 3)


@kernel
def _add_rows(layers: Layers, matrix: int, n: int, index: U64, change: F32, out: F32) -> None:
    """Add the rows of n inputs, times their changes, to the units that see them; `index` ascends."""
    w, rows, lows = layers.weights, layers.rows[matrix], layers.lows[matrix]
    stop = layers.stops[min(matrix, len(layers.stops) - 1)]
    for k in range(_0, n, _4):
        low = lows[index[k + _3]]  # the highest of the four
        for j in range(k, k + _3):
            x, p = change[j], rows[index[j]]
            for i in range(lows[index[j]], low):
                out[i] += x * w[p + i]
        a, b, c, d = change[k], change[k + _1], change[k + _2], change[k + _3]
        p, q, r, s = rows[index[k]], rows[index[k + _1]], rows[index[k + _2]], rows[index[k + _3]]
        for i in range(low, stop):
            out[i] += (a * w[p + i] + b * w[q + i]) + (c * w[r + i] + d * w[s + i])


@kernel
def _list_changes(start: int, stop: int, old: F32, new: F32, index: U64, change: F32) -> Any:
    """List the units that change, then no changes of the last one up to a full group; return how many change."""
    n = _0
    for i in range(start, stop):
        difference = new[i] - old[i]
        index[n], change[n] = i, difference
        n += np.uint64(difference != 0)
    if n > _0:
        for i in range(n, n + _4):
            index[i], change[i] = index[n - _1], np.float32(0.0)
    return n


@kernel
def log_q_of_blocks(start: int, codes: Codes, inputs: F32, basis: F32, y: F32, parts: F32, terms: F64) -> None:
    """Set the terms of the blocks from `start` on to the sums of log q = a - ln b, q = e^a / b, by the outputs y."""
    n_sites = np.uint64(len(terms)) * _16
    if basis.shape[1] == 2:
        for i in range(start * _16, n_sites):
            t = inputs[i] * y[i]
            parts[0, i] = min(t, np.float32(0.0))
            parts[1, i] = np.float32(1.0) + exp(-abs(t))
    else:
        for i in range(start * _16, n_sites):
            code = codes[i] if i < len(codes) else 0  # the outputs of a spare site are zero
            if basis.shape[0] == basis.shape[1]:
                _log_q_of_many(i, i * np.uint64(len(basis)), code, np.uint64(len(basis)), y, parts)
            else:
                _set_logits(i * np.uint64(len(basis)), basis, y, parts[2])
                _log_q_of_many(i, _0, code, np.uint64(basis.shape[1]), parts[2], parts)
    for block in range(start, np.uint64(len(terms))):
        a, b = np.float32(0.0), np.float32(1.0)
        for i in range(block * _16, block * _16 + _4):
            a += (parts[0, i] + parts[0, i + _4]) + (parts[0, i + _8] + parts[0, i + _12])
            b *= (parts[1, i] * parts[1, i + _4]) * (parts[1, i + _8] * parts[1, i + _12])
        terms[block] = a - math.log(b)


@kernel
def _log_q_of_many(site: int, first: int, code: int, n_states: int, z: F32, parts: F32) -> None:
    """Set a and b of a site from its logits, which begin at `first`."""
    top, total = z[first], np.float32(0.0)
    for k in range(first, first + n_states):
        top = max(top, z[k])
    for k in range(first, first + n_states):
        total += exp(z[k] - top)
    parts[0, site], parts[1, site] = z[first + np.uint64(code)] - top, total


@kernel
def _set_logits(first: int, basis: F32, y: F32, z: F32) -> None:
    """Set the logits of a site whose outputs begin at `first`."""
    z[: basis.shape[1]] = 0.0
    for k in range(np.uint64(basis.shape[0])):
        for a in range(np.uint64(basis.shape[1])):
            z[a] += basis[k, a] * y[first + k]


@kernel
def _propose(sites: Any, shift: Codes, wraps: bool, chain: int, layers: Layers, state: State) -> int:
    """List the changes of the inputs in state.listed[0] and make them; return how many, none if they are forbidden."""
    codes, inputs, index, change = state.codes[chain], state.inputs[chain], state.listed[0], state.change[0]
    n_states, n_inputs, n = layers.inputs.shape[0], layers.inputs.shape[1], 0
    for k in range(len(sites)):
        new = codes[sites[k]] + shift[k]
        if wraps:
            shift[k] = new % n_states - codes[sites[k]]
        elif new < 0 or new >= n_states:
            return 0
    for k in range(len(sites)):
        if shift[k] == 0:
            continue
        old, site = codes[sites[k]], np.int64(sites[k])
        new = old + shift[k]
        codes[site] = new
        for j in range(n_inputs):
            difference = layers.inputs[new, j] - layers.inputs[old, j]
            if difference != 0:
                inputs[site * n_inputs + j] = layers.inputs[new, j]
                index[n], change[n] = site * n_inputs + j, difference
                n += 1
    for k in range(n, n + GROUP):
        index[k], change[k] = index[max(n - 1, 0)], np.float32(0.0)
    return n


@kernel
def _withdraw(sites: Any, shift: Codes, chain: int, layers: Layers, state: State) -> None:
    """Undo a proposal."""
    n_inputs = layers.inputs.shape[1]
    for k in range(len(sites)):
        site = np.int64(sites[k])
        state.codes[chain, site] -= shift[k]
        for j in range(n_inputs):
            state.inputs[chain, site * n_inputs + j] = layers.inputs[state.codes[chain, site], j]


@kernel
def _new_units(site: int, n: int, chain: int, layers: Layers, state: State) -> None:
    """Compute all units that see a site from the n changes of the inputs."""
    last, n_changes = len(layers.starts) - 1, np.uint64(n)
    for layer in range(last + 1):
        start, stop = layers.starts[layer, site], layers.stops[layer]
        pre, new_pre = state.pre[chain, layer], state.new_pre[layer]
        for i in range(start, stop):
            new_pre[i] = pre[i]
        _add_rows(layers, layer, n_changes, state.listed[layer], state.change[layer], new_pre)
        if layer < last:
            hidden, new_hidden, up = state.hidden[chain, layer], state.new_hidden[layer], layer + 1
            _activate(layers.activation, start, stop, new_pre, new_hidden)
            n_changes = _list_changes(start, stop, hidden, new_hidden, state.listed[up], state.change[up])
        elif layers.has_skip:
            _add_rows(layers, last + 1, np.uint64(n), state.listed[0], state.change[0], new_pre)


@kernel
def _keep(site: int, chain: int, layers: Layers, state: State) -> None:
    """Take over the new units and terms."""
    for layer in range(len(layers.starts)):
        pre, new_pre = state.pre[chain, layer], state.new_pre[layer]
        hidden, new_hidden = state.hidden[chain, layer], state.new_hidden[layer]
        for i in range(layers.starts[layer, site], layers.stops[layer]):
            pre[i] = new_pre[i]
        if layer < len(layers.starts) - 1:
            for i in range(layers.starts[layer, site], layers.stops[layer]):
                hidden[i] = new_hidden[i]
    for block in range(site // BLOCK, len(state.new_terms)):
        state.terms[chain, block] = state.new_terms[block]


_features = kernel(features)


@kernel
def log_ratio(log_prob: float, order_parameter: float, target: Target) -> float:
    """Return the calibration of log p, up to its constant."""
    feature, total = _features(log_prob, order_parameter, target.scales), 0.0
    for i in range(len(feature)):
        total += target.coef[i] * feature[i]
    return total


@kernel
def length(order: F64) -> float:
    """Return the order parameter: its only component, or the length of a vector."""
    if len(order) == 1:
        return order[0]
    return math.sqrt((order**2).sum())


@kernel
def _add_order(sites: Any, shift: Codes, chain: int, target: Target, state: State) -> None:
    """Set the order parameter after a change of states."""
    for component in range(len(state.new_order)):
        d_order = 0.0
        for k in range(len(sites)):
            new = state.codes[chain, sites[k]]
            old = new - shift[k]
            contribution = target.contribution[component, sites[k]]
            d_order += contribution[new] - contribution[old]
        state.new_order[component] = state.order[chain, component] + d_order


@kernel
def _accepts(sites: Any, shift: Codes, threshold: float, chain: int, target: Target, state: State) -> bool:
    """Whether log w rises by more than the threshold; if so, take over log p and the order parameter."""
    gain, d_tilt, order = 0.0, 0.0, state.order[chain]
    for block in range(sites[0] // BLOCK, len(state.new_terms)):
        gain += state.new_terms[block] - state.terms[chain, block]
    for k in range(len(sites)):
        new = state.codes[chain, sites[k]]
        old = new - shift[k]
        d_tilt += target.tilt[sites[k], new] - target.tilt[sites[k], old]
    log_prob, rise = state.log_prob[chain], gain
    if len(target.coef) > 0:
        _add_order(sites, shift, chain, target, state)
        after, before = length(state.new_order), length(order)
        rise += log_ratio(log_prob + gain, after, target) - log_ratio(log_prob, before, target)
    rise = target.exponent * rise + d_tilt
    if math.isnan(rise):
        state.log_prob[chain] = math.nan
    if not rise > threshold:
        return False
    state.log_prob[chain] += gain
    if len(target.coef) > 0:
        order[:] = state.new_order
    return True


def sweep_impl(
    windows: NDArray[np.intp], shift: Codes, wraps: bool, threshold: F64, layers: Layers, target: Target, state: State
) -> int:
    """Offer every window in turn, in all chains, a shift of its states; return how many are accepted.

    A window is a row of drawing positions, in ascending order; shift is (n_windows, n_chains, sites of a window), and
    what it holds is lost. A shift beyond the last state wraps, or else is not made. A change of log w is accepted if
    it is above the threshold, (n_windows, n_chains); at infinity nothing is computed. A chain whose weight is NaN gets
    log_prob = NaN.
    """
    n_accepted = 0
    for window in range(len(windows)):
        sites = windows[window]
        first = np.uint64(sites[0] // BLOCK)
        for chain in range(len(state.codes)):
            limit, moves = threshold[window, chain], shift[window, chain]
            n = _propose(sites, moves, wraps, chain, layers, state) if limit < math.inf else 0
            if n == 0:
                continue
            _new_units(sites[0], n, chain, layers, state)
            y = state.new_pre[len(layers.starts) - 1]
            codes, inputs = state.codes[chain], state.inputs[chain]
            log_q_of_blocks(first, codes, inputs, layers.basis, y, state.parts, state.new_terms)
            if _accepts(sites, moves, limit, chain, target, state):
                _keep(sites[0], chain, layers, state)
                n_accepted += 1
            else:
                _withdraw(sites, moves, chain, layers, state)
    return n_accepted


sweep = kernel(sweep_impl)
