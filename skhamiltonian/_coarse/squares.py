"""How many pixels a spin covers, from the places of the walls between domains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Share of the walls that lie on borders of squares, beyond what lies there by chance; 0.12 at most for 420 sets of
# images of the Ising model with one pixel a spin, 1 for sharp squares.
_SHARE = 0.4
_SIGMAS = 5.0  # more walls at borders than elsewhere, in standard errors between columns


class Squares(NamedTuple):
    """Squares of pixels that are one spin each: their edge, and the first row and column at which one begins."""

    edge: int
    row: int
    column: int


class _Borders(NamedTuple):
    excess: float  # share of the walls that lie at these borders, less that of as many other places
    first: int
    sigmas: float


def squares_of_spins(is_up: Sequence[np.ma.MaskedArray], most_pixels: int) -> Squares | None:
    """Return the squares of pixels that are one spin each; None if walls between domains lie anywhere.

    If spins are squares of pixels, neighbouring pixels differ at the borders of squares only. Spins of one pixel have
    such walls everywhere, and blur or strong noise hides the borders.

    Parameters
    ----------
    is_up : sequence of masked arrays of bool of shape (height, width)
        Whether each pixel is up.
    most_pixels : int
        Longest edge to look for.

    Returns
    -------
    squares : Squares or None
        The squares; their edge is 2 or more.
    """
    walls = [[_walls(image, axis) for image in is_up] for axis in (0, 1)]
    best: tuple[float, Squares | None] = (0.0, None)
    for edge in range(2, most_pixels + 1):
        rows, columns = (_borders(of_axis, edge) for of_axis in walls)
        excess = min(rows.excess, columns.excess)
        # Of a multiple of the edge and of a divisor, a smaller part of the walls is in excess.
        if excess > best[0]:
            is_clear = excess > _SHARE * (1 - 1 / edge) and min(rows.sigmas, columns.sigmas) > _SIGMAS
            best = excess, Squares(edge, rows.first, columns.first) if is_clear else None
    return best[1]


def _walls(is_up: np.ma.MaskedArray, axis: int) -> NDArray[np.intp]:
    """Return the number of walls before each row (axis 0) or column but the first."""
    up = is_up if axis else is_up.T
    return np.ma.filled(up[:, 1:] != up[:, :-1], False).sum(axis=0)


def _borders(walls: list[NDArray[Any]], edge: int) -> _Borders:
    """Return the places, one every `edge` rows or columns, where most walls lie."""
    count = np.concatenate(walls)
    place = np.concatenate([(np.arange(len(each)) + 1) % edge for each in walls])
    share = np.bincount(place, count, edge) / max(1, count.sum())
    first = int(share.argmax())
    at, elsewhere = count[place == first], count[place != first]
    if min(len(at), len(elsewhere)) < 2:
        return _Borders(0.0, first, 0.0)
    difference = at.mean() - elsewhere.mean()
    error = math.sqrt(at.var(ddof=1) / len(at) + elsewhere.var(ddof=1) / len(elsewhere))
    sigmas = difference / error if error else math.inf if difference > 0 else 0.0
    return _Borders(float(share[first] - 1 / edge), first, sigmas)
