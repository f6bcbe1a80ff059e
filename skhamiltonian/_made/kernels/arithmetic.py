"""Compiled arithmetic of a masked network: 16 units at a time, for a tile of 16 chains or for one chain.

Arrays are flat, with the chains ("lanes") of a unit side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._utils.compile import borrowing_kernel
from .simd import WIDTH, add, add_scaled, load, scale, store

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)  # numba would add a plain number as a float


@borrowing_kernel
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


@borrowing_kernel
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


@borrowing_kernel
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


@borrowing_kernel
def products(weights: F32, row: int, x: F32, x0: int, u: int, stops: I64, base: F32, block: int, out: F32) -> None:
    """Set out = base + sum_u weight[row + u] x[x0 + u] for the units of a block and 16 lanes, four units at once."""
    for i in range(4):
        unit, j, k = WIDTH * block + 4 * i, WIDTH * row + 4 * i, x0
        a, b, c, d = load(base, unit), load(base, unit + 1), load(base, unit + 2), load(base, unit + 3)
        for v in range(u, stops[4 * block + i]):
            w, y = np.uint64(j + WIDTH * v), load(x, k + v)
            a, b = add_scaled(a, weights[w], y), add_scaled(b, weights[w + _ONE], y)
            c, d = add_scaled(c, weights[w + _TWO], y), add_scaled(d, weights[w + _THREE], y)
        store(out, unit, a)
        store(out, unit + 1, b)
        store(out, unit + 2, c)
        store(out, unit + 3, d)


@borrowing_kernel
def products_of_one(weights: F32, row: int, x: F32, x0: int, active: I64, base: F32, block: int, out: F32) -> None:
    """Do `products` for one lane, over the inputs that have changed."""
    total, n = load(base, block), active[0]
    rest = 1 + n % 4
    for i in range(1, rest):
        total = add_scaled(total, x[np.uint64(x0 + active[i])], load(weights, row + active[i]))
    for i in range(rest, n + 1, 4):
        t, u, v, w = active[i], active[i + 1], active[i + 2], active[i + 3]
        p = add_scaled(
            scale(x[np.uint64(x0 + t)], load(weights, row + t)), x[np.uint64(x0 + u)], load(weights, row + u)
        )
        q = add_scaled(
            scale(x[np.uint64(x0 + v)], load(weights, row + v)), x[np.uint64(x0 + w)], load(weights, row + w)
        )
        total = add(total, add(p, q))
    store(out, block, total)


@borrowing_kernel
def skip(weights: F32, row: int, x: F32, x0: int, n_inputs: int, n_lanes: int, block: int, z: F32) -> None:
    """Add sum_u weight[row + u] x[x0 + u] to the units of a block."""
    if n_lanes == 1:
        a = load(z, block)
        for u in range(n_inputs):
            a = add_scaled(a, x[np.uint64(x0 + u)], load(weights, row + u))
        store(z, block, a)
        return
    for i in range(WIDTH):
        a = load(z, WIDTH * block + i)
        for u in range(n_inputs):
            a = add_scaled(a, weights[WIDTH * (row + u) + i], load(x, x0 + u))
        store(z, WIDTH * block + i, a)


@borrowing_kernel
def activate(block: int, n_lanes: int, name: int, pre: F32, new_pre: F32, change: F32) -> None:
    """Set the change of the activations of a block."""
    start, n = np.uint64(WIDTH * n_lanes * block), np.uint64(WIDTH * n_lanes)
    # A loop each: with a branch inside, it would not vectorise.
    if name == 0:
        for i in range(n):
            change[start + i] = _act(new_pre[start + i], 0) - _act(pre[start + i], 0)
    elif name == 1:
        for i in range(n):
            change[start + i] = _act(new_pre[start + i], 1) - _act(pre[start + i], 1)
    elif name == 2:
        for i in range(n):
            change[start + i] = _act(new_pre[start + i], 2) - _act(pre[start + i], 2)
    else:
        for i in range(n):
            change[start + i] = _act(new_pre[start + i], 3) - _act(pre[start + i], 3)


@borrowing_kernel
def list_active(start: int, change: F32, n: int, first: int, active: I64) -> None:
    """Append to active which of the n units from `start` on have changed, counted from `first`."""
    for unit in range(start, start + n):
        active[1 + active[0]] = unit - first
        active[0] += change[unit] != 0


@borrowing_kernel
def block_terms(n_lanes: int, x: F32, i0: int, z: F32, j0: int, width: int, parts: F32, terms: F32, block: int) -> None:
    """Set terms = sum of log q of the chosen states of 16 sites, from inputs x[i0:] and logits z[j0:].

    With q = e^a / b the logarithms of the b are that of their product, which is at most (number of states)^16.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    n = WIDTH * n_lanes
    if width == 1:
        for i in range(np.uint64(n)):
            t = x[np.uint64(i0) + i] * z[np.uint64(j0) + i]
            parts[i] = min(t, zero)
            parts[np.uint64(n) + i] = one + _exp(-abs(t))
    else:
        for i in range(n):
            shift, step = i // n_lanes * width * n_lanes + i % n_lanes, n_lanes
            top, chosen, total = z[j0 + shift], zero, zero
            for k in range(shift, shift + width * step, step):
                top = max(top, z[j0 + k])
                chosen += x[i0 + k] * z[j0 + k]
            for k in range(shift, shift + width * step, step):
                total += _exp(z[j0 + k] - top)
            parts[i], parts[n + i] = chosen - top, total
    half = n // 2
    while half >= n_lanes:
        for i in range(np.uint64(half)):
            parts[i] += parts[np.uint64(half) + i]
            parts[np.uint64(n) + i] *= parts[np.uint64(n + half) + i]
        half //= 2
    for lane in range(np.uint64(n_lanes)):
        terms[np.uint64(block * n_lanes) + lane] = parts[lane] - _log(parts[np.uint64(n) + lane])


@borrowing_kernel
def all_terms(n_lanes: int, inputs: F32, pre: F32, first_logit: int, parts: F32, terms: F32) -> None:
    """Set the terms of all blocks of sites."""
    n_blocks = len(terms) // n_lanes
    n = len(inputs) // n_blocks
    for block in range(n_blocks):
        block_terms(
            n_lanes,
            inputs,
            n * block,
            pre,
            first_logit * n_lanes + n * block,
            n // (WIDTH * n_lanes),
            parts,
            terms,
            block,
        )
