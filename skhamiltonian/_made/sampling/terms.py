r"""Chains of Monte Carlo on a local energy, for networks that only propose.

A change of a site changes the energy of the terms that hold it, and

.. math:: \Delta \ln w = -\lambda \, \Delta H / T_0 + \sum_i \Delta t(s_i).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._lattice.terms import Links
from ..._utils.compile import kernel
from ..calibration import LocalCalibration
from ..network import Array, Codes, Network
from .law import Law

# Changes of terms that a kernel call may make: about 50 ms, so that Ctrl-C is answered soon.
_CHUNK = 5e6


class TermState(NamedTuple):
    """Chains of codes, with the places in the table of the patterns of all their terms."""

    codes: Codes  # (n_chains, n_sites)
    number: NDArray[np.int64]  # (n_chains, n_terms)


class TermLaw(NamedTuple):
    """The law of the chains as arrays, sites in site order."""

    exponent: float
    tilt: NDArray[np.float64]  # (n_sites, n_states)
    table: NDArray[np.float64]
    links: Links


class TermWalk:
    """Configurations of chains that move by a local energy."""

    def __init__(self, network: Network, law: Law, codes: Codes):
        calibration = network.calibration
        assert isinstance(calibration, LocalCalibration)
        self.ordering, self.energy = network.ordering, calibration.energy
        tilt = np.empty((network.n_sites, network.n_states))
        tilt[network.ordering] = law.site_tilt(network)
        links = self.energy.links(network.n_sites)
        self._law = TermLaw(float(law.exponent), tilt, self.energy.table, links)
        self._chunk = max(1, int(_CHUNK * network.n_sites / max(1, len(links.term) * len(codes))))
        self.codes = codes

    @property
    def codes(self) -> Codes:
        """The present configurations (n_chains, n_sites), in site order."""
        return self._state.codes.copy()

    @codes.setter
    def codes(self, codes: Codes) -> None:
        self._state = TermState(np.array(codes, np.int8), self.energy.patterns(codes))

    @property
    def log_prob(self) -> Array:
        """The present -H/T0 of every chain."""
        return -self.energy.table[self._state.number].sum(axis=1)

    def offer(self, windows: NDArray[np.intp], shift: Codes, threshold: Array, wraps: bool) -> int:
        """Offer every window in turn, in all chains, a shift of its states; return how many are accepted.

        A window is a row of drawing positions; shift is (n_windows, n_chains, sites of a window). A shift beyond the
        last state wraps, or else is not made. A change of log w is accepted if it is above the threshold, (n_windows,
        n_chains).
        """
        sites, n_accepted = self.ordering[windows], 0
        for start in range(0, len(sites), self._chunk):
            part = slice(start, start + self._chunk)
            n_accepted += term_sweep(sites[part], shift[part], wraps, threshold[part], self._law, self._state)
        return n_accepted


@kernel
def _step(site: int, change: int, chain: int, law: TermLaw, state: TermState) -> float:
    """Change the code of a site and return the rise of log w."""
    codes, number, links = state.codes[chain], state.number[chain], law.links
    rise, old = 0.0, codes[site]
    codes[site] = old + change
    for entry in range(links.start[site], links.start[site + 1]):
        term = links.term[entry]
        before = number[term]
        number[term] = before + change * links.weight[entry]
        rise += law.table[before] - law.table[number[term]]
    return law.exponent * rise + law.tilt[site, codes[site]] - law.tilt[site, old]


def term_sweep_impl(
    windows: NDArray[np.intp], shift: Codes, wraps: bool, threshold: Array, law: TermLaw, state: TermState
) -> int:
    """Offer every window in turn, in all chains, a shift of its states; return how many are accepted."""
    n_accepted, n_states = 0, law.tilt.shape[1]
    change = np.zeros(windows.shape[1], np.int64)
    for w in range(len(windows)):
        for chain in range(len(state.codes)):
            possible, moves = threshold[w, chain] < math.inf, False
            for k in range(len(change)):
                old = np.int64(state.codes[chain, windows[w, k]])
                new = old + np.int64(shift[w, chain, k])
                if wraps:
                    new = new % n_states
                elif new < 0 or new >= n_states:
                    possible = False
                change[k] = new - old
                moves = moves or new != old
            if not (possible and moves):
                continue
            rise = 0.0
            for k in range(len(change)):
                rise += _step(windows[w, k], change[k], chain, law, state)
            if rise > threshold[w, chain]:
                n_accepted += 1
            else:
                for k in range(len(change)):
                    _step(windows[w, k], -change[k], chain, law, state)
    return n_accepted


term_sweep = kernel(term_sweep_impl)
