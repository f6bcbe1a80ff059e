"""Algebra of the second-order expansion of a loss: -linear x + x information x / 2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROUNDING = 1e-10  # information that the rounding of features (float32) adds, as a share; it is about 1e-13
_MOST_ENTER = 3  # for one that leaves
VANISHES = 0.1  # variance of a gradient as a share of the information
_DISTINCT = 1e-4  # share of its information that a coupling must keep beside the selected ones


def sandwich(information: Floats, variance: Floats, ridge: float) -> Floats:
    """Return the covariance of the minimum, if the gradient has a variance.

    Differences of couplings that no row depends on have no variance: the ridge holds them at zero. The information
    on them is that of the ridge, up to rounding.
    """
    scale = 1 / np.sqrt(np.diag(information))
    of_rows = (information - ridge * np.eye(len(scale))) * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(of_rows)
    unknown = scale[:, None] * vectors[:, values < _ROUNDING]
    known = np.eye(len(scale))
    if unknown.size:
        known = np.linalg.qr(unknown, mode="complete")[0][:, unknown.shape[1] :]
    spread, axes = np.linalg.eigh(known.T @ variance @ known)
    root = axes * np.sqrt(np.maximum(spread, 0.0))
    move = known @ np.linalg.solve(known.T @ information @ known, root)
    return np.asarray(move @ move.T)


def variance_of_rare_residuals(information: Floats, variance: Floats, ridge: float) -> Floats:
    """Return the variance of the gradient with the information in its place where residuals vanish.

    They do if every site has its likeliest state in all rows. The rows then set no upper limit to a coupling, and the
    variance between rows, which is nearly 0, says nothing about its error.
    """
    of_rows = information - ridge * np.eye(len(information))
    vanishes = np.diag(variance) < VANISHES * np.diag(of_rows)
    return np.asarray(variance + of_rows * np.outer(vanishes, vanishes))


def exchanges(
    information: Floats, linear: Floats, selected: NDArray[np.intp], leaving: NDArray[np.intp]
) -> list[tuple[int, int]]:
    """Return the best exchanges (leaves, enters) of each coupling that may leave, that with the lowest minimum first.

    The minimum is over the selected couplings. An exchange is returned if the coupling that enters lowers the minimum
    by at least half as much as the coupling that leaves does; the expansion is too coarse for a closer comparison.
    """
    found = []
    outside = np.setdiff1d(np.arange(len(linear)), selected)
    for leaves in leaving.tolist() if len(outside) else []:
        rest = selected[selected != leaves]
        others = np.append(outside, leaves)
        along = np.linalg.solve(information[np.ix_(rest, rest)], information[np.ix_(rest, others)])
        residual = linear[others] - along.T @ linear[rest]
        own = np.diag(information)[others]
        left = own - np.sum(information[np.ix_(rest, others)] * along, axis=0)
        gain = np.where(left > _DISTINCT * own, residual**2 / (2 * np.maximum(left, _DISTINCT * own)), 0.0)
        best = np.argsort(-gain[:-1], kind="stable")[:_MOST_ENTER]
        best = best[gain[best] > gain[-1] / 2]
        found += [(float(gain[-1] - gain[k]), leaves, int(outside[k])) for k in best]
    return [(leaves, enters) for _, leaves, enters in sorted(found)]
