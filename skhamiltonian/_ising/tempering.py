"""Parallel tempering: replicas at a ladder of temperatures exchange places, so that none stays in one valley."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from .._montecarlo.kernels import exchange
from .._utils.compile import kernel
from .kernels import column_energies, heat_bath
from .terms import SpinSystem

_LARGEST_BETA = 1e30  # in units of the largest coupling, as in `heat_bath`


def ladder(system: SpinSystem, temperature: float) -> NDArray[np.float64]:
    r"""Return inverse temperatures, the coldest first, from 1 / `temperature` to a rung on which chains mix fast.

    Chains of single spins certainly mix fast if

    .. math:: \max_i \sum_{k \ni i} (|k| - 1) \tanh(\beta |J_k|) \le 1

    (Dobrushin's uniqueness condition). Steps are :math:`\Delta\beta = 1 / \sigma`, where :math:`\sigma^2 = \sum_k
    J_k^2 / \cosh^2(\beta J_k)` is the variance of the energy of independent terms: about half of all exchanges are then
    accepted (Kofke, J. Chem. Phys. 117, 6911, 2002). If `temperature` fulfils the condition, it is the only rung.
    """
    scale = np.abs(system.strength).max(initial=0.0) or 1.0
    J = np.abs(system.strength) / scale
    order = np.diff(system.term_start)
    sites = np.repeat(np.arange(system.n_sites), np.diff(system.site_start))

    def excess(beta: float) -> float:
        influence = ((order - 1) * np.tanh(beta * J))[system.site_terms]
        return float(np.bincount(sites, influence, minlength=system.n_sites).max()) - 1.0

    coldest = min(scale / max(temperature, 1e-300), _LARGEST_BETA)
    if excess(coldest) <= 0:
        return np.array([coldest / scale])
    betas = [brentq(excess, 0.0, coldest, rtol=1e-6)]
    while betas[-1] < coldest:
        decay = np.exp(-betas[-1] * J)  # 1 / cosh x = 2 e^-x / (1 + e^-2x)
        sigma = np.linalg.norm(2 * J * decay / (1 + decay**2))
        betas.append(min(betas[-1] + 1 / max(sigma, 1 / coldest), coldest))
    return np.array(betas[::-1]) / scale


class Replicas(NamedTuple):
    """Spins s[:, column[chain, rung]] are on a rung of a chain's ladder of inverse temperatures."""

    ladder: NDArray[np.float64]
    column: NDArray[np.int64]
    from_hot: NDArray[np.bool_]  # replicas that have been on the hottest rung since they left the coldest


@kernel
def temper(
    s: NDArray[np.int8],
    n_sweeps: int,
    system: SpinSystem,
    replicas: Replicas,
    n_done: int,
    streams: NDArray[np.uint64],
) -> int:
    """Make `n_sweeps` sweeps of all replicas, and an exchange in each chain after each sweep.

    `n_done` sweeps were made before. Return the number of arrivals at the coldest rung from the hottest.
    """
    ladder, column, from_hot = replicas.ladder, replicas.column, replicas.from_hot
    n_chains, n_rungs = column.shape
    beta, arrivals = np.empty(s.shape[1]), 0
    for t in range(n_done, n_done + n_sweeps):
        for chain in range(n_chains):
            for rung in range(n_rungs):
                beta[column[chain, rung]] = ladder[rung]
        heat_bath(s, 1, system, beta, streams)
        exchange(column, column_energies(s, system), ladder, t % 2, streams)
        for chain in range(n_chains):
            from_hot[column[chain, n_rungs - 1]] = True
            coldest = column[chain, 0]
            arrivals += from_hot[coldest]
            from_hot[coldest] = False
    return arrivals
