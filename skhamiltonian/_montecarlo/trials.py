"""Trial runs, which measure the autocorrelation time of chains in sweeps."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from .chain_groups import ChainGroup
from .statistics import autocorrelation_time

NANOSECONDS_PER_TRIAL = 1e10
_RECORDS = 256  # states recorded in a trial run, however long it is
_NO_DRIFT = 1e-4  # chance of such a difference between both halves of a run in equilibrium


class Trial(NamedTuple):
    """The result of a trial run, in sweeps."""

    tau: float  # integrated autocorrelation time of the slowest observable
    n_forget: float  # tau, or the mean time between arrivals from the hottest rung
    n_run: int  # length of the run that was recorded, after a burn-in as long
    converged: bool  # n_run >= 10 n_forget, and the chains move freely and do not drift

    def schedule(self, n_draws: int) -> tuple[int, int]:
        """Return the sweeps before the first draw, and those between two of `n_draws` draws.

        Draws are 2 tau apart: with one time scale, consecutive ones have the correlation exp(-4). If tau is unknown,
        all draws together take as many sweeps as the burn-in.
        """
        if self.converged:
            return math.ceil(8 * self.n_forget), math.ceil(2 * self.tau)
        return self.n_run, max(1, self.n_run // n_draws)


class Records(NamedTuple):
    """Observables of the chains in a trial run, (n_chains, n_records) each."""

    energy: NDArray[np.float64]
    mean: NDArray[np.float64]
    overlap: NDArray[np.float64]  # with a state of low energy
    overlap_of_two: NDArray[np.float64]  # with the chain before
    stride: int  # sweeps between two records
    change_rate: float  # changes of a site in a sweep, as far as the records show them

    def autocorrelation_time(self) -> float:
        """Return the integrated autocorrelation time of the slowest observable, in sweeps."""
        return self.stride * max(map(autocorrelation_time, self[:4]))

    def drift(self) -> bool:
        """Return whether the chains together move on from their start: both halves of the run differ in their means.

        A run that is short against the autocorrelation time does not show it otherwise.
        """
        halves = (np.array_split(x, 2, axis=1) for x in self[:4])
        steps = np.stack([late.mean(axis=1) - early.mean(axis=1) for early, late in halves])
        steps = steps[np.ptp(steps, axis=1) > 1e-12 * np.abs(steps).max(initial=1e-300)]
        return bool(np.any(ttest_1samp(steps, 0.0, axis=1).pvalue < _NO_DRIFT))


def record(chains: ChainGroup, n_sweeps: int, temperature: float, low: NDArray[Any]) -> Records:
    """Move chains by `n_sweeps` and return their observables; `low` has the values of a state of low energy.

    If H(-s) = H(s), all observables but the energy are taken without their sign. Values may be complex numbers, unit
    vectors in a plane. Their part along the field counts, and without a field their length.
    """
    stride = max(1, n_sweeps // _RECORDS)
    E = np.empty((chains.n_chains, n_sweeps // stride))
    m, q, r = np.empty((3, *E.shape), dtype=np.result_type(low, np.float64))
    last, n_changes = np.array(chains.states(), order="C"), 0
    for t in range(n_sweeps // stride):
        chains.advance(stride, temperature)
        states = np.array(chains.states(), order="C")
        s = chains.values(states)
        E[:, t], m[:, t], q[:, t] = chains.energies(states), s.mean(axis=1), (s * low.conj()).mean(axis=1)
        r[:, t] = (s * np.roll(s, 1, axis=0).conj()).mean(axis=1)
        n_changes += int(np.count_nonzero(states != last))
        last = states
    without_phase = np.abs if chains.system.is_even else np.real
    m, q, r = (without_phase(x) for x in (m, q, r))
    return Records(E, m, q, r, stride, n_changes / (n_sweeps * last.size))
