"""Kernels of the pseudo-likelihood: p(s_i = a | rest) = softmax_a(-(T0/T) sum of g over the windows that hold i)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._utils.compile import kernel


@kernel
def loss_and_slope(
    bases: NDArray[np.uint16],
    counts: NDArray[np.float32],
    ratio: NDArray[np.float32],
    powers: NDArray[np.int64],
    g: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> float:
    """Return -sum of counts times log p, and add its derivative by every entry of g to `slope`."""
    n, n_windows = bases.shape
    n_states = counts.shape[1]
    energy, p = np.empty(n_states), np.empty(n_states)
    loss = 0.0
    for i in range(n):
        r = ratio[i] if len(ratio) > 1 else ratio[0]
        lowest, seen = np.inf, 0.0
        for a in range(n_states):
            energy[a] = 0.0
            for j in range(n_windows):
                energy[a] += g[bases[i, j] + a * powers[j]]
            lowest = min(lowest, energy[a])
            seen += counts[i, a]
        z = 0.0
        for a in range(n_states):
            p[a] = math.exp(-r * (energy[a] - lowest))
            z += p[a]
        loss += seen * math.log(z)
        for a in range(n_states):
            loss += counts[i, a] * r * (energy[a] - lowest)
            by_energy = r * (counts[i, a] - seen * p[a] / z)
            for j in range(n_windows):
                slope[bases[i, j] + a * powers[j]] += by_energy
    return loss


@kernel
def site_energies(
    bases: NDArray[np.uint16], powers: NDArray[np.int64], g: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Write the sum of g over the windows of each site, for each of its states, into `out` (n, K)."""
    n, n_windows = bases.shape
    for i in range(n):
        for a in range(out.shape[1]):
            out[i, a] = 0.0
            for j in range(n_windows):
                out[i, a] += g[bases[i, j] + a * powers[j]]


@kernel
def feature_differences(
    bases: NDArray[np.uint16], powers: NDArray[np.int64], features: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Write each feature's sum over windows in states 1 ... K - 1, minus that in state 0, into `out` (n, K - 1, P)."""
    n, n_windows = bases.shape
    for i in range(n):
        for a in range(out.shape[1]):
            out[i, a] = 0.0
            for j in range(n_windows):
                base = np.int64(bases[i, j])
                changed, first = features[base + (a + 1) * powers[j]], features[base]
                for k in range(features.shape[1]):
                    out[i, a, k] += changed[k] - first[k]


@kernel
def soft_threshold_descent(
    hessian: NDArray[np.float64], linear: NDArray[np.float64], penalty: NDArray[np.float64], x: NDArray[np.float64]
) -> None:
    """Minimise x H x / 2 - linear x + sum penalty |x| over x by coordinate descent, in place."""
    n = len(x)
    slope = linear - hessian @ x
    for _ in range(1000):
        largest = 0.0
        for k in range(n):
            h = hessian[k, k]
            old = x[k]
            full = slope[k] + h * old
            size = abs(full) - penalty[k]
            new = 0.0
            if size > 0:
                new = size / h if full > 0 else -size / h
            if new != old:
                x[k] = new
                for other in range(n):
                    slope[other] -= hessian[k, other] * (new - old)
                largest = max(largest, abs(new - old) * math.sqrt(h))
        if largest < 1e-5:
            break
