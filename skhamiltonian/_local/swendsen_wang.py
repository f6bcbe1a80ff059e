"""Clusters of the pair terms of a local energy, turned over by what the other terms say."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.kernels import next_word
from .._utils.compile import kernel
from .energy import LocalEnergy, Windows
from .kernels import Terms

_ULP_53 = 2.0**-53
_WEAKEST_PAIR = 0.1  # in units of the strongest: weaker ones are left to the rest


@dataclass(frozen=True)
class PairTerms:
    """H = sum_k strength_k sigma_a sigma_b over bonds (a, b) + sum over windows of the table `rest`; sigma = +-1."""

    bonds: NDArray[np.int32]  # (n_bonds, 2)
    strength: NDArray[np.float64]  # (n_bonds,)
    rest: NDArray[np.float64]  # (K^n,)

    @property
    def compete(self) -> bool:
        """Whether there is no state that satisfies all bonds."""
        return not satisfiable(self.bonds, self.strength)


def pair_terms(energy: LocalEnergy, sites: NDArray[np.int32]) -> PairTerms:
    """Return the strong pair terms of an energy of two states over these windows, (n_windows, n), and the rest.

    The coefficient of sigma_j sigma_k in the table is the mean of table * sigma_j sigma_k over all patterns. Pairs of
    places with the same distance between them are one term of the lattice, so they are strong or weak together.
    """
    n, table = len(energy.powers), energy.table
    assert table is not None
    place = np.indices(energy.window_shape).reshape(len(energy.window_shape), -1).T
    sigma = (2 * (np.arange(len(table))[:, None] >> np.arange(n) & 1) - 1).astype(float)
    pairs = np.array(list(itertools.combinations(range(n), 2)), dtype=int).reshape(-1, 2)
    coefficient = np.array([(table * sigma[:, j] * sigma[:, k]).mean() for j, k in pairs])
    _, distance = np.unique(place[pairs[:, 1]] - place[pairs[:, 0]], axis=0, return_inverse=True)
    total = np.abs(np.bincount(distance.ravel(), coefficient))
    strong = total[distance.ravel()] > _WEAKEST_PAIR * total.max(initial=0.0)
    pairs, coefficient = pairs[strong], coefficient[strong]
    rest = table - sum((c * sigma[:, j] * sigma[:, k] for (j, k), c in zip(pairs, coefficient, strict=True)), 0.0)
    ends = np.sort(sites[:, pairs].reshape(-1, 2), axis=1)
    n_sites = int(sites.max()) + 1
    key, inverse = np.unique(ends[:, 0].astype(np.int64) * n_sites + ends[:, 1], return_inverse=True)
    strength = np.bincount(inverse, np.tile(coefficient, len(sites)))
    bonds = np.stack([key // n_sites, key % n_sites], axis=1).astype(np.int32)
    kept = (bonds[:, 0] != bonds[:, 1]) & (np.abs(strength) > 1e-12 * np.abs(strength).max(initial=0.0))
    return PairTerms(bonds[kept], strength[kept], rest)


@kernel
def satisfiable(bonds: NDArray[np.int32], strength: NDArray[np.float64]) -> bool:
    """Whether some state satisfies all bonds, strength sigma_a sigma_b < 0: spins are joined with relative signs."""
    n_sites = bonds.max() + 1 if len(bonds) else 0
    parent, sign = np.arange(n_sites), np.ones(n_sites, np.int8)
    for k in range(len(bonds)):
        a, b, product = bonds[k, 0], bonds[k, 1], -np.sign(strength[k])
        while parent[a] != a:
            product, a = product * sign[a], parent[a]
        while parent[b] != b:
            product, b = product * sign[b], parent[b]
        if a != b:
            parent[max(a, b)], sign[max(a, b)] = min(a, b), np.int8(product)
        elif product < 0:
            return False
    return True


@kernel
def cluster_sweeps(
    codes: NDArray[np.int8],
    number: NDArray[np.int32],
    n_sweeps: int,
    windows: Windows,
    bonds: NDArray[np.int32],
    strength: NDArray[np.float64],
    rest: Terms,
    beta: float,
    streams: NDArray[np.uint64],
) -> None:
    """Make `n_sweeps` cluster updates of every row of codes, (n_chains, n_sites).

    A satisfied bond joins its spins with probability 1 - exp(-2 |J| / T). Given the bonds, the law of the signs of the
    clusters is that of the rest of the energy, so each cluster in turn is turned over with probability
    1 / (1 + exp(dH_rest / T)): with no rest these are the moves of Swendsen and Wang (Phys. Rev. Lett. 58, 86, 1987).
    Only windows that hold sites of the cluster are looked at. `number` has the patterns, (n_chains, n_windows).
    """
    n_sites, n_bonds, n_streams = codes.shape[1], len(bonds), streams.shape[1]
    joins = -np.expm1(-2.0 * np.abs(strength) * beta)
    words = np.empty((n_bonds + n_sites + n_streams - 1) // n_streams * n_streams, np.uint64)
    joined, parent = np.empty(n_bonds + 1, np.int32), np.empty(n_sites, np.int32)
    first, member = np.empty(n_sites + 1, np.int32), np.empty(n_sites, np.int32)
    step, touched = np.zeros(number.shape[1], np.int32), np.empty(number.shape[1] + 1, np.int32)
    for chain in range(len(codes)):
        for _ in range(n_sweeps):
            for start in range(0, len(words), n_streams):
                for j in range(n_streams):
                    words[start + j] = next_word(streams, j)
            n_joined = _join(joined, codes[chain], bonds, strength, joins, words)
            _clusters(parent, first, member, bonds, joined[:n_joined])
            for root in range(n_sites):
                if first[root + 1] > first[root]:
                    u = np.float64(np.int64(words[n_bonds + root] >> np.uint64(11))) * _ULP_53
                    sites = member[first[root] : first[root + 1]]
                    _turn_over(sites, u, codes[chain], number[chain], step, touched, windows, rest, beta)


@kernel
def _join(
    joined: NDArray[np.int32],
    codes: NDArray[np.int8],
    bonds: NDArray[np.int32],
    strength: NDArray[np.float64],
    joins: NDArray[np.float64],
    words: NDArray[np.uint64],
) -> int:
    """Write the bonds that join their spins into `joined` and return how many they are."""
    n_joined = 0
    for k in range(len(bonds)):  # a list without branches: they would be mispredicted
        joined[n_joined] = k
        equal = codes[bonds[k, 0]] == codes[bonds[k, 1]]
        satisfied = equal == (strength[k] < 0.0)
        n_joined += satisfied & (np.float64(np.int64(words[k] >> np.uint64(11))) * _ULP_53 < joins[k])
    return n_joined


@kernel
def _clusters(
    parent: NDArray[np.int32],
    first: NDArray[np.int32],
    member: NDArray[np.int32],
    bonds: NDArray[np.int32],
    joined: NDArray[np.int32],
) -> None:
    """Sort the sites by cluster: those of the cluster of root r are member[first[r]:first[r + 1]]."""
    n_sites = len(parent)
    for i in range(n_sites):
        parent[i] = i
    for k in joined:
        a, b = _root(parent, bonds[k, 0]), _root(parent, bonds[k, 1])
        parent[max(a, b)] = min(a, b)
    first[:] = 0
    for i in range(n_sites):  # parents come first, so theirs is a root already
        parent[i] = parent[parent[i]]
        first[parent[i]] += 1
    for i in range(n_sites):  # the end of each cluster, moved to its start by its members
        first[i + 1] += first[i]
    for i in range(n_sites - 1, -1, -1):
        first[parent[i]] -= 1
        member[first[parent[i]]] = i


@kernel
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def _turn_over(
    sites: NDArray[np.int32],
    u: float,
    codes: NDArray[np.int8],
    number: NDArray[np.int32],
    step: NDArray[np.int32],
    touched: NDArray[np.int32],
    windows: Windows,
    rest: Terms,
    beta: float,
) -> None:
    """Turn the sites over if u < 1 / (1 + exp(dH_rest / T)); `step` is 0 before and after."""
    x, n_touched = 0.0, 0
    for i in sites:
        sign = 1 - 2 * codes[i]
        x += sign * (rest.site_energy[1] - rest.site_energy[0])
        for entry in range(windows.start[i], windows.start[i + 1]):
            w = windows.window[entry]
            touched[n_touched] = w
            n_touched += step[w] == 0  # weights are different powers of 2, so no sum of them is 0
            step[w] += sign * windows.weight[entry]
    for w in touched[:n_touched]:
        x += rest.table[number[w] + step[w]] - rest.table[number[w]]
    turns = u * (1.0 + math.exp(min(x * beta, 700.0))) < 1.0
    for w in touched[:n_touched]:
        number[w] += step[w] * turns
        step[w] = 0
    if turns:
        for i in sites:
            codes[i] = 1 - codes[i]
