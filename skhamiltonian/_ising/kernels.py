"""Monte Carlo moves for energies of +-1 spins, H(s) = -sum_k J_k prod_{i in k} s_i."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.clusters import fill_words, find_roots
from .._montecarlo.kernels import next_word
from .._utils.compile import kernel
from .terms import SpinSystem

_F = np.float32
_LARGEST_EXPONENT = _F(80.0)  # exp(-80) is 0 for random numbers of 31 bits, and exp(80) is a finite float32
_LOG2_E, _LN_2 = _F(math.log2(math.e)), _F(math.log(2.0))
_ULP_31, _ULP_53 = _F(2.0**-31), 2.0**-53


@kernel
def energies(configurations: NDArray[np.int8], system: SpinSystem) -> NDArray[np.float64]:
    """Return H(s) of every row s; 64 rows at a time are transposed, for vector instructions."""
    n_rows, n_sites = configurations.shape
    total, s = np.empty(n_rows), np.ones((n_sites, 64), np.int8)
    for start in range(0, n_rows, 64):
        n = min(64, n_rows - start)
        for row in range(n):
            for i in range(n_sites):
                s[i, row] = configurations[start + row, i]
        total[start : start + n] = column_energies(s, system)[:n]
    return total


@kernel
def column_energies(s: NDArray[np.int8], system: SpinSystem) -> NDArray[np.float64]:
    """Return H(s) of every column s."""
    n = s.shape[1]
    total, product = np.zeros(n), np.empty(n, np.int8)
    for k in range(len(system.strength)):
        for c in range(n):
            product[c] = np.int8(1)
        for position in range(system.term_start[k], system.term_start[k + 1]):
            j = system.term_sites[position]
            for c in range(n):
                product[c] *= s[j, c]
        J = system.strength[k]
        for c in range(n):
            total[c] -= J * product[c]
    return total


@kernel
def heat_bath(
    s: NDArray[np.int8],
    n_sweeps: int,
    system: SpinSystem,
    beta: NDArray[np.float64],
    streams: NDArray[np.uint64],
) -> None:
    """Draw every spin in site order from its law given the others, `n_sweeps` times, in all chains s[:, c].

    Site i points up with probability 1 / (1 + exp(-x)), x = 2 beta sum_{k holds i} J_k prod_{j in k, j != i} s_j
    (Glauber); each chain has its own beta = 1/T. Unlike Metropolis in site order, this reaches every state from every
    other at every T. Vector instructions in float32 move all chains at once: probabilities have a relative error below
    1e-6 (1 + |x|), and probabilities below 2^-32 are 0.
    """
    n_chains = s.shape[1]
    x, product = np.empty(n_chains, np.float32), np.empty(n_chains, np.int8)
    exponent, words = np.empty(n_chains, np.int32), np.empty((n_chains + 1) // 2, np.uint64)
    power_of_two, random = exponent.view(np.float32), words.view(np.int32)
    # In units of the largest coupling, fields stay finite as T -> 0; couplings that cancel then still cancel.
    scale = max(1e-300, np.abs(system.strength).max() if len(system.strength) else 0.0)
    strength = (system.strength / scale).astype(np.float32)
    slope = np.minimum(2.0 * beta * scale, 1e30).astype(np.float32)
    for _ in range(n_sweeps):
        for i in range(len(s)):
            _local_field(x, product, s, i, system, strength, slope)
            for w in range(len(words)):
                words[w] = next_word(streams, w)
            _draw_spins(s, i, x, exponent, power_of_two, random)


@kernel
def _local_field(
    x: NDArray[np.float32],
    product: NDArray[np.int8],
    s: NDArray[np.int8],
    i: int,
    system: SpinSystem,
    strength: NDArray[np.float32],
    slope: NDArray[np.float32],
) -> None:
    """Set x = slope sum_{k holds i} J_k prod_{j in k, j != i} s_j of every chain."""
    for c in range(len(x)):
        x[c] = _F(0.0)
    for entry in range(system.site_start[i], system.site_start[i + 1]):
        k = system.site_terms[entry]
        for c in range(len(x)):
            product[c] = np.int8(1)
        for position in range(system.term_start[k], system.term_start[k + 1]):
            j = system.term_sites[position]
            if j != i:
                for c in range(len(x)):
                    product[c] *= s[j, c]
        J = strength[k]
        for c in range(len(x)):
            x[c] += J * _F(product[c])
    for c in range(len(x)):
        x[c] *= slope[c]


@kernel
def _draw_spins(
    s: NDArray[np.int8],
    i: int,
    x: NDArray[np.float32],
    exponent: NDArray[np.int32],
    power_of_two: NDArray[np.float32],
    random: NDArray[np.int32],
) -> None:
    """Set a spin against its field with probability 1 / (1 + exp |x|), in every chain.

    exp |x| = 2^n exp(f) with |f| <= ln 2 / 2. The bits of 2^n are written directly: `power_of_two` is a view of
    `exponent`.
    """
    for c in range(len(x)):
        y = min(abs(x[c]), _LARGEST_EXPONENT) * _LOG2_E
        n = np.int32(y + _F(0.5))
        f = (y - _F(n)) * _LN_2
        exp_f = _F(1 / 720) + f * _F(1 / 5040)
        exp_f = _F(1 / 24) + f * (_F(1 / 120) + f * exp_f)
        exp_f = _F(1.0) + f * (_F(1.0) + f * (_F(0.5) + f * (_F(1 / 6) + f * exp_f)))
        exponent[c] = (n + np.int32(127)) << np.int32(23)
        x[c] = math.copysign(exp_f, x[c])
    for c in range(len(x)):
        u = (_F(random[c] & np.int32(0x7FFFFFFF)) + _F(0.5)) * _ULP_31
        against = u * (_F(1.0) + abs(x[c]) * power_of_two[c]) < _F(1.0)
        s[i, c] = np.int8(1) if (x[c] > _F(0.0)) != against else np.int8(-1)


@kernel
def swendsen_wang(
    states: NDArray[np.int8],
    n_sweeps: int,
    bonds: NDArray[np.int32],
    strength: NDArray[np.float64],
    temperature: float,
    streams: NDArray[np.uint64],
) -> None:
    """Make `n_sweeps` cluster updates of every row, for H = -sum_k J_k s_a s_b over the bonds (a, b) of k.

    A satisfied bond, J s_a s_b > 0, joins its spins with probability 1 - exp(-2 |J| / T); every cluster is
    flipped with probability 1/2 (Swendsen and Wang, Phys. Rev. Lett. 58, 86, 1987).
    """
    n_bonds, n_sites, n_streams = len(bonds), states.shape[1], streams.shape[1]
    joins = -np.expm1(-2.0 * np.abs(strength) / temperature)
    words = np.empty((n_bonds + n_sites + n_streams - 1) // n_streams * n_streams, np.uint64)
    joined, parent, turn = np.empty(n_bonds + 1, np.int32), np.empty(n_sites, np.int32), np.empty(n_sites, np.int8)
    for chain in range(len(states)):
        s = states[chain]
        for _ in range(n_sweeps):
            fill_words(words, streams)
            n_joined = 0
            for k in range(n_bonds):  # without branches, which would be mispredicted
                joined[n_joined] = k
                satisfied = strength[k] * s[bonds[k, 0]] * s[bonds[k, 1]] > 0.0
                n_joined += satisfied & (np.int64(words[k] >> np.uint64(11)) * _ULP_53 < joins[k])
            find_roots(parent, bonds, joined[:n_joined])
            for i in range(n_sites):
                if parent[i] == i:
                    turn[i] = np.int8(1) - np.int8(2) * np.int8(words[n_bonds + i] >> np.uint64(63))
                s[i] *= turn[parent[i]]
