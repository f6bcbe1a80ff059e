"""Cluster moves: pair terms of a local energy join sites, and the other terms accept or reject a flip."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.clusters import fill_words, find_roots
from .._utils.compile import kernel
from .energy import LocalEnergy, Windows
from .kernels import Lanes, Terms

_ULP_53 = 2.0**-53
_WEAKEST_PAIR = 0.1  # in units of the strongest: weaker pair terms belong to the rest


class PairTerms(NamedTuple):
    """H = sum_k strength_k sigma_a sigma_b over bonds (a, b) + sum over windows of the table `rest`; sigma = +-1."""

    bonds: NDArray[np.int32]  # (n_bonds, 2)
    strength: NDArray[np.float64]  # (n_bonds,)
    rest: NDArray[np.float64]  # (K^n,)

    @property
    def compete(self) -> bool:
        """Whether no state satisfies all bonds."""
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
    """Whether some state satisfies all bonds, strength sigma_a sigma_b < 0; clusters are built with relative signs."""
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


class Touched(NamedTuple):
    """Memory for the windows that hold a site of one cluster."""

    window: NDArray[np.int32]  # (n_windows + 1,) their numbers
    step: NDArray[np.int32]  # (n_windows,) change of the number of the pattern by a flip; 0 between two clusters


@kernel
def cluster_sweeps(
    rows: Lanes,
    n_sweeps: int,
    windows: Windows,
    pairs: PairTerms,
    site_energy: NDArray[np.float64],
    beta: float,
    streams: NDArray[np.uint64],
) -> None:
    """Make `n_sweeps` cluster updates of every row of codes, (n_chains, n_sites), and numbers (n_chains, n_windows).

    A satisfied bond joins its spins with probability 1 - exp(-2 |J| / T). Given the bonds, the signs of the clusters
    have the probability exp(-H_rest / T). Each cluster in turn is flipped with probability 1 / (1 + exp(dH_rest / T)).
    Without a rest these are the moves of Swendsen and Wang (Phys. Rev. Lett. 58, 86, 1987).
    """
    bonds, strength, rest = pairs.bonds, pairs.strength, Terms(pairs.rest, site_energy)
    n_sites, n_bonds, n_streams = rows.codes.shape[1], len(bonds), streams.shape[1]
    n_windows = rows.number.shape[1]
    joins = -np.expm1(-2.0 * np.abs(strength) * beta)
    words = np.empty((n_bonds + n_sites + n_streams - 1) // n_streams * n_streams, np.uint64)
    joined, parent = np.empty(n_bonds + 1, np.int32), np.empty(n_sites, np.int32)
    first, member = np.empty(n_sites + 1, np.int32), np.empty(n_sites, np.int32)
    touched = Touched(np.empty(n_windows + 1, np.int32), np.zeros(n_windows, np.int32))
    for chain in range(len(rows.codes)):
        codes, number = rows.codes[chain], rows.number[chain]
        for _ in range(n_sweeps):
            fill_words(words, streams)
            n_joined = _join(joined, codes, bonds, strength, joins, words)
            find_roots(parent, bonds, joined[:n_joined])
            _sort_by_root(parent, first, member)
            for root in range(n_sites):
                if first[root + 1] > first[root]:
                    sites = member[first[root] : first[root + 1]]
                    n_touched, x = _rest_change(sites, codes, number, touched, windows, rest)
                    u = np.float64(np.int64(words[n_bonds + root] >> np.uint64(11))) * _ULP_53
                    flips = u * (1.0 + math.exp(min(x * beta, 700.0))) < 1.0
                    _flip(flips, sites, codes, number, touched, n_touched)


@kernel
def _join(
    joined: NDArray[np.int32],
    codes: NDArray[np.int8],
    bonds: NDArray[np.int32],
    strength: NDArray[np.float64],
    joins: NDArray[np.float64],
    words: NDArray[np.uint64],
) -> int:
    """Write the bonds that join their spins into `joined` and return their number."""
    n_joined = 0
    for k in range(len(bonds)):  # without branches, which would be mispredicted
        joined[n_joined] = k
        equal = codes[bonds[k, 0]] == codes[bonds[k, 1]]
        satisfied = equal == (strength[k] < 0.0)
        n_joined += satisfied & (np.float64(np.int64(words[k] >> np.uint64(11))) * _ULP_53 < joins[k])
    return n_joined


@kernel
def _sort_by_root(parent: NDArray[np.int32], first: NDArray[np.int32], member: NDArray[np.int32]) -> None:
    """Sort the sites by cluster: the cluster of root r has the sites member[first[r]:first[r + 1]]."""
    n_sites = len(parent)
    first[:] = 0
    for i in range(n_sites):
        first[parent[i]] += 1
    for i in range(n_sites):  # the end of each cluster; the loop below moves it to the start
        first[i + 1] += first[i]
    for i in range(n_sites - 1, -1, -1):
        first[parent[i]] -= 1
        member[first[parent[i]]] = i


@kernel
def _rest_change(
    sites: NDArray[np.int32],
    codes: NDArray[np.int8],
    number: NDArray[np.int32],
    touched: Touched,
    windows: Windows,
    rest: Terms,
) -> tuple[int, float]:
    """Write the windows that hold one of the sites into `touched`; return their number and dH_rest by a flip."""
    window, step = touched.window, touched.step
    x, n_touched = 0.0, 0
    for i in sites:
        sign = 1 - 2 * codes[i]
        x += sign * (rest.site_energy[1] - rest.site_energy[0])
        for entry in range(windows.start[i], windows.start[i + 1]):
            w = windows.window[entry]
            window[n_touched] = w
            n_touched += step[w] == 0  # weights are different powers of 2, so no sum of them is 0
            step[w] += sign * windows.weight[entry]
    for w in window[:n_touched]:
        x += rest.table[number[w] + step[w]] - rest.table[number[w]]
    return n_touched, x


@kernel
def _flip(
    flips: bool,
    sites: NDArray[np.int32],
    codes: NDArray[np.int8],
    number: NDArray[np.int32],
    touched: Touched,
    n_touched: int,
) -> None:
    """Flip the sites, and change their windows, if `flips`; set all steps to 0."""
    for w in touched.window[:n_touched]:
        number[w] += touched.step[w] * flips
        touched.step[w] = 0
    if flips:
        for i in sites:
            codes[i] = 1 - codes[i]
