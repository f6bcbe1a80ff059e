"""Compiled sweep of Monte Carlo over the sites of a masked network.

Units are computed 16 at a time, in the order in which they are drawn, so that a proposal is rejected as soon
as nothing that may follow can save it: every term log q is at most 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._autoregressive import Codes
from ._calibration import features, least_slope
from ._compile import borrowing_kernel, kernel
from ._network_kernels import F32, I64, activate, block_terms, list_active, products, products_of_one, skip
from ._vector import WIDTH

F64 = NDArray[np.float64]


class Layers(NamedTuple):
    """A network cut into blocks of 16 units: first those of the first layer, last the logits."""

    weights: F32  # rows of 16: the weights from one input to the units of a block
    rows: I64  # (n_blocks, 3), of a block: its first row, the unit that is its first input, the first row of skips
    stops: I64  # (4 n_blocks,), how many inputs the units 4 i ... 4 i + 3 see
    first: I64  # (n_layers, n_sites), the first unit of each layer that sees a site, last the first logit of its block
    starts: I64  # (n_layers + 1,), the first block of each layer
    need: I64  # (n_layers, n_site_blocks), before which block of each layer end those that the sites of a block need
    activation: int


class Law(NamedTuple):
    """The law of the chains, log w(s) = exponent log p(s) + sum_i tilt(s_i), and the calibration of p."""

    exponent: float
    tilt: F64
    contribution: F64  # (n_sites, n_states), what a state of a site adds to the order parameter
    scales: F64
    coef: F64


class Lanes(NamedTuple):
    """Chains and all that is known about them; float32 arrays are flat, with the lanes of a unit side by side."""

    codes: Codes  # (n_sites, n_lanes)
    inputs: F32
    pre: F32  # pre-activations of all units
    terms: F32  # log q summed over 16 sites
    log_prob: F64
    order: F64
    dx: F32
    new_pre: F32
    change: F32  # of the activations
    new_terms: F32
    active: I64  # (n_layers, n_units + 1), first how many inputs of a layer have changed, then which; for one lane
    done: I64  # (n_layers,), the first block that is not computed yet
    parts: F32  # (2 * 16 * n_lanes,)


@borrowing_kernel
def _compute(layer: int, block: int, d: int, layers: Layers, lanes: Lanes) -> None:
    """Write the new pre-activations of a block of units, and the change of their activations."""
    n_lanes = lanes.codes.shape[1]
    width = len(lanes.dx) // n_lanes
    row, x0 = layers.rows[block, 0], layers.rows[block, 1]
    x, first = (lanes.dx, 0) if layer == 0 else (lanes.change, layers.first[layer - 1, d])
    if layer == 0:
        row += d * width
    if n_lanes == 1:
        products_of_one(layers.weights, row, x, x0, lanes.active[layer], lanes.pre, block, lanes.new_pre)
    else:
        products(layers.weights, row, x, x0, first, layers.stops, lanes.pre, block, lanes.new_pre)
    if layer < len(layers.starts) - 2:
        activate(block, n_lanes, layers.activation, lanes.pre, lanes.new_pre, lanes.change)
        if n_lanes == 1:
            list_active(WIDTH * block, lanes.change, WIDTH, WIDTH * layers.starts[layer], lanes.active[layer + 1])
    elif layers.rows[block, 2] >= 0:
        skip(layers.weights, layers.rows[block, 2] + d * width, block, lanes.dx, width, lanes.new_pre)


_features, _least_slope = borrowing_kernel(features), borrowing_kernel(least_slope)


@borrowing_kernel
def _log_ratio(log_prob: float, order_parameter: float, scales: F64, coef: F64) -> float:
    """Return the calibration of log p, up to its constant."""
    feature, total = _features(log_prob, order_parameter, scales), 0.0
    for i in range(len(feature)):
        total += coef[i] * feature[i]
    return total


@borrowing_kernel
def _hopeless(
    bound: F64,
    d_order: F64,
    dtilt: F64,
    logit: F64,
    d: int,
    log_prob: F64,
    order: F64,
    exponent: float,
    scales: F64,
    coef: F64,
) -> bool:
    """Whether all lanes reject, given that log p rises by at most `bound`."""
    for lane in range(len(bound)):
        most = bound[lane]
        if len(coef) > 0:
            log_p, old, new = log_prob[lane], order[lane], order[lane] + d_order[lane]
            if not _least_slope(log_p + most, new, scales, coef) > 0:
                return False
            most += _log_ratio(log_p + most, new, scales, coef) - _log_ratio(log_p, old, scales, coef)
        if not exponent * most + dtilt[lane] < logit[d, lane]:
            return False
    return True


@borrowing_kernel
def _changed(
    d: int, gain: F64, bound: F64, d_order: F64, dtilt: F64, logit: F64, layers: Layers, law: Law, lanes: Lanes
) -> bool:
    """Set gain to the change of log p that the new inputs make; False as soon as all lanes must reject it."""
    n_lanes, last = len(gain), len(layers.starts) - 2
    width, n_blocks, first = len(lanes.dx) // n_lanes, len(lanes.terms) // n_lanes, d // WIDTH
    lanes.active[1:, 0] = 0
    gain[:], bound[:] = 0.0, 0.0
    for block in range(first, n_blocks):
        for lane in range(n_lanes):
            bound[lane] -= lanes.terms[block * n_lanes + lane]
    for layer in range(last + 1):
        lanes.done[layer] = layers.starts[layer] + layers.first[layer, d] // WIDTH
    for block in range(first, n_blocks):
        for layer in range(last + 1):
            for unit_block in range(lanes.done[layer], layers.need[layer, block]):
                _compute(layer, unit_block, d, layers, lanes)
            lanes.done[layer] = max(lanes.done[layer], layers.need[layer, block])
        i0 = WIDTH * width * block * n_lanes
        block_terms(
            n_lanes,
            lanes.inputs,
            i0,
            lanes.new_pre,
            WIDTH * layers.starts[last] * n_lanes + i0,
            width,
            lanes.parts,
            lanes.new_terms,
            block,
        )
        for lane in range(n_lanes):
            new, old = lanes.new_terms[block * n_lanes + lane], lanes.terms[block * n_lanes + lane]
            gain[lane] += new - old
            bound[lane] += new
        n = block - first + 1
        # The neighbours of a site come early; later there is ever less to save.
        if n & (n - 1) == 0 and _hopeless(
            bound, d_order, dtilt, logit, d, lanes.log_prob, lanes.order, law.exponent, law.scales, law.coef
        ):
            return False
    return True


@borrowing_kernel
def _decide(d: int, gain: F64, d_order: F64, dtilt: F64, logit: F64, law: Law, keep: F32, lanes: Lanes) -> None:
    """Set keep to 1 in the lanes that accept, with chance 1 / (1 + exp(-change of log w))."""
    for lane in range(len(gain)):
        change = gain[lane]
        if len(law.coef) > 0:
            change += _log_ratio(lanes.log_prob[lane] + change, lanes.order[lane] + d_order[lane], law.scales, law.coef)
            change -= _log_ratio(lanes.log_prob[lane], lanes.order[lane], law.scales, law.coef)
        change = law.exponent * change + dtilt[lane]
        if math.isnan(change):
            lanes.log_prob[lane] = math.nan
        keep[lane] = np.float32(change > logit[d, lane])
        if keep[lane] > 0:
            lanes.log_prob[lane] += gain[lane]
            lanes.order[lane] += d_order[lane]


@borrowing_kernel
def _blend(keep: F32, start: int, stop: int, old: F32, new: F32) -> None:
    """Take over the new numbers of the units start ... stop - 1 in the lanes that keep them."""
    n_lanes = np.uint64(len(keep))
    for k in range(start, stop):
        first = np.uint64(k) * n_lanes
        for lane in range(n_lanes):
            a, b = old[first + lane], new[first + lane]
            old[first + lane] = b if keep[lane] > 0 else a


@borrowing_kernel
def _propose(d: int, step: Codes, d_order: F64, dtilt: F64, law: Law, codes: Codes, inputs: F32, dx: F32) -> None:
    """Set the changes of inputs, order parameter and tilt that come with the next but `step` state of site d."""
    n_lanes, n_states = codes.shape[1], len(law.tilt)
    width = len(dx) // n_lanes
    for lane in range(n_lanes):
        old = codes[d, lane]
        new = (old + step[d, lane] + 1) % n_states
        d_order[lane] = law.contribution[d, new] - law.contribution[d, old]
        dtilt[lane] = law.tilt[new] - law.tilt[old]
        for channel in range(width):
            i = channel * n_lanes + lane
            dx[i] = np.float32(channel == new) - np.float32(channel == old)
            if width == 1:
                dx[i] = -2 * inputs[d * n_lanes + lane]
            inputs[d * width * n_lanes + i] += dx[i]


@borrowing_kernel
def _take_over(d: int, keep: F32, step: Codes, layers: Layers, n_states: int, lanes: Lanes) -> None:
    """Make what is new the present where it is kept."""
    n_lanes = len(keep)
    for channel in range(0, len(lanes.dx), n_lanes):
        for lane in range(n_lanes):
            i = channel + lane
            lanes.inputs[d * len(lanes.dx) + i] -= (np.float32(1.0) - keep[lane]) * lanes.dx[i]
    if not keep.any():
        return
    for lane in range(n_lanes):
        if keep[lane] > 0:
            lanes.codes[d, lane] = (lanes.codes[d, lane] + step[d, lane] + 1) % n_states
    for layer in range(len(layers.first)):
        block = layers.starts[layer] + layers.first[layer, d] // WIDTH
        _blend(keep, WIDTH * block, WIDTH * layers.starts[layer + 1], lanes.pre, lanes.new_pre)
    _blend(keep, d // WIDTH, len(lanes.terms) // n_lanes, lanes.terms, lanes.new_terms)


def sweep_impl(
    positions: NDArray[np.intp], step: Codes, logit: F64, layers: Layers, law: Law, lanes: Lanes
) -> NDArray[np.intp]:
    """Visit the given drawing positions in all lanes; return how many proposals each lane has accepted.

    Heat-bath acceptance is ergodic and aperiodic in a fixed order of sites, which Metropolis acceptance
    is not. With a uniform u a change of log w is accepted if it is above logit = log(u / (1 - u)). A lane whose
    weight is NaN gets log_prob = NaN.
    """
    n_lanes = lanes.codes.shape[1]
    gain, bound, d_order, dtilt = np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    keep, n_accepted = np.empty(n_lanes, np.float32), np.zeros(n_lanes, np.intp)
    for d in positions:
        _propose(d, step, d_order, dtilt, law, lanes.codes, lanes.inputs, lanes.dx)
        keep[:] = np.float32(0.0)
        if _changed(d, gain, bound, d_order, dtilt, logit, layers, law, lanes):
            _decide(d, gain, d_order, dtilt, logit, law, keep, lanes)
        _take_over(d, keep, step, layers, len(law.tilt), lanes)
        for lane in range(n_lanes):
            n_accepted[lane] += keep[lane] > 0
    return n_accepted


sweep = kernel(sweep_impl)
