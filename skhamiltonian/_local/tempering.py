"""Parallel tempering of a local energy: replicas at a ladder of temperatures exchange places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.kernels import exchange, new_streams
from .chain_groups import LARGEST_BETA, HeatBathGroup
from .kernels import lane_energies, new_lanes, single_site_sweeps
from .system import LocalSystem, typical_change

_MOST_RUNGS = 64
_REPLICAS, _SWEEPS = 32, 32  # to measure the standard deviation of the energy on a rung


class TemperedGroup(HeatBathGroup):
    """Chains at the coldest rung of a ladder of inverse temperatures; each has a replica on every rung."""

    ladder: NDArray[np.float64]
    most_chains, enough_chains, trial_chains = 16, 64, 16
    freezes = False

    def _pack(self, codes: NDArray[np.int8], seed: np.random.SeedSequence) -> None:
        n_rungs = len(self.ladder)
        self.windows = self.system.windows()
        self.lanes = new_lanes(np.ascontiguousarray(np.repeat(codes, n_rungs, axis=0).T), self.windows)
        n_replicas = self.n_chains * n_rungs
        self.streams = new_streams(seed, n_replicas)
        self.column = np.arange(n_replicas).reshape(-1, n_rungs)
        self.from_hot = np.zeros(n_replicas, dtype=bool)  # on the hottest rung since they left the coldest
        self.n_done = self.arrivals = 0

    def advance(self, n_sweeps: int, temperature: float) -> None:
        beta, terms = np.empty(self.column.size), self.system.terms
        for n in self._calls(n_sweeps, self.n_chains):
            for _ in range(n):
                beta[self.column] = self.ladder
                single_site_sweeps(self.lanes, 1, self.windows, terms, beta, False, self.streams)
                H = lane_energies(self.lanes, self.windows, terms)
                exchange(self.column, H, self.ladder, self.n_done % 2, self.streams)
                self.n_done += 1
                self.from_hot[self.column[:, -1]] = True
                self.arrivals += int(self.from_hot[self.column[:, 0]].sum())
                self.from_hot[self.column[:, 0]] = False

    def renewal_time(self) -> float:
        return self.n_done * self.n_chains / max(1, self.arrivals)

    def states(self) -> NDArray[np.int8]:
        return np.ascontiguousarray(self.lanes.codes[:, self.column[:, 0]].T)


def tempered_group(system: LocalSystem, temperature: float, seed: np.random.SeedSequence) -> type[TemperedGroup]:
    """Return a class of chains whose ladder ends at this temperature."""
    rungs = measured_ladder(system, temperature, seed)

    class Tempered(TemperedGroup):
        ladder = rungs

        @classmethod
        def nanoseconds(cls, system: LocalSystem, n_chains: int) -> float:
            return 1.2 * HeatBathGroup.nanoseconds(system, n_chains * len(rungs))

    return Tempered


def measured_ladder(system: LocalSystem, temperature: float, seed: np.random.SeedSequence) -> NDArray[np.float64]:
    r"""Return inverse temperatures, the coldest first; on the hottest rung sites are nearly independent.

    The hottest beta times the typical change of the energy by one site is 1/2. Steps are :math:`\Delta\beta = 1 /
    \sigma`, where sigma is the standard deviation of the energy on the hotter rung: about half of all exchanges are
    then accepted (Kofke, J. Chem. Phys. 117, 6911, 2002). Replicas that are cooled from rung to rung measure sigma.
    """
    coldest = min(1 / temperature, LARGEST_BETA)
    first, moves = seed.spawn(2)
    codes = np.random.default_rng(first).integers(0, system.n_states, (_REPLICAS, system.n_sites)).astype(np.int8)
    group = HeatBathGroup(codes, system, moves)
    betas = [min(coldest, 0.5 / max(typical_change(system), 1e-300))]
    while betas[-1] < coldest:
        if len(betas) == _MOST_RUNGS:
            raise ValueError(
                f"method='parallel-tempering' would need more than {_MOST_RUNGS} temperatures down to {temperature} on "
                f"a lattice of shape {system.lattice_shape}: pass a smaller lattice, or another method"
            )
        group.advance(_SWEEPS, 1 / betas[-1])
        H = []
        for _ in range(8):
            group.advance(_SWEEPS // 8, 1 / betas[-1])
            H.append(system.energies(np.ascontiguousarray(group.states())))
        betas.append(min(coldest, betas[-1] + 1 / max(float(np.std(H)), 1 / coldest)))
    return np.array(betas[::-1])
