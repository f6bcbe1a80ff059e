"""Monte Carlo moves for energies of +-1 spins, H(s) = -sum_k J_k prod_{i in k} s_i."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ._compile import kernel
from ._lattice_terms import SpinSystem

# Single-spin updates a compiled call may make: at 5 to 30 ns each, Ctrl-C is heard within 0.1 s.
UPDATES_PER_CALL = 2**21


@kernel
def energies(configurations: NDArray[np.int8], system: SpinSystem) -> NDArray[np.float64]:
    """Return H(s) of every row s."""
    total = np.zeros(len(configurations))
    for row in range(len(configurations)):
        s = configurations[row]
        for k in range(len(system.strength)):
            product = system.strength[k]
            for j in range(system.term_start[k], system.term_start[k + 1]):
                product *= s[system.term_sites[j]]
            total[row] -= product
    return total


@kernel
def heat_bath(
    s: NDArray[np.int8],
    draws: NDArray[np.int8],
    n_sweeps: int,
    system: SpinSystem,
    temperature: float,
    rng: np.random.Generator,
) -> None:
    """Fill `draws` with states of the chain `s`, each `n_sweeps` sweeps in site order after the one before.

    Site i is flipped with probability 1 / (1 + exp(dE / T)), dE = 2 sum_{k holds i} J_k prod_{j in k} s_j. Unlike
    Metropolis in site order, this reaches every state from every other at every T.
    """
    for draw in range(len(draws)):
        for _ in range(n_sweeps):
            for i in range(len(s)):
                dE = 0.0
                for entry in range(system.site_start[i], system.site_start[i + 1]):
                    k = system.site_terms[entry]
                    product = 2.0 * system.strength[k]
                    for j in range(system.term_start[k], system.term_start[k + 1]):
                        product *= s[system.term_sites[j]]
                    dE += product
                # exp(700) is near the largest double: the probability is 0 to every digit from there on.
                if rng.random() * (1.0 + math.exp(min(dE / temperature, 700.0))) < 1.0:
                    s[i] = -s[i]
        draws[draw] = s


@kernel
def swendsen_wang(
    s: NDArray[np.int8],
    draws: NDArray[np.int8],
    n_sweeps: int,
    system: SpinSystem,
    temperature: float,
    rng: np.random.Generator,
) -> None:
    """Fill `draws` with states of the chain `s`, each `n_sweeps` cluster updates after the one before.

    A pair term that is satisfied (J s_a s_b > 0) joins its spins with probability 1 - exp(-2 |J| / T); every
    cluster is turned over with probability 1/2. A field is a bond to a ghost spin, which always points up
    (Swendsen and Wang, Phys. Rev. Lett. 58, 86, 1987). Terms of more than two spins have no such moves.
    """
    ghost = len(s)
    joins = -np.expm1(-2.0 * np.abs(system.strength) / temperature)
    parent = np.empty(ghost + 1, dtype=np.int32)
    flips = np.empty(ghost + 1, dtype=np.bool_)
    for draw in range(len(draws)):
        for _ in range(n_sweeps):
            parent[:] = np.arange(ghost + 1)
            for k in range(len(joins)):
                first, end = system.term_start[k], system.term_start[k + 1]
                a = system.term_sites[first]
                b = system.term_sites[first + 1] if end - first == 2 else ghost
                s_b = s[b] if b < ghost else 1
                if system.strength[k] * s[a] * s_b > 0 and rng.random() < joins[k]:
                    a, b = _root(parent, a), _root(parent, b)
                    parent[max(a, b)] = min(a, b)
            for i in range(ghost + 1):
                if parent[i] == i:
                    flips[i] = rng.random() < 0.5
            flips[_root(parent, ghost)] = False
            for i in range(ghost):
                if flips[_root(parent, i)]:
                    s[i] = -s[i]
        draws[draw] = s


@kernel
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


KERNELS = {"heat-bath": heat_bath, "swendsen-wang": swendsen_wang}


def evolve(
    algorithm: str,
    s: NDArray[np.int8],
    draws: NDArray[np.int8],
    n_sweeps: int,
    system: SpinSystem,
    temperature: float,
    rng: np.random.Generator,
) -> None:
    """Run a kernel in calls of at most `UPDATES_PER_CALL`, between which Ctrl-C is heard."""
    move = KERNELS[algorithm]
    sweeps_per_call = max(1, UPDATES_PER_CALL // max(1, len(s)))
    draws_per_call = max(1, sweeps_per_call // max(1, n_sweeps))
    for start in range(0, len(draws), draws_per_call):
        block = draws[start : start + draws_per_call]
        for done in range(0, n_sweeps, sweeps_per_call):
            move(s, block, min(n_sweeps - done, sweeps_per_call), system, temperature, rng)
