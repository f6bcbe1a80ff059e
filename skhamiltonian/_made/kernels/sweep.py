"""Compiled sweep of Monte Carlo over the sites of a masked network, or over windows of several sites.

Units are computed 16 at a time, in the order in which they are drawn, so that a proposal is rejected as soon
as nothing that may follow can save it: every term log q is at most 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._utils.compile import borrowing_kernel, kernel
from ..calibration import features, least_slope
from ..network import Codes
from .arithmetic import F32, I64, activate, block_terms, list_active, products, products_of_one, skip
from .simd import WIDTH

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
    dx: F32  # of the inputs of the sites that are to change, one site after the other
    new_pre: F32
    change: F32  # of the activations
    new_terms: F32
    active: I64  # (n_layers, n_units + 1), first how many inputs of a layer have changed, then which; for one lane
    done: I64  # (n_layers,), the first block that is not computed yet
    parts: F32  # (2 * 16 * n_lanes,)


@borrowing_kernel
def _width(lanes: Lanes) -> int:
    """Return how many inputs a site has."""
    return len(lanes.inputs) // (WIDTH * len(lanes.terms))


@borrowing_kernel
def _compute(layer: int, block: int, sites: I64, width: int, layers: Layers, lanes: Lanes) -> None:
    """Write the new pre-activations of a block of units, and the change of their activations."""
    n_lanes, d = lanes.codes.shape[1], sites[0]
    row, x0 = layers.rows[block, 0], layers.rows[block, 1]
    x, first = (lanes.dx, 0) if layer == 0 else (lanes.change, layers.first[layer - 1, d])
    start = row + d * width if layer == 0 else row
    if n_lanes == 1:
        products_of_one(layers.weights, start, x, x0, lanes.active[layer], lanes.pre, block, lanes.new_pre)
    else:
        products(layers.weights, start, x, x0, first, layers.stops, lanes.pre, block, lanes.new_pre)
    if layer == 0:
        for k in range(1, len(sites)):
            start = row + sites[k] * width
            skip(layers.weights, start, lanes.dx, k * width, width, n_lanes, block, lanes.new_pre)
    if layer < len(layers.starts) - 2:
        activate(block, n_lanes, layers.activation, lanes.pre, lanes.new_pre, lanes.change)
        if n_lanes == 1:
            list_active(WIDTH * block, lanes.change, WIDTH, WIDTH * layers.starts[layer], lanes.active[layer + 1])
    elif layers.rows[block, 2] >= 0:
        for k in range(len(sites)):
            start = layers.rows[block, 2] + sites[k] * width
            skip(layers.weights, start, lanes.dx, k * width, width, n_lanes, block, lanes.new_pre)


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
        if not exponent * most + dtilt[lane] < logit[lane]:
            return False
    return True


@borrowing_kernel
def _changed(
    sites: I64, gain: F64, bound: F64, d_order: F64, dtilt: F64, logit: F64, layers: Layers, law: Law, lanes: Lanes
) -> bool:
    """Set gain to the change of log p that the new inputs make; False as soon as all lanes must reject it."""
    n_lanes, last, d = len(gain), len(layers.starts) - 2, sites[0]
    width, n_blocks, first = _width(lanes), len(lanes.terms) // n_lanes, d // WIDTH
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
                _compute(layer, unit_block, sites, width, layers, lanes)
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
            bound, d_order, dtilt, logit, lanes.log_prob, lanes.order, law.exponent, law.scales, law.coef
        ):
            return False
    return True


@borrowing_kernel
def _decide(gain: F64, d_order: F64, dtilt: F64, logit: F64, law: Law, keep: F32, lanes: Lanes) -> None:
    """Set keep to 1 in the lanes that accept, with chance 1 / (1 + exp(-change of log w))."""
    for lane in range(len(gain)):
        change = gain[lane]
        if len(law.coef) > 0:
            change += _log_ratio(lanes.log_prob[lane] + change, lanes.order[lane] + d_order[lane], law.scales, law.coef)
            change -= _log_ratio(lanes.log_prob[lane], lanes.order[lane], law.scales, law.coef)
        change = law.exponent * change + dtilt[lane]
        if math.isnan(change):
            lanes.log_prob[lane] = math.nan
        keep[lane] = np.float32(change > logit[lane])
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
def _propose(sites: I64, shift: Codes, wraps: bool, d_order: F64, dtilt: F64, law: Law, lanes: Lanes) -> None:
    """Set the changes of inputs, order parameter and tilt that come with a shift of the states.

    A shift beyond the last state wraps, or else all shifts of its lane are set to 0.
    """
    codes, n_lanes, n_states, width = lanes.codes, lanes.codes.shape[1], len(law.tilt), _width(lanes)
    d_order[:], dtilt[:] = 0.0, 0.0
    for lane in range(n_lanes):
        for k in range(len(sites)):
            new = codes[sites[k], lane] + shift[k, lane]
            if wraps:
                shift[k, lane] = new % n_states - codes[sites[k], lane]
            elif new < 0 or new >= n_states:
                shift[:, lane] = 0
    for k in range(len(sites)):
        d = sites[k]
        for lane in range(n_lanes):
            old = codes[d, lane]
            new = old + shift[k, lane]
            d_order[lane] += law.contribution[d, new] - law.contribution[d, old]
            dtilt[lane] += law.tilt[new] - law.tilt[old]
            for channel in range(width):
                i, j = (k * width + channel) * n_lanes + lane, (d * width + channel) * n_lanes + lane
                lanes.dx[i] = np.float32(channel == new) - np.float32(channel == old)
                if width == 1:
                    lanes.dx[i] = np.float32(2 * shift[k, lane])
                lanes.inputs[j] += lanes.dx[i]


@borrowing_kernel
def _take_over(sites: I64, keep: F32, shift: Codes, layers: Layers, lanes: Lanes) -> None:
    """Make what is new the present where it is kept."""
    n_lanes, width, d = len(keep), _width(lanes), sites[0]
    for k in range(len(sites)):
        for channel in range(width):
            i, j = (k * width + channel) * n_lanes, (sites[k] * width + channel) * n_lanes
            for lane in range(n_lanes):
                lanes.inputs[j + lane] -= (np.float32(1.0) - keep[lane]) * lanes.dx[i + lane]
    if not keep.any():
        return
    for k in range(len(sites)):
        for lane in range(n_lanes):
            if keep[lane] > 0:
                lanes.codes[sites[k], lane] += shift[k, lane]
    for layer in range(len(layers.first)):
        block = layers.starts[layer] + layers.first[layer, d] // WIDTH
        _blend(keep, WIDTH * block, WIDTH * layers.starts[layer + 1], lanes.pre, lanes.new_pre)
    _blend(keep, d // WIDTH, len(lanes.terms) // n_lanes, lanes.terms, lanes.new_terms)


def sweep_impl(
    windows: I64, shift: Codes, wraps: bool, logit: F64, layers: Layers, law: Law, lanes: Lanes
) -> NDArray[np.intp]:
    """Offer every window in turn, in all lanes, a shift of its states; return how many each lane has accepted.

    A window is a row of drawing positions, in ascending order; shift is (n_windows, sites of a window, n_lanes), and
    what it holds is lost. Heat-bath acceptance is ergodic and aperiodic in a fixed order of sites, which Metropolis
    acceptance is not. With a uniform u a change of log w is accepted if it is above logit = log(u / (1 - u)). A lane
    whose weight is NaN gets log_prob = NaN.
    """
    n_lanes = lanes.codes.shape[1]
    gain, bound, d_order, dtilt = np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    keep, n_accepted = np.empty(n_lanes, np.float32), np.zeros(n_lanes, np.intp)
    for i in range(len(windows)):
        _propose(windows[i], shift[i], wraps, d_order, dtilt, law, lanes)
        keep[:] = np.float32(0.0)
        if _changed(windows[i], gain, bound, d_order, dtilt, logit[i], layers, law, lanes):
            _decide(gain, d_order, dtilt, logit[i], law, keep, lanes)
        _take_over(windows[i], keep, shift[i], layers, lanes)
        for lane in range(n_lanes):
            n_accepted[lane] += keep[lane] > 0 and shift[i, :, lane].any()
    return n_accepted


sweep = kernel(sweep_impl)
