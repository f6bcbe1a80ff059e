"""Sums over sites that are the same in every row: quantities that a dynamics conserved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.mapped import release_pages
from .._utils.warn import warn

_BLOCK = 4096
_MOST_NAMED = 3
_MIN_DISTINCT = 10  # distinct rows on the sites of a sum; fewer may agree by chance, or be a few ground states

# (name, sites, state) of each sum; it counts the sites in that state (None: it adds the values).
_Sums = list[tuple[str, NDArray[np.bool_], float | None]]


@dataclass(frozen=True)
class Conserved:
    """A sum over sites, of ``(X == state)[:, sites]`` or of ``X[:, sites]``, with the same value in all rows."""

    what: str
    sites: NDArray[np.bool_]
    state: float | None
    value: float

    def holds(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether each row has the value."""
        rounding = 1e-12 * len(self.sites) * max(1.0, abs(self.value))
        return np.abs(_sums(X, self.sites, self.state) - self.value) <= rounding


def conserved(X: NDArray[Any], states: NDArray[Any], shape: tuple[int, ...]) -> list[Conserved]:
    """Return the sums that are constant although the rows differ.

    The sums are over all sites, over the sites in each state, and over each of two sublattices.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations.
    states : ndarray of shape (n_states,)
        The alphabet.
    shape : tuple of int
        Shape of the lattice.

    Returns
    -------
    found : list of Conserved
        The strongest conservation law; empty if there is none.
    """
    everywhere = np.ones(X.shape[1], dtype=bool)
    even = (np.indices(shape).sum(axis=0) % 2 == 0).ravel()
    counts: _Sums = [(f"the number of sites with {a}", everywhere, float(a)) for a in states[len(states) == 2 :]]
    total: _Sums = [("the sum of all sites", everywhere, None)]
    halves: _Sums = [
        ("the sum of the even sites", even, None),
        ("the sum of the odd sites", ~even, None),
    ]
    laws = [counts if len(states) > 2 else [], halves, total]
    for law in laws:
        found = [Conserved(what, sites, a, _sums(X[:1], sites, a)[0]) for what, sites, a in law]
        if found and all(_holds_everywhere(one, X) for one in found):
            return found
    return []


def warn_of_conserved(X: NDArray[Any], states: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Warn if all rows have a sum in common, which draws of a fitted energy do not have."""
    if laws := conserved(X, states, shape):
        warn(
            f"all rows of X have the same value of {named(laws)}, which the model does not conserve: most of its draws "
            "have another value, and the couplings compensate for it. Compare X with the draws that have this value"
        )


def named(laws: list[Conserved]) -> str:
    """Return the sums and their values in words."""
    if len(laws) > _MOST_NAMED:
        return "the number of sites in each state"
    return " and ".join(f"{law.what} ({law.value:g})" for law in laws)


def _holds_everywhere(law: Conserved, X: NDArray[Any]) -> bool:
    """Return whether the sum is constant in all rows, and enough of the first rows differ on its sites."""
    for start in range(0, len(X), _BLOCK):
        if not law.holds(X[start : start + _BLOCK]).all():
            return False
        release_pages(X)
    return len(np.unique(X[:_BLOCK, law.sites], axis=0)) >= _MIN_DISTINCT


def _sums(X: NDArray[Any], sites: Any, state: Any) -> NDArray[Any]:
    chosen = X[:, sites] if state is None else X[:, sites] == state
    return chosen.sum(axis=1, dtype=np.float64)
