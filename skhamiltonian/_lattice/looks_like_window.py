"""A test whether rows are windows of a larger lattice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.mapped import release_pages
from .refuted import error_of_mean, spread_rows

_MAX_ROWS, _MAX_VALUES, _MIN_ROWS = 16_384, 2**23, 50
_SIGMAS = 5.0  # opposite edges must be less correlated than neighbours by so many standard errors
_EQUAL_SIGMAS, _EQUAL_SHARE = 3.0, 0.025  # edges equal the interior within 3 errors, which are below 2.5 %


def looks_like_window(X: NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Return whether the correlations of neighbours are those of a window of a larger lattice.

    On a torus, opposite edges are neighbours and have the same correlation as other neighbours. In a complete lattice
    with open boundaries, neighbours at an edge are less correlated than neighbours inside, because fewer paths connect
    them. In a window, opposite edges are far from each other, and neighbours at an edge are like those inside.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_sites)
        Configurations, as numbers; at most 16 384 rows are read.
    shape : tuple of int
        Shape of the lattice. Chains are not tested, because the ends of a chain have no neighbours along them.

    Returns
    -------
    bool
        True if the data show that rows are windows; False if they show the opposite or too little.
    """
    axes = [axis for axis, length in enumerate(shape) if length >= 4]
    rows = spread_rows(len(X), min(_MAX_ROWS, max(_MIN_ROWS, _MAX_VALUES // X.shape[1])))
    if len(rows) < _MIN_ROWS or len(axes) < 2:
        return False
    v = np.asarray(X[rows], dtype=np.float32).reshape(len(rows), *shape)
    release_pages(X)
    v = v - v.mean()
    pairs = [_neighbours(v, along, across) for along in axes for across in axes if along != across]
    edge, inside = (np.mean(part, axis=0) for part in zip(*pairs, strict=True))
    apart = [inside - _opposite(v, axis) for axis in axes]
    columns = np.stack([edge - inside, *apart], axis=1)
    means, (errors, _) = columns.mean(axis=0), error_of_mean(columns)
    c = inside.mean()
    is_apart = np.all(np.sign(c) * means[1:] > _SIGMAS * errors[1:])
    is_precise = _EQUAL_SIGMAS * errors[0] < _EQUAL_SHARE * abs(c)
    return bool(is_apart and is_precise and abs(means[0]) < _EQUAL_SIGMAS * errors[0])


def _neighbours(v: NDArray[np.float32], along: int, across: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the products of neighbours along one axis, in each row the mean at both edges across it and inside."""
    layers = np.moveaxis(v, (across + 1, along + 1), (1, 2))
    products = (layers[:, :, 1:] * layers[:, :, :-1]).reshape(*layers.shape[:2], -1).mean(axis=2, dtype=np.float64)
    return products[:, [0, -1]].mean(axis=1), products[:, 1:-1].mean(axis=1)


def _opposite(v: NDArray[np.float32], axis: int) -> NDArray[Any]:
    """Return the mean product of opposite edges in each row."""
    layers = np.moveaxis(v, axis + 1, 1).reshape(len(v), v.shape[axis + 1], -1)
    return (layers[:, -1] * layers[:, 0]).mean(axis=1, dtype=np.float64)
