"""Couplings from rows by maximum pseudo-likelihood, and their covariance clustered by rows or by groups of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from .projection import Projection, pseudo_inverse
from .site_laws import Block, Rows, SiteGroup, flat, rows_of_a_block, site_blocks, whole_groups

_PRIOR = 0.04  # observations of information that keep the couplings of separable rows finite
_WIDE = 1.0  # a larger standard error, in units of a site's log odds, is wide
_FEW = 10  # with fewer rows or groups per coupling, the correlations of the errors are those of the model
_MAX_NEWTON, _MAX_SERIES = 100, 64

Floats = NDArray[np.float64]


class Totals(NamedTuple):
    """Sums over all rows and sites: minus the log pseudo-likelihood, and its first two derivatives."""

    loss: float
    gradient: Floats
    hessian: Floats


class Estimate(NamedTuple):
    """Couplings with their covariance, their units, and whether the rows determine them."""

    projection: Projection
    unit: Floats  # root mean square change of the log odds of a site per unit of each coupling
    known: NDArray[np.bool_]  # whether the rows determine the coupling


def totals(rows: Rows, groups: list[SiteGroup], coupling: Floats) -> Totals:
    r"""Return minus the log pseudo-likelihood and its derivatives.

    .. math:: \ell = \sum_{n i} \ln p(s_i | s_{\setminus i}), \qquad
              -\nabla^2 \ell = \sum_{n i} \mathrm{Cov}_{a \sim p} (D_a, D_a)
    """
    loss, gradient, hessian = 0.0, np.zeros(len(coupling)), np.zeros((len(coupling), len(coupling)))
    for now, blocks in site_blocks(rows, groups, coupling, rows_of_a_block(rows, groups)):
        w = rows.weight[now]
        for block in blocks:
            loss += float((block.loss * w).sum())
            D, p, first = flat(block.D), flat(block.p), flat(block.p_first)
            counts = np.tile(w, block.D.shape[2])
            gradient[block.columns] -= np.einsum("aco,ao->c", D, flat(block.residual) * counts)
            if len(D) == 1:
                square = (D[0] * (p[0] * first * counts)) @ D[0].T
            else:
                mean = np.einsum("aco,ao->co", D, p)
                square = (mean * (first * counts)) @ mean.T
                square += sum(
                    ((one - mean) * (share * counts)) @ (one - mean).T for one, share in zip(D, p, strict=True)
                )
            hessian[np.ix_(block.columns, block.columns)] += square
    return Totals(loss, gradient, hessian)


def maximum(rows: Rows, groups: list[SiteGroup], n_operators: int) -> tuple[Floats, Totals, Floats]:
    """Return the couplings of highest pseudo-likelihood, the totals there and the units of the couplings.

    Newton's method starts on part of the rows. A weak prior keeps the couplings finite if the rows are separable.
    """
    coupling = np.zeros(n_operators)
    free = totals(rows, groups, coupling)
    n_observed = rows.weight.sum() * sum(len(group.sites) for group in groups)
    information = np.diag(free.hessian) / max(n_observed, 1)
    prior = np.where(information > 0, _PRIOR * information, 1.0)
    step = max(1, len(rows.X) // 2048)
    some = Rows(rows.X[::step], rows.inverse_temperature[::step], rows.weight[::step] * step, rows.states)
    if step > 1:
        coupling, _ = _newton(some, groups, coupling, prior)
    coupling, found = _newton(rows, groups, coupling, prior)
    return coupling, found, 2 * np.sqrt(information)


def _newton(rows: Rows, groups: list[SiteGroup], coupling: Floats, prior: Floats) -> tuple[Floats, Totals]:
    def at(x: Floats) -> tuple[float, Totals]:
        found = totals(rows, groups, x)
        return found.loss + (prior * x**2).sum() / 2, found

    loss, found = at(coupling)
    for _ in range(_MAX_NEWTON):
        slope = found.gradient + prior * coupling
        curvature = found.hessian + np.diag(prior)
        scale = np.sqrt(np.diag(curvature))
        step = np.linalg.solve(curvature / np.outer(scale, scale), slope / scale) / scale
        gain = slope @ step
        if gain < 1e-8:  # the square of the step in standard errors
            break
        size = 1.0
        while True:
            new_loss, new = at(coupling - size * step)
            if new_loss < loss + 1e-12 * abs(loss) or size < 1e-4:
                break
            size /= 2
        coupling, loss, found = coupling - size * step, new_loss, new
    return coupling, found


def estimate(rows: Rows, groups: list[SiteGroup], n_operators: int) -> Estimate:
    r"""Return the couplings of highest pseudo-likelihood with their covariance.

    g_n is the gradient and H_n the Hessian of row n, or of all rows of group n, and H the sum of the Hessians:

    .. math:: V = H^{-1} \Big(\sum_n \tilde g_n \tilde g_n'\Big) H^{-1}, \qquad
              \tilde g_n = (1 - H_n H^{-1})^{-1/2} g_n

    V is the sandwich clustered by rows or groups. Each of these pulls the couplings towards itself; the factor corrects
    for that (CR2: R. M. Bell, D. F. McCaffrey, Survey Methodology 28, 169 (2002)). The sandwich is too small if few
    observations determine a coupling. So the variance of the model is used if it is larger: diag H^{-1}, times the
    ratio of V to the sandwich of independent sites. Student's t makes the errors 68 % intervals.
    """
    coupling, found, unit = maximum(rows, groups, n_operators)
    known, V = covariance(rows, groups, coupling, found.hessian, rows_of_a_block(rows, groups))
    return Estimate(Projection(coupling, 0.0, V), unit, known)


def covariance(
    rows: Rows, groups: list[SiteGroup], coupling: Floats, hessian: Floats, step: int
) -> tuple[NDArray[np.bool_], Floats]:
    """Return which couplings the rows determine, and the covariance of all; it is infinite for the others.

    A block has `step` rows.
    """
    scale = np.sqrt(np.diag(hessian))
    scale = np.where(scale > 0, scale, 1.0)
    inverse, undetermined = pseudo_inverse(hessian / np.outer(scale, scale))
    inverse /= np.outer(scale, scale)
    known = (undetermined == 0) & (np.diag(hessian) > 0)
    corrected, plain, independent = _meat(rows, groups, coupling, inverse, step)
    n = rows.n_independent
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.diag(plain) / np.diag(independent)  # of correlated sites on the variance
        effect = np.where(np.isfinite(effect), effect, 1.0)
    variance = np.maximum(np.maximum(np.diag(corrected), effect * np.diag(inverse)), 0)
    shape = corrected if n > _FEW * len(coupling) else inverse
    size = np.sqrt(np.where(np.diag(shape) > 0, np.diag(shape), 1.0))
    error = np.sqrt(variance) * (stdtrit(n - 1, ndtr(1.0)) if n > 1 else np.inf)
    error = np.where(known, error, np.inf)
    with np.errstate(invalid="ignore"):
        V = shape / np.outer(size, size) * np.outer(error, error)
    np.fill_diagonal(V, error**2)
    return known, V


def _meat(
    rows: Rows, groups: list[SiteGroup], coupling: Floats, inverse: Floats, step: int
) -> tuple[Floats, Floats, Floats]:
    """Return H^-1 (sum_n g g') H^-1 of the corrected gradients, of the plain ones, and of independent sites."""
    corrected, plain, independent = np.zeros((3, *inverse.shape))
    for part in whole_groups(rows, step):
        chunk = _Chunk(part, groups, coupling, step)
        g = np.zeros((len(coupling), chunk.n_groups))
        for now, blocks in chunk.blocks():
            each = np.zeros((len(coupling), len(part.weight[now])))
            for block in blocks:
                of_sites = np.einsum("acir,air->cir", block.D, block.residual)
                each[block.columns] += of_sites.sum(axis=1)
                sites = np.ix_(block.columns, block.columns)
                independent[sites] += flat(of_sites * part.weight[now]) @ flat(of_sites).T
            chunk.add(each, now, g)
        times = part.weight if part.group is None else 1.0
        plain += (g * times) @ g.T
        better = _unpulled(g, chunk, inverse)
        corrected += (better * times) @ better.T
    return inverse @ corrected @ inverse, inverse @ plain @ inverse, inverse @ independent @ inverse


class _Chunk:
    """Rows or whole groups of rows, and sums of values over the rows of each group."""

    def __init__(self, rows: Rows, groups: list[SiteGroup], coupling: Floats, step: int) -> None:
        self.rows = rows
        self._read = partial(site_blocks, rows, groups, coupling, step)
        self._held = list(self._read()) if len(rows.X) <= step else None
        label = np.arange(len(rows.X)) if rows.group is None else rows.group
        self.member = np.unique(label, return_inverse=True)[1]
        self.n_groups = int(self.member[-1]) + 1

    def blocks(self) -> Iterator[tuple[slice, list[Block]]]:
        """Return the rows and the terms of each block; several blocks are computed anew at each call."""
        return self._read() if self._held is None else iter(self._held)

    def add(self, each: Floats, now: slice, total: Floats) -> None:
        """Add the values of some rows, (p, n_rows), to those of their groups; a row counts as often as its weight."""
        if self.rows.group is None:
            total[:, now] += each
        else:
            np.add.at(total.T, self.member[now], (each * self.rows.weight[now]).T)


def _unpulled(g: Floats, chunk: _Chunk, inverse: Floats) -> Floats:
    """Return (1 - H_n H^-1)^(-1/2) g_n of all rows or groups by the series of the root."""
    total, term, factor = g.copy(), g, 1.0
    for j in range(1, _MAX_SERIES):
        z, term = inverse @ term, np.zeros_like(g)
        for now, blocks in chunk.blocks():
            of_row = z[:, chunk.member[now]]
            each = np.zeros_like(of_row)
            for block in blocks:
                t = np.einsum("acir,cr->air", block.D, of_row[block.columns])
                t = block.p * (t - (block.p * t).sum(axis=0))
                each[block.columns] += np.einsum("acir,air->cr", block.D, t)
            chunk.add(each, now, term)
        factor *= (2 * j - 1) / (2 * j)
        total += factor * term
        if np.abs(factor * term).sum() <= 1e-4 * np.abs(total).sum():
            break
    return total


def is_wide(found: Estimate, error: Floats) -> NDArray[np.bool_]:
    """Return which errors are wide: those that move the log odds of a site by more than one."""
    return ~found.known | ~(error * found.unit <= _WIDE)
