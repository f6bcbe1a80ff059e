"""Sums over sites that are the same in every row: what a dynamics conserved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.mapped import release_pages

_BLOCK = 4096
_MIN_DISTINCT = 10  # rows on these sites: fewer may agree by chance, or be a few ground states

# What is summed, over which sites, and the state that is counted (None: the values).
_Sums = list[tuple[str, NDArray[np.bool_], float | None]]


@dataclass(frozen=True)
class Conserved:
    """A sum over sites, ``(X == state)[:, sites]`` or ``X[:, sites]``, that has one value in all rows."""

    what: str
    sites: NDArray[np.bool_]
    state: float | None
    value: float

    def holds(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        """Return for every row whether it has the value."""
        return _sums(X, self.sites, self.state) == self.value


def conserved(X: NDArray[Any], states: NDArray[Any], shape: tuple[int, ...]) -> list[Conserved]:
    """Return which of these sums are constant though the rows differ: of all sites, in each state, on a sublattice.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations.
    states : ndarray of shape (n_states,)
        The alphabet; only integers have conserved sums.
    shape : tuple of int
        Shape of the lattice.

    Returns
    -------
    found : list of Conserved
        The strongest of these laws; empty without one.
    """
    everywhere = np.ones(X.shape[1], dtype=bool)
    even = (np.indices(shape).sum(axis=0) % 2 == 0).ravel()
    counts: _Sums = [(f"the number of sites with {a}", everywhere, float(a)) for a in states[len(states) == 2 :]]
    total: _Sums = [("the sum of all sites", everywhere, None)]
    halves: _Sums = [
        ("the sum of the even sites", even, None),
        ("the sum of the odd sites", ~even, None),
    ]
    if not np.issubdtype(np.asarray(states).dtype, np.integer):
        return []
    laws = [counts if len(states) > 2 else [], halves, total]
    for law in laws:
        found = [Conserved(what, sites, a, _sums(X[:1], sites, a)[0]) for what, sites, a in law]
        if found and all(_holds_everywhere(one, X) for one in found):
            return found
    return []


def _holds_everywhere(law: Conserved, X: NDArray[Any]) -> bool:
    """Return whether the sum is constant in all rows, and enough of the first ones are distinct on its sites."""
    for start in range(0, len(X), _BLOCK):
        if not law.holds(X[start : start + _BLOCK]).all():
            return False
        release_pages(X)
    return len(np.unique(X[:_BLOCK, law.sites], axis=0)) >= _MIN_DISTINCT


def _sums(X: NDArray[Any], sites: Any, state: Any) -> NDArray[Any]:
    chosen = X[:, sites] if state is None else X[:, sites] == state
    return chosen.sum(axis=1, dtype=np.float64)
