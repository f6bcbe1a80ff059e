"""The -log pseudo-likelihood of rows as a function of couplings, and that of clusters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .clusters import Clusters
from .observations import Observations
from .pseudolikelihood import feature_differences, loss_and_slope, site_energies
from .quadratic import VANISHES

Floats = NDArray[np.float64]
# Precision of the couplings before any data, (T0/coupling)^2: without it the couplings of frozen sites would diverge.
RIDGE = 1e-3
_SITES_OF_HESSIAN = 2**17
_BLOCK = 2**22  # numbers
_MIN_BLOCKS = 30
_SITES_PER_CALL = 2**18  # Ctrl-C is heard between two calls


class Basis(Protocol):
    """Functions of the sites of a window; each has one coupling."""

    @property
    def n_clusters(self) -> int: ...

    @property
    def order(self) -> NDArray[np.integer]:
        """Number of sites in each function."""

    @property
    def n_products(self) -> Floats:
        """Number of terms of each function that hold a site, up to a common factor."""


@dataclass(frozen=True)
class Summary:
    """Second-order expansion of the -log pseudo-likelihood of earlier rows: slope x + x information x / 2."""

    columns: NDArray[np.intp]  # the couplings x; all others were zero
    slope: Floats
    information: Floats
    variance: Floats  # of the slope, summed over rows

    def on(self, columns: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Return slope, information and variance for some couplings; they are 0 for couplings outside `columns`."""
        where = {column: k for k, column in enumerate(self.columns.tolist())}
        place = np.array([where.get(column, -1) for column in columns.tolist()], dtype=np.intp)
        known = np.outer(place >= 0, place >= 0)
        slope = np.where(place >= 0, self.slope[place], 0.0) if len(self.columns) else np.zeros(len(columns))
        if not len(self.columns):
            return slope, np.zeros(known.shape), np.zeros(known.shape)
        square = np.ix_(place, place)
        return slope, np.where(known, self.information[square], 0.0), np.where(known, self.variance[square], 0.0)


NOTHING = Summary(np.zeros(0, np.intp), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)))


class PseudoLikelihood(ABC):
    """-log pseudo-likelihood of rows as a convex function of the couplings of a basis; `past` adds earlier rows.

    Sites of one row are not independent, so the variance of the gradient is measured between blocks: a `share` of all
    rows, tiles of rows or, if `grouped`, groups of rows.
    """

    basis: Basis
    share: float
    grouped: bool
    past: Summary

    @property
    @abstractmethod
    def n_seen(self) -> float:
        """The number of sites that are seen, with their weights."""

    @abstractmethod
    def _loss_and_gradient(self, couplings: Floats) -> tuple[float, Floats]:
        """Return the -log pseudo-likelihood of the present rows, and its gradient."""

    @abstractmethod
    def _information(self, couplings: Floats, columns: NDArray[np.intp], dtype: type) -> Floats:
        """Return the Fisher information of the present rows on some couplings."""

    @abstractmethod
    def block_scores(self, couplings: Floats, columns: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the gradient of each block by some couplings, (n_blocks, n_columns), and its number of sites."""

    def loss_and_gradient(self, couplings: Floats) -> tuple[float, Floats]:
        """Return the loss with that of earlier rows and the ridge, and its gradient."""
        loss, gradient = self._loss_and_gradient(couplings)
        gradient += RIDGE * couplings
        past, x = self.past, couplings[self.past.columns]
        by_past = past.information @ x
        gradient[past.columns] += past.slope + by_past
        loss = loss + float(x @ (past.slope + by_past / 2)) + RIDGE / 2 * float(couplings @ couplings)
        return loss, gradient

    def information(self, couplings: Floats, columns: NDArray[np.intp], dtype: type = np.float32) -> Floats:
        """Return the Fisher information of some couplings; many observations are represented by a sample."""
        total = self.past.on(columns)[1] + self._information(couplings, columns, dtype)
        total[np.diag_indices_from(total)] += RIDGE
        return total

    def variance(self, couplings: Floats, columns: NDArray[np.intp]) -> Floats:
        """Return the covariance of the gradient by some couplings, with independent blocks.

        Few rows or tiles tell little, so their sites are taken as independent. Few groups tell variances, but not
        correlations, which are then those of independent sites.
        """
        _, known, past = self.past.on(columns)
        scores, counts = self.block_scores(couplings, columns)
        n = len(scores)
        if self.grouped:
            scores = (scores - np.outer(counts / counts.sum(), scores.sum(axis=0))) * np.sqrt(n / (n - 1))
        total = scores.T @ scores / self.share
        if n < _MIN_BLOCKS:
            of_sites = self.information(couplings, columns) - known
            factor = np.sqrt(np.diag(total) / np.diag(of_sites)) if self.grouped else np.ones(len(columns))
            total = of_sites * np.outer(factor, factor)
        return past + total

    def scatter(self, fisher: Floats, variance: Floats) -> Floats:
        """Return the standard error of the gradient.

        With groups it is at least that of independent sites times the median effect of groups. Without, it is that of
        the variance, which for a field may be four times less than that of independent sites, unless residuals vanish.
        """
        if not self.grouped:
            return np.sqrt(np.where(variance < VANISHES * fisher, fisher, variance))
        effect = np.median(variance / fisher) if len(fisher) else 1.0
        return np.sqrt(np.maximum(effect * fisher, variance))


@dataclass(frozen=True)
class Problem(PseudoLikelihood):
    """-log pseudo-likelihood of observations as a function of the couplings of clusters."""

    basis: Clusters
    observations: Observations
    powers: NDArray[np.int64]
    sites_of_blocks: Iterable[Observations]  # each with the number of its block as `row`
    share: float
    grouped: bool
    past: Summary
    rng: np.random.Generator

    @property
    def n_seen(self) -> float:
        return float(self.observations.counts.sum(dtype=np.float64))

    def _loss_and_gradient(self, couplings: Floats) -> tuple[float, Floats]:
        seen, g = self.observations, self.basis.table(couplings)
        slope, loss = np.zeros(len(g)), 0.0
        for start in range(0, len(seen), _SITES_PER_CALL):
            part = seen.part(slice(start, start + _SITES_PER_CALL))
            loss += loss_and_slope(part.bases, part.counts, part.ratio, self.powers, g, slope)
        return loss, self.basis.gradient(slope)

    def _information(self, couplings: Floats, columns: NDArray[np.intp], dtype: type) -> Floats:
        total = np.zeros((len(columns), len(columns)))
        for part, factor in _sample(self.observations, self.rng):
            for some, p, f in differences(part, couplings, columns, self.basis, self.powers):
                for x in spread(some, p, f):
                    each: NDArray[Any] = x.astype(dtype, copy=False)
                    total += factor * (each.T @ each)
        return total

    def block_scores(self, couplings: Floats, columns: NDArray[np.intp]) -> tuple[Floats, Floats]:
        blocks, sums = [np.zeros(0, np.int32)], [np.zeros((0, len(columns) + 1))]
        for seen in self.sites_of_blocks:
            for part, p, f in differences(seen, couplings, columns, self.basis, self.powers):
                each = np.column_stack([site_scores(part, p, f), part.counts.sum(axis=1)])
                assert part.row is not None
                start = np.flatnonzero(np.append(True, np.diff(part.row) != 0))
                blocks.append(part.row[start])
                sums.append(np.add.reduceat(each, start, axis=0))
        names, block = np.unique(np.concatenate(blocks), return_inverse=True)
        total = np.zeros((len(names), len(columns) + 1))
        np.add.at(total, block, np.concatenate(sums))
        return total[:, :-1], total[:, -1]


def _sample(seen: Observations, rng: np.random.Generator) -> list[tuple[Observations, float]]:
    """Return parts of the observations with factors: the most frequent, and a sample that represents the others."""
    if len(seen) <= _SITES_OF_HESSIAN:
        return [(seen, 1.0)]
    n = seen.counts.sum(axis=1)
    order = np.argpartition(n, -_SITES_OF_HESSIAN // 2)
    often, others = order[-_SITES_OF_HESSIAN // 2 :], order[: -_SITES_OF_HESSIAN // 2]
    some = rng.choice(others, _SITES_OF_HESSIAN // 2, replace=False)
    return [(seen.part(often), 1.0), (seen.part(some), float(n[others].sum() / n[some].sum()))]


def differences(
    seen: Observations, couplings: Floats, columns: NDArray[np.intp], clusters: Clusters, powers: NDArray[np.int64]
) -> Iterator[tuple[Observations, Floats, NDArray[np.float32]]]:
    """Yield blocks of observations with p, (n, K), and feature differences, (n, K - 1, P)."""
    features, g = clusters.features(columns), clusters.table(couplings)
    n_states = clusters.n_states
    step = max(1, _BLOCK // (max(1, len(columns)) * n_states))
    for start in range(0, len(seen), step):
        part = seen.part(slice(start, start + step))
        energy = np.empty((len(part), n_states))
        site_energies(part.bases, powers, g, energy)
        logits = -part.ratio[:, None] * energy
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        out = np.empty((len(part), n_states - 1, len(columns)), np.float32)
        feature_differences(part.bases, powers, features, out)
        yield part, p, out


def site_scores(seen: Observations, p: Floats, f: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gradient of each observation, (n, P); `p` and the differences `f` are those of `differences`."""
    n = seen.counts.sum(axis=1)
    residual = seen.ratio[:, None] * (seen.counts - n[:, None] * p)
    return np.einsum("na,nak->nk", residual[:, 1:].astype(np.float32), f)


def spread(seen: Observations, p: Floats, f: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield x with sum x^T x = n (T0/T)^2 cov_p(features), summed over observations."""
    scale = seen.ratio * np.sqrt(seen.counts.sum(axis=1))
    if p.shape[1] == 2:
        yield f[:, 0] * (scale * np.sqrt(p[:, 0] * p[:, 1]))[:, None].astype(np.float32)
        return
    mean = np.einsum("na,nak->nk", p[:, 1:].astype(np.float32), f)
    for a in range(p.shape[1]):
        centred = (f[:, a - 1] if a else 0) - mean
        yield centred * (scale * np.sqrt(p[:, a]))[:, None].astype(np.float32)
