"""A test whether interactions reach beyond the window: pairs of sites that no window holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.stats import norm

from .._utils.warn import warn
from .choice_of_rows import choose_rows
from .clusters import basis, clusters_of
from .observations import Observations, Offset, complete, each_site
from .parameters import Plan
from .problem import differences, site_scores, spread
from .quadratic import variance_of_rare_residuals
from .reading import Data

_FARTHER = 3  # sites by which the longest pairs are longer than a window
_FALSE = 1e-3  # probability that noise alone yields a warning
_MOST_SITES, _MOST_SCORES, _NUMBERS = 2**18, 2**25, 2**20
_MIN_BLOCKS = 30
_DISTINCT = 1e-4  # share of its information that a pair must keep beside the couplings of the fit
Floats = NDArray[np.float64]
Offsets = NDArray[np.intp]  # (n, n_axes)


class FarPair(NamedTuple):
    """The coupling of pairs of sites that no window holds, in the unit of the energy, with its error."""

    offset: Offset | None  # None: all pairs together
    coupling: float
    error: float


def warn_if_farther(plan: Plan, data: Data, unit: float, couplings: Floats) -> None:
    """Warn if sites depend on sites beyond their windows, too; arguments as in `far_pairs`."""
    pairs = far_pairs(plan, data, unit, couplings)
    if not pairs:
        return
    offset, coupling, error = max(pairs, key=lambda pair: abs(pair.coupling) / pair.error)
    if abs(coupling) > norm.isf(_FALSE / 2 / len(pairs)) * error:
        which = "beyond the windows" if offset is None else f"{offset} apart"
        warn(
            f"sites {which} have a coupling of {coupling:.2g} +- {error:.1g}, but no window of shape "
            f"{plan.geometry.window_shape} holds them. Interactions reach farther (compare the score of a larger "
            "window_shape on rows held out), or the rows are not in equilibrium at a known temperature, or sites are "
            "not what interacts, as pixels that hold parts of several spins"
        )


def far_pairs(plan: Plan, data: Data, unit: float, couplings: Floats) -> list[FarPair]:
    """Return the couplings of pairs of sites that no window holds, by one step of Newton's method from zero.

    The gradient of the pseudo-likelihood by the coupling of a far pair, less what the couplings of the fit explain of
    it, has mean zero if no interaction reaches beyond the window (Rao's score test). Its variance is measured between
    rows, groups of rows, or tiles of few rows.

    Parameters
    ----------
    plan : Plan
        The plan of the fit.
    data : Data
        The rows of the fit.
    unit : float
        Mean temperature of the rows.
    couplings : ndarray of shape (n_clusters,)
        The couplings of the fit to clusters of the window, in units of `unit`.

    Returns
    -------
    pairs : list of FarPair
        One for all pairs that symmetries map to each other, and one for all pairs together. Empty if rows are too
        short to show one, or independent blocks too few.
    """
    orbits = _orbits(plan)
    if not orbits:
        return []
    geometry = plan.geometry
    shape, n_states = geometry.window_shape, geometry.n_states
    clusters = clusters_of(shape, n_states, plan.group(shape), even=plan.even)
    selected = np.flatnonzero(couplings)
    n_all = len(selected) + len(orbits) + 1
    chosen = choose_rows(plan, data, min(_MOST_SITES, _MOST_SCORES // n_all), np.random.default_rng(0))
    rows = np.arange(len(data)) if chosen.rows is None else chosen.rows
    block = _block_of_sites(plan, rows, chosen.tile, data.group)
    score, information = np.zeros((block.max() + 1, n_all)), np.zeros((n_all, n_all))
    step = max(1, _NUMBERS // (n_all * n_states))
    for place, seen, far_sums in _sites(plan, data, unit, rows, orbits):
        for start in range(0, len(seen), step):
            now = slice(start, start + step)
            ((part, p, near),) = differences(seen.part(now), couplings, selected, clusters, geometry.powers)
            f = np.concatenate([near, far_sums(now)], axis=2)
            member = coo_array((np.ones(len(part)), (block[place[now]], np.arange(len(part)))), (len(score), len(part)))
            score += member @ site_scores(part, p, f)
            information += sum(x.T @ x for x in spread(part, p, f))
    score = score[score.any(axis=1)]
    return _pairs(orbits, len(selected), unit, score, information) if len(score) >= _MIN_BLOCKS else []


def _pairs(orbits: list[Offsets], n: int, unit: float, score: Floats, information: Floats) -> list[FarPair]:
    """Return the pairs; the first n columns of the gradients of blocks and of the information are those of the fit."""
    explained = np.linalg.lstsq(information[:n, :n], information[:n, n:])[0]
    gradient = score[:, n:] - score[:, :n] @ explained
    remaining = information[n:, n:] - information[n:, :n] @ explained
    error = np.sqrt(np.diag(variance_of_rare_residuals(remaining, gradient.T @ gradient, ridge=0.0)))
    left = np.diag(remaining)
    known = np.flatnonzero(left > _DISTINCT * np.diag(information)[n:]).tolist()
    offsets = [tuple(orbit[-1].tolist()) for orbit in orbits] + [None]
    return [FarPair(offsets[k], unit * gradient[:, k].sum() / left[k], unit * error[k] / left[k]) for k in known]


def _orbits(plan: Plan) -> list[Offsets]:
    """Return the offsets of far pairs, those together that symmetries map to each other.

    Of two opposite offsets only one is returned, so that a pair is in one block, that of its first site.
    """
    geometry, shape = plan.geometry, plan.lattice_shape
    axes = zip(shape, geometry.window_shape, geometry.periodic, strict=True)
    # Half a periodic axis away, both ways round are the same pair.
    reach = [min(width - 1 + _FARTHER, (length - 1) // 2 if wraps else length - 1) for length, width, wraps in axes]
    offsets = np.array(list(itertools.product(*(range(-far, far + 1) for far in reach))))
    name = np.min(plan.group(tuple(2 * far + 1 for far in reach)), axis=0)
    is_far = np.any(abs(offsets) >= geometry.window_shape, axis=1)
    is_far &= np.arange(len(offsets)) > len(offsets) // 2  # the others are their opposites
    return [offsets[is_far & (name == each)] for each in np.unique(name[is_far])]


def _block_of_sites(
    plan: Plan, rows: NDArray[np.intp], tile: NDArray[np.int64] | None, group: NDArray[np.intp] | None
) -> NDArray[np.intp]:
    """Return the number of the independent block of every inner site: its group, or its row and tile."""
    n_inner = math.prod(plan.geometry.inner_shape(plan.lattice_shape))
    if group is not None:
        return np.repeat(group[rows], n_inner)
    tile = np.zeros(n_inner, np.int64) if tile is None else tile
    return (np.arange(len(rows))[:, None] * (tile.max() + 1) + tile).ravel()


def _sites(
    plan: Plan, data: Data, unit: float, rows: NDArray[np.intp], orbits: list[Offsets]
) -> Iterator[tuple[NDArray[np.intp], Observations, Callable[[slice], NDArray[np.float32]]]]:
    """Yield sites: their places among all, what is seen of them, and the feature differences of far pairs of some."""
    geometry, shape = plan.geometry, plan.lattice_shape
    inner = geometry.inner_shape(shape)
    of_state = basis(geometry.n_states)[:, 1].astype(np.float32)
    reach = np.max([abs(orbit).max(axis=0) for orbit in orbits], axis=0)
    for first, block in data.blocks(plan.alphabet, shape, unit, rows):
        good = complete(block, geometry, (len(block.codes), *inner))
        values = of_state[block.codes] * np.float32(1 if block.measured is None else block.measured)
        for axis, wraps in enumerate(geometry.periodic, 1):
            pad = [(reach[axis - 1],) * 2 if k == axis else (0, 0) for k in range(values.ndim)]
            values = np.pad(values, pad, mode="wrap" if wraps else "constant")
        edge = reach + np.where(geometry.periodic, 0, np.array(geometry.window_shape) - 1)
        within = tuple(slice(e, e + n) for e, n in zip(edge, inner, strict=True))
        at = np.arange(values.size).reshape(values.shape)[(slice(None), *within)].ravel()[good]
        steps = [orbit @ np.array(values.strides[1:]) // values.itemsize for orbit in orbits]
        place = math.prod(inner) * first + np.arange(len(block.codes) * math.prod(inner))[good]
        yield place, each_site(block, geometry), partial(_far_differences, of_state, values.ravel(), at, steps)


def _far_differences(
    of_state: NDArray[np.float32], values: NDArray[np.float32], at: NDArray[np.intp], steps: list[Offsets], now: slice
) -> NDArray[np.float32]:
    """Return the differences (n, K - 1, P) of far pairs, and of all together, for some sites."""
    sums = [sum(values[at[now] + step] for step in steps_of_orbit.tolist()) for steps_of_orbit in steps]
    return (of_state[1:] - of_state[0])[:, None] * np.stack([*sums, sum(sums)], axis=1)[:, None, :]
