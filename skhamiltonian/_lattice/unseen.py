"""States that never occur at a site although they are frequent at other sites."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.mapped import release_pages

_BLOCK, _MAX_ROWS = 4096, 2048
_MIN_EXPECTED = 30  # occurrences of a state at a site; by chance none occurs with probability e^-30


def unseen_states(X: NDArray[Any], states: NDArray[Any], weight: NDArray[Any] | None = None) -> NDArray[np.bool_]:
    """Return which states never occur at a site although the other sites predict at least 30 occurrences.

    If no site has all states, the result is False everywhere: sites are then of different kinds, like columns with
    different units.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations.
    states : ndarray of shape (n_states,)
        The alphabet.
    weight : ndarray of shape (n_samples,), default=None
        How often each row counts; None: once.

    Returns
    -------
    unseen : ndarray of shape (n_sites, n_states)
        Whether a state never occurs at a site.
    """
    seen = np.zeros((X.shape[1], len(states)), dtype=bool)
    for start in range(0, len(X), _BLOCK):
        rows = X[start : start + _BLOCK]
        for code, state in enumerate(states):
            seen[:, code] |= (rows == state).any(axis=0)
        release_pages(X)
        if seen.all():
            return ~seen
    if not seen.all(axis=1).any():
        return np.zeros_like(seen)
    weight = np.ones(len(X)) if weight is None else weight
    some = np.arange(min(len(X), _MAX_ROWS)) * len(X) // min(len(X), _MAX_ROWS)
    counts = np.stack([weight[some] @ (X[some] == state) for state in states], axis=1)
    n_others = np.maximum(seen.sum(axis=0), 1)  # sites that have a state at all
    expected = weight.sum() * counts.sum(axis=0) / weight[some].sum() / n_others
    return ~seen & (expected >= _MIN_EXPECTED)
