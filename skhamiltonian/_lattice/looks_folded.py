"""A test whether rows that are taken as chains are the rows of a lattice, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.mapped import release_pages
from .._utils.warn import warn
from .refuted import error_of_mean, spread_rows

_MAX_ROWS, _MAX_VALUES, _MIN_ROWS = 2048, 2**22, 50
_SIGMAS = 5.0  # where a row of the lattice ends, neighbours are less correlated by so many standard errors
_ALL_OF_IT = 0.6


def warn_if_folded(X: NDArray[Any], are_angles: bool = False) -> None:
    """Warn if rows that are taken as chains look like lattices.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations, as numbers; at most 2048 rows are read.
    are_angles : bool, default=False
        Whether X holds angles in radians.

    Warns
    -----
    UserWarning
        If neighbours are less correlated after every so many sites.
    """
    if length := folded_length(X, are_angles):
        warn(
            f"neighbours are less correlated after every {length} sites: X looks like a lattice with rows of {length} "
            f"sites, but without lattice_shape each row of X is a chain of {X.shape[1]}. Pass lattice_shape, or "
            f"lattice_shape=({X.shape[1]},) if it is a chain with such bonds"
        )


def folded_length(X: NDArray[Any], are_angles: bool) -> int | None:
    """Return the length of the rows of a lattice that are joined to chains; None if X does not look like that.

    The last site of a row and the first of the next are neighbours in the chain, but not in the lattice, so they are
    less correlated than the neighbours on both sides of them.
    """
    n_sites = X.shape[1]
    rows = spread_rows(len(X), min(_MAX_ROWS, max(_MIN_ROWS, _MAX_VALUES // n_sites)))
    lengths = [length for length in range(2, n_sites // 2 + 1) if n_sites % length == 0]
    if len(rows) < _MIN_ROWS or not lengths:
        return None
    values = X[rows].astype(np.float64)
    release_pages(X)
    unit = np.abs(values).max() or 1.0
    v = np.exp(1j * values) if are_angles else values / unit - np.mean(values / unit)
    bonds = (v[:, 1:] * v[:, :-1].conj()).real
    sides = [_sides(bonds, length) for length in lengths]
    columns = np.stack([beside - across for beside, across in sides], axis=1)
    size = np.sign([beside.mean() for beside, _ in sides]) * columns.mean(axis=0)
    error, _ = error_of_mean(columns)
    size[size <= _SIGMAS * np.maximum(error, 1e-12 * np.abs(bonds).max())] = 0.0
    # Half a row shows half the difference, and two rows show all of it.
    return lengths[int(np.argmax(size >= _ALL_OF_IT * size.max()))] if size.any() else None


def _sides(bonds: NDArray[np.float64], length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means over the bonds beside the ends of the rows of a lattice, and over those across the ends."""
    across = np.arange(length - 1, bonds.shape[1], length)
    return (bonds[:, across - 1] + bonds[:, across + 1]).mean(axis=1) / 2, bonds[:, across].mean(axis=1)
