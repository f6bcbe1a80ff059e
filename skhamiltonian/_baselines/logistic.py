"""Pair couplings by a logistic regression for every site, with errors that hold for few and for separable rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, stdtrit
from sklearn.utils import gen_batches
from sklearn.utils.parallel import Parallel, delayed

from .._interactions.projection import pseudo_inverse

_BLOCK = 2**22  # influences on all couplings in one block of rows: 32 MB
_FALLBACK = 1.0  # inverse strength of the penalty if columns are linearly dependent
_WIDE = 0.75  # a larger standard error of a coefficient, in log odds, is wide
_MAX_NEWTON = 200

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """Configurations, how often each counts, and its group; None: rows are independent."""

    X: NDArray
    weight: Floats
    group: NDArray[np.intp] | None = None  # ascending from 0


class PairFit(NamedTuple):
    """Couplings and fields over the temperature, their standard errors, and which errors of couplings are wide."""

    coupling: Floats  # (n_sites, n_sites)
    coupling_error: Floats
    field: Floats  # (n_sites,)
    field_error: Floats
    coupling_is_wide: NDArray[np.bool_]


class _Site(NamedTuple):
    """Coefficients of all columns for one site (0 for its own), the inverse of their information, and bias."""

    u: Floats
    inverse: Floats
    bias: Floats  # of the penalty
    known: NDArray[np.bool_]  # whether the rows determine the coefficient


def logistic_couplings(rows: Rows, C: float, with_field: bool, n_jobs: int | None) -> PairFit:
    r"""Return couplings and fields in units of the temperature, from a logistic regression for every site.

    z holds the other spins and a 1, u_i = 2 (J_i, h_i) / T, p_i = 1 / (1 + exp(-u_i z)) and
    H_i = sum_n p_i (1 - p_i) z z'. The coefficients u_i maximise the likelihood times Jeffreys' prior, det H_i^(1/2)
    (D. Firth, Biometrika 80, 27 (1993)). The prior removes the bias of few rows, and keeps coefficients finite if the
    rows are separable. J_ij is the mean of the estimates from its two ends, with the variance

    .. math:: \psi_i = H_i^{-1} z \frac{[s_i = 1] - p_i}{\sqrt{1 - h_i}}, \qquad
              \sigma^2(J_{ij} / T) = \frac{1}{16} \max\Big(\sum_n (\psi_{ij} + \psi_{ji})^2,\;
              \sigma_{ij}^2 + \sigma_{ji}^2 + 2 \rho \sigma_{ij} \sigma_{ji}\Big)

    h are the leverages, \sigma_{ij}^2 = (H_i^{-1})_{jj}, and \rho the correlation of \psi_ij and \psi_ji. The first
    expression also holds if the true law is no pair model, the second also if few rows determine the coupling. A finite
    `C` replaces the prior by a quadratic penalty; the difference of the two results is part of the error.

    With groups, the sum over rows is one over groups of the squares of their sums, times G / (G - 1) and the square of
    Student's quantile; \sigma_{ij}^2 grows by the same factor as the sum.

    A spin that never changes has no couplings. Its field is that of the rows plus half a configuration of each sign.
    """
    X, weight = rows.X, rows.weight
    n_sites = X.shape[1]
    varies = np.flatnonzero(X.min(axis=0) != X.max(axis=0))
    Z = np.ones((len(X), len(varies) + with_field))
    Z[:, : len(varies)] = X[:, varies]
    separate = not np.isnan(pseudo_inverse((Z.T * weight) @ Z)[1]).any() and weight.sum() > Z.shape[1]
    sites = Parallel(n_jobs=n_jobs)(delayed(_site)(Z, weight, k, C, separate) for k in range(len(varies)))
    J, J_std = np.zeros((n_sites, n_sites)), np.full((n_sites, n_sites), np.inf)
    wide = ~np.eye(n_sites, dtype=bool)
    np.fill_diagonal(J_std, 0)
    h, h_std = np.zeros(n_sites), np.full(n_sites, np.inf if with_field else 0.0)
    if with_field:
        up = weight @ (X > 0)
        h[:] = np.log((up + 0.5) / (weight.sum() - up + 0.5)) / 2
    if len(varies):
        both = np.ix_(varies, varies)
        J[both], J_std[both], wide[both], field = _combined(Z, rows, sites)
        if with_field:
            h[varies], h_std[varies] = field
    return PairFit(J, J_std, h, h_std, wide)


def _combined(Z: Floats, rows: Rows, sites: list[_Site]) -> tuple[Floats, Floats, NDArray[np.bool_], Floats]:
    """Return couplings, errors, which errors are wide, and (fields, errors) of the sites that vary."""
    n = len(sites)
    u, bias, known = (np.stack([getattr(site, name) for site in sites]) for name in ("u", "bias", "known"))
    square, cross = _influences(Z, rows, sites)
    own = np.stack([np.diag(site.inverse) for site in sites])
    if rows.group is not None:
        by_row, _ = _influences(Z, rows._replace(group=None), sites)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = own * np.where(by_row > 0, square / by_row, 1.0)
    S, M = square[:, :n], own[:, :n]
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.nan_to_num(cross / np.sqrt(S * S.T)).clip(-1, 1)
    variance = np.maximum(S + S.T + 2 * cross, M + M.T + 2 * rho * np.sqrt(M * M.T)) / 16
    determined = known[:, :n] & known[:, :n].T
    np.fill_diagonal(determined, True)
    np.fill_diagonal(variance, 0)
    wide = ~(determined & (2 * np.sqrt(variance) <= _WIDE))
    error = np.where(determined, np.sqrt(variance + ((bias[:, :n] + bias[:, :n].T) / 4) ** 2), np.inf)
    field = np.empty((2, n))
    if u.shape[1] > n:
        field[0] = u[:, -1] / 2
        spread = np.sqrt(np.maximum(square[:, -1], own[:, -1]) / 4 + (bias[:, -1] / 2) ** 2)
        field[1] = np.where(known[:, -1], spread, np.inf)
    return (u[:, :n] + u[:, :n].T) / 4, error, wide, field


def _influences(Z: Floats, rows: Rows, sites: list[_Site]) -> tuple[Floats, Floats]:
    """Return sum_n psi_ij^2 for all columns j, and sum_n psi_ij psi_ji for all sites j; n are rows or groups."""
    n = len(sites)
    u = np.stack([site.u for site in sites])
    square, cross = np.zeros_like(u), np.zeros((n, n))
    for psi, count in _by_group(Z, rows, sites, u):
        pair = psi[:, :, :n]
        square += np.einsum("nij,nij,n->ij", psi, psi, count)
        cross += np.einsum("nij,nji,n->ij", pair, pair, count)
    factor = 1.0
    if rows.group is not None:
        n_groups = int(rows.group[-1]) + 1
        factor = n_groups / (n_groups - 1) * stdtrit(n_groups - 1, ndtr(1.0)) ** 2
    return factor * square, factor * cross


def _by_group(Z: Floats, rows: Rows, sites: list[_Site], u: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield (psi, how often it counts) of rows, or of groups: the sum over the rows of each."""
    waiting, last = np.zeros_like(u), -1
    for now in gen_batches(len(Z), max(1, _BLOCK // max(1, u.size))):
        psi, weight = _of_rows(Z[now], sites, u), rows.weight[now]
        if rows.group is None:
            yield psi, weight
            continue
        group = rows.group[now]
        starts = np.flatnonzero(np.append(True, np.diff(group) != 0))
        psi = np.add.reduceat(psi * weight[:, None, None], starts, axis=0)
        if group[0] == last:
            psi[0] += waiting
        elif last >= 0:
            yield waiting[None], np.ones(1)
        yield psi[:-1], np.ones(len(psi) - 1)
        waiting, last = psi[-1], group[-1]
    if last >= 0:
        yield waiting[None], np.ones(1)


def _of_rows(z: Floats, sites: list[_Site], u: Floats) -> Floats:
    """Return psi of every row."""
    p = expit(z @ u.T)
    residual = (z[:, : len(sites)] > 0) - p
    psi = np.empty((len(z), *u.shape))
    for k, site in enumerate(sites):
        psi[:, k] = z @ site.inverse
        free = 1 - p[:, k] * (1 - p[:, k]) * (psi[:, k] * z).sum(axis=1)
        psi[:, k] *= (residual[:, k] / np.sqrt(np.maximum(free, 1e-3)))[:, None]
    return psi


def _site(Z: Floats, weight: Floats, k: int, C: float, separate: bool) -> _Site:
    """Return the regression of the sign of column k on all other columns of Z; the last column may be all 1."""
    others = np.delete(np.arange(Z.shape[1]), k)
    known = np.ones(Z.shape[1], dtype=bool)
    if not separate:
        gram = (Z[:, others].T * weight) @ Z[:, others]
        known[others] = ~np.isnan(pseudo_inverse(gram)[1]) & (weight.sum() > len(others))
        separate = bool(known.all())
    start = np.zeros(Z.shape[1])
    step = len(Z) // (20 * Z.shape[1])
    if step > 1:
        # In few rows a rare site may be constant, which only a penalty survives.
        start = _maximum(Z[::step], weight[::step], k, others, start, _FALLBACK)[0]
    u, inverse = _maximum(Z, weight, k, others, start, np.inf if separate else _FALLBACK)
    if np.inf == C:
        return _Site(u, inverse, np.zeros_like(u), known)
    penalised = _maximum(Z, weight, k, others, u, C)[0]
    return _Site(penalised, inverse, penalised - u, known)


def _maximum(Z: Floats, weight: Floats, k: int, others: NDArray[np.intp], u: Floats, C: float) -> tuple[Floats, Floats]:
    """Return the coefficients of highest (penalised) likelihood and their inverse information, by Newton's method."""
    y, couplings = Z[:, k] > 0, others[others < Z.shape[1] - (Z[:, -1] == 1).all()]
    ridge = np.zeros(Z.shape[1])
    ridge[couplings] = 1 / C
    sub = np.ix_(others, others)

    def at(u: Floats) -> tuple[float, Floats, Floats]:
        """Return the logarithm of the penalised likelihood, its gradient and the inverse information."""
        odds = Z @ u
        p = expit(odds)
        w = p * (1 - p)
        information = (Z.T * (weight * w)) @ Z + np.diag(ridge)
        inverse = np.zeros_like(information)
        inverse[sub] = np.linalg.pinv(information[sub], hermitian=True) if np.inf > C else _inverse(information[sub])
        value = -weight @ np.logaddexp(0, np.where(y, -odds, odds)) - (ridge * u**2).sum() / 2
        pull = y - p
        if np.inf == C:
            value += np.linalg.slogdet(information[sub])[1] / 2
            pull = pull + w * ((Z @ inverse) * Z).sum(axis=1) * (0.5 - p)
        slope = np.zeros_like(u)
        slope[others] = (Z.T @ (weight * pull) - ridge * u)[others]
        return value, slope, inverse

    value, slope, inverse = at(u)
    for _ in range(_MAX_NEWTON):
        step = inverse @ slope
        if slope @ step < 1e-8:  # the square of the step in standard errors
            break
        step *= min(1, 2 / np.abs(step).max())
        while True:
            new = at(u + step)
            if new[0] >= value - 1e-10 * abs(value) or np.abs(step).max() < 1e-6:
                break
            step /= 2
        u = u + step
        value, slope, inverse = new
    return u, inverse


def _inverse(information: Floats) -> Floats:
    scale = np.sqrt(np.diag(information))
    return np.linalg.inv(information / np.outer(scale, scale)) / np.outer(scale, scale)
