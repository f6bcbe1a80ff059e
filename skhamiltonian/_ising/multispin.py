"""Multi-spin coding: a machine word has one bit of each of 64 chains; each chain has its own random bits."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .._montecarlo.kernels import next_word
from .._utils.compile import kernel
from .terms import SpinSystem

_MOST_NEIGHBOURS = 12  # the work grows with its square
_NO_BITS, _ALL_BITS = np.uint64(0), np.uint64(2**64 - 1)
# Number of bits of a random number that are drawn first, and in each further step until every chain is decided. 12 bits
# decide all of 1024 chains on four sites of five.
_FIRST_BITS, _MORE_BITS = 12, 4


class UniformCouplings(NamedTuple):
    """H = -J sum_k sigma_k s_a s_b - h sum_i s_i with sigma_k = +-1 and J > 0.

    Site i has the neighbours ``neighbours[start[i]:start[i + 1]]``.
    """

    coupling: float
    field: float
    start: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    inverted: NDArray[np.uint64]  # all bits set if sigma_k = -1


def uniform_couplings(system: SpinSystem) -> UniformCouplings | None:
    """Return the system as the kernel needs it; None if the terms have several strengths or more than two spins."""
    orders = np.diff(system.term_start)
    pair, single = orders == 2, orders == 1
    J, h = np.unique(np.abs(system.strength[pair])), np.unique(system.strength[single])
    n_sites = system.n_sites
    if not np.all(pair | single) or len(J) > 1 or len(h) > 1 or single.sum() not in (0, n_sites):
        return None
    if single.any() and len(np.unique(system.term_sites[system.term_start[:-1][single]])) < n_sites:
        return None
    a, b = system.term_sites[system.term_start[:-1][pair] + np.array([[0], [1]])]
    site = np.concatenate([a, b])
    degree = np.bincount(site, minlength=n_sites)
    if degree.max(initial=0) > _MOST_NEIGHBOURS:
        return None
    order = np.argsort(site, kind="stable")
    inverted = np.where(np.tile(system.strength[pair], 2) < 0, _ALL_BITS, _NO_BITS)
    return UniformCouplings(
        coupling=float(J[0]) if len(J) else 0.0,
        field=float(h[0]) if len(h) else 0.0,
        start=np.concatenate([[0], np.cumsum(degree)]).astype(np.int32),
        neighbours=np.concatenate([b, a])[order],
        inverted=inverted[order],
    )


@lru_cache(maxsize=64)
def probability_bits(most_neighbours: int, coupling: float, field: float, temperature: float) -> NDArray[np.uint64]:
    """Return the binary digits of p(z, a) = 1 / (1 + exp(-2 (J (2a - z) + h) / T)), with a of z neighbours up.

    Entry [z, a, k] has all bits set if digit k of p(z, a) differs from that of p(z, a - 1), with p(z, -1) = 0. All 64
    digits are kept, so the only error is the rounding of p to a double.
    """
    z, a = np.indices((most_neighbours + 1, most_neighbours + 1))
    p = expit(np.nan_to_num(2 * (coupling * (2 * a - z) + field) / temperature))
    digits = np.zeros((*p.shape, 64), dtype=bool)
    for k in range(64):
        digits[..., k] = 2 * p >= 1
        p = 2 * p - digits[..., k]
    digits[:, 1:] ^= digits[:, :-1].copy()
    return np.where(digits, _ALL_BITS, _NO_BITS)


@kernel
def multispin_heat_bath(
    s: NDArray[np.uint64],
    n_sweeps: int,
    start: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    inverted: NDArray[np.uint64],
    digits: NDArray[np.uint64],
    streams: NDArray[np.uint64],
) -> None:
    """Draw every spin in site order from its law given the others, `n_sweeps` times; each bit of s[:, w] is a chain.

    A spin points up if u < p(a), where a is the number of neighbours up and u is the chain's own random number. u and
    p(a) are compared digit by digit until no chain is `undecided`: 64 digits cost little more than 12.
    """
    n_words = s.shape[1]
    at_least = np.empty((digits.shape[1], n_words), np.uint64)  # at_least[a]: chains with a neighbours up, or more
    undecided, digit = np.empty(n_words, np.uint64), np.empty(n_words, np.uint64)
    for _ in range(n_sweeps):
        for i in range(len(s)):
            z = start[i + 1] - start[i]
            _count_up(at_least, s, neighbours, inverted, start[i], z)
            for w in range(n_words):
                s[i, w] = _NO_BITS
                undecided[w] = _ALL_BITS
            first, end, left = 0, _FIRST_BITS, _ALL_BITS
            while left and first < digits.shape[2]:
                for k in range(first, end):
                    digit[:] = digits[z, 0, k]
                    for a in range(1, z + 1):
                        if digits[z, a, k]:
                            for w in range(n_words):
                                digit[w] ^= at_least[a, w]
                    for w in range(n_words):
                        u = next_word(streams, w)
                        s[i, w] |= undecided[w] & digit[w] & ~u
                        undecided[w] &= ~(digit[w] ^ u)
                first, end = end, end + _MORE_BITS
                left = _NO_BITS
                for w in range(n_words):
                    left |= undecided[w]


@kernel
def _count_up(
    at_least: NDArray[np.uint64],
    s: NDArray[np.uint64],
    neighbours: NDArray[np.int32],
    inverted: NDArray[np.uint64],
    start: int,
    z: int,
) -> None:
    """Count the neighbours that favour spin up, in unary: at_least[a] for a = 1 ... z."""
    for n in range(z):
        j, turn = neighbours[start + n], inverted[start + n]
        for w in range(s.shape[1]):
            at_least[n + 1, w] = _NO_BITS
        for a in range(n, 0, -1):
            for w in range(s.shape[1]):
                at_least[a + 1, w] |= at_least[a, w] & (s[j, w] ^ turn)
        for w in range(s.shape[1]):
            at_least[1, w] |= s[j, w] ^ turn


@kernel
def pack(spins: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Return words, (n_sites, n_words), whose bit b of word w is set if spins[64 w + b, site] is up."""
    n_chains, n_sites = spins.shape
    words = np.zeros((n_sites, (n_chains + 63) // 64), np.uint64)
    for first in range(0, n_sites, 64):  # a tile of 64 chains and 64 sites fits the cache
        for chain in range(n_chains):
            bit = np.uint64(chain % 64)
            for i in range(first, min(first + 64, n_sites)):
                words[i, chain // 64] |= np.uint64(spins[chain, i] > 0) << bit
    return words


@kernel
def unpack(words: NDArray[np.uint64], n_chains: int) -> NDArray[np.int8]:
    """Return the spins of `pack`, (n_chains, n_sites)."""
    n_sites = len(words)
    spins = np.empty((n_chains, n_sites), np.int8)
    for first in range(0, n_sites, 64):
        for chain in range(n_chains):
            bit = np.uint64(chain % 64)
            for i in range(first, min(first + 64, n_sites)):
                spins[chain, i] = np.int8(2) * np.int8((words[i, chain // 64] >> bit) & np.uint64(1)) - np.int8(1)
    return spins
