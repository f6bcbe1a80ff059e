"""Single-site moves for an energy that a network evaluates."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .kernels import KEPT
from .system import LocalSystem

_PATTERNS_PER_CALL = 2**16


class Colour(NamedTuple):
    """Sites of which no window holds two, and the windows that hold one of these sites."""

    sites: NDArray[np.int64]  # (m,)
    windows: NDArray[np.int64]  # (n_windows_of_colour,)
    owner: NDArray[np.int64]  # (n_windows_of_colour,) the place of the window's site in `sites`
    holds: NDArray[np.bool_]  # (n_windows_of_colour, n) whether a place of the window has that site


def colours(system: LocalSystem, sites: NDArray[np.int32]) -> list[Colour]:
    """Divide the lattice into colours: sites of one colour are at least as far apart as a window is wide."""
    axes = zip(system.lattice_shape, system.energy.window_shape, system.periodic, strict=True)
    result = []
    number = np.arange(system.n_sites).reshape(system.lattice_shape)
    for places in itertools.product(*(_places(*axis) for axis in axes)):
        chosen = number[np.ix_(*places)].ravel()
        rank = np.full(system.n_sites, -1)
        rank[chosen] = np.arange(len(chosen))
        holds = rank[sites] >= 0
        windows = np.flatnonzero(holds.any(axis=1))
        result.append(Colour(chosen, windows, rank[sites[windows]].max(axis=1), holds[windows]))
    return result


def _places(length: int, width: int, wraps: bool) -> list[NDArray[np.intp]]:
    """Divide an axis into as few sets of places as possible, at least `width` apart, also round the lattice.

    If no short period divides the length, places beyond a multiple of the width stand alone.
    """
    periods = [p for p in range(width, length) if not wraps or length % p == 0]
    if periods and periods[0] <= width + length % width:
        return [np.arange(first, length, periods[0]) for first in range(periods[0])]
    end = length - length % width
    return [*(np.arange(first, end, width) for first in range(min(width, end))), *np.arange(end, length)[:, None]]


class NetworkMoves:
    """Moves of chains of codes, (n_chains, n_sites); `g` has g of every window."""

    def __init__(self, codes: NDArray[np.int8], system: LocalSystem, sites: NDArray[np.int32]) -> None:
        self.system, self.sites, self.network = system, sites, system.energy.network
        self.colours = colours(system, sites)
        self.g = self._evaluate(codes[:, sites])

    def sweep(self, codes: NDArray[np.int8], beta: float, metropolis: bool, rng: np.random.Generator) -> None:
        """Visit all sites, one colour after the other, by Metropolis or by the heat bath."""
        for colour in self.colours:
            if metropolis:
                self._metropolis(codes, colour, beta, rng)
            else:
                self._heat_bath(codes, colour, beta, rng)

    def _metropolis(self, codes: NDArray[np.int8], colour: Colour, beta: float, rng: np.random.Generator) -> None:
        """Propose one of the K - 1 other states; reject one proposal in 16 at random, to reach all states."""
        old = codes[:, colour.sites]
        new = (old + rng.integers(1, self.system.n_states, old.shape)) % self.system.n_states
        g, change = self._change(codes, colour, new.astype(np.int8))
        accepted = rng.random(old.shape) < KEPT * np.exp(np.minimum(-beta * change, 0.0))
        self._set(codes, colour, np.where(accepted, new, old), g, accepted)

    def _heat_bath(self, codes: NDArray[np.int8], colour: Colour, beta: float, rng: np.random.Generator) -> None:
        """Draw a state with probability proportional to w = exp(-dH / T).

        State b replaces the state drawn so far with probability w_b / (w_0 + ... + w_b), for b = 1 ... K - 1 in turn.
        """
        old = codes[:, colour.sites]
        best, log_total = old.copy(), np.zeros(old.shape)
        g_best = self.g[:, colour.windows]
        for k in range(1, self.system.n_states):
            new = ((old + k) % self.system.n_states).astype(np.int8)
            g, change = self._change(codes, colour, new)
            log_w = -np.clip(beta * change, -1e300, 1e300)
            log_total = np.logaddexp(log_total, log_w)
            replaces = rng.random(old.shape) < np.exp(log_w - log_total)
            best = np.where(replaces, new, best)
            g_best = np.where(replaces[:, colour.owner], g, g_best)
        self._set(codes, colour, best, g_best, np.ones(old.shape, bool))

    def _change(
        self, codes: NDArray[np.int8], colour: Colour, new: NDArray[np.int8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return g of the windows of a colour with new codes on its sites, and the energy's change by each site."""
        patterns = codes[:, self.sites[colour.windows]]
        patterns = np.where(colour.holds, new[:, colour.owner, None], patterns)
        g = self._evaluate(patterns)
        change = self.system.site_energy[new] - self.system.site_energy[codes[:, colour.sites]]
        for chain, difference in enumerate(g - self.g[:, colour.windows]):
            change[chain] += np.bincount(colour.owner, difference, minlength=len(colour.sites))
        return g, change

    def _set(
        self,
        codes: NDArray[np.int8],
        colour: Colour,
        new: NDArray[np.int8],
        g: NDArray[np.float64],
        accepted: NDArray[np.bool_],
    ) -> None:
        codes[:, colour.sites] = new
        self.g[:, colour.windows] = np.where(accepted[:, colour.owner], g, self.g[:, colour.windows])

    def _evaluate(self, patterns: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return g of patterns (n_chains, n_windows, n) as (n_chains, n_windows)."""
        flat = patterns.reshape(-1, patterns.shape[-1])
        parts = [self.network.g(flat[k : k + _PATTERNS_PER_CALL]) for k in range(0, len(flat), _PATTERNS_PER_CALL)]
        return np.concatenate(parts).reshape(patterns.shape[:2]).astype(float)
