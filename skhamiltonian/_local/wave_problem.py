"""The -log pseudo-likelihood of angles as a function of the couplings of waves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.alphabet import FINE_ANGLES
from .observations import Neighbourhoods, Offset
from .problem import PseudoLikelihood, Summary
from .waves import N_HARMONICS, Waves, laws

Floats = NDArray[np.float64]
_SITES_OF_HESSIAN, _BLOCK = 2**17, 2**10  # sites


class Conditionals(NamedTuple):
    """The laws of some sites given all others, with F of every wave as `Waves.fields` defines it."""

    fields: NDArray[np.complex64]  # (n, n_kinds, N_HARMONICS)
    log_q: NDArray[np.float32]  # (n,) of the angle that the site has
    means: NDArray[np.complex64]  # (n, 2 N_HARMONICS) of e^(i k theta)
    residuals: NDArray[np.complex64]  # (n, N_HARMONICS), (T0/T) (e^(i k theta) - its mean) times the weight


@dataclass(frozen=True)
class WaveProblem(PseudoLikelihood):
    """-log pseudo-likelihood of sites as a function of the couplings of waves."""

    basis: Waves
    neighbourhood: list[Offset]
    sites: Neighbourhoods
    sites_of_blocks: Neighbourhoods  # with the number of the block as `row`
    share: float
    grouped: bool
    past: Summary

    @property
    def n_seen(self) -> float:
        return float(self.sites.weight.sum(dtype=np.float64))

    def first_part(self) -> WaveProblem | None:
        """Return the problem of some of the sites, whose minimum is a good start; None if they are few."""
        if len(self.sites) <= 2 * _SITES_OF_HESSIAN:
            return None
        return replace(self, sites=_strided(self.sites, _SITES_OF_HESSIAN))

    def _loss_and_gradient(self, couplings: Floats) -> tuple[float, Floats]:
        gradient, loss = np.zeros((len(self.basis.kinds), N_HARMONICS)), 0.0
        for part in _blocks(self.sites):
            law = conditionals(self.basis, part, couplings, self.neighbourhood)
            loss -= float(part.weight.astype(np.float64) @ law.log_q)
            gradient += _sum_of(law)
        return loss, gradient.ravel()

    def _information(self, couplings: Floats, columns: NDArray[np.intp], dtype: type) -> Floats:
        some, factor = self.sites, 1.0
        if len(self.sites) > _SITES_OF_HESSIAN:
            some = _strided(self.sites, _SITES_OF_HESSIAN)
            factor = self.n_seen / float(some.weight.sum(dtype=np.float64))
        total = np.zeros((len(columns), len(columns)))
        for part in _blocks(some):
            total += _fisher(part, conditionals(self.basis, part, couplings, self.neighbourhood), columns, dtype)
        return factor * total

    def block_scores(self, couplings: Floats, columns: NDArray[np.intp]) -> tuple[Floats, Floats]:
        names, block = np.unique(self.sites_of_blocks.row, return_inverse=True)
        scores, start = np.zeros((len(names), self.basis.n_clusters)), 0
        for part in _blocks(self.sites_of_blocks):
            law = conditionals(self.basis, part, couplings, self.neighbourhood)
            each = (law.residuals[:, None] * law.fields).real.reshape(len(part), -1)
            np.add.at(scores, block[start : start + len(part)], each)
            start += len(part)
        return scores[:, columns], np.bincount(block, self.sites_of_blocks.weight).astype(np.float64)


def conditionals(waves: Waves, sites: Neighbourhoods, couplings: Floats, neighbourhood: list[Offset]) -> Conditionals:
    """Return the laws of sites given their neighbours: log q = -(T0/T) sum of couplings times waves - ln Z."""
    fields = waves.fields(sites.codes, neighbourhood)
    x = couplings.reshape(len(waves.kinds), N_HARMONICS)
    energy = np.stack([fields[:, :, k] @ x[:, k].astype(np.float32) for k in range(N_HARMONICS)], axis=1)
    coefficients = -sites.ratio[:, None] * energy
    log_z, means = laws(coefficients)
    each = np.exp(1j * np.outer(FINE_ANGLES.states, np.arange(1, N_HARMONICS + 1))).astype(np.complex64)
    own = each[sites.codes[:, 0]]
    log_q = (own * coefficients).real.sum(axis=1) - log_z
    residuals = (sites.weight * sites.ratio)[:, None] * (own - means[:, :N_HARMONICS])
    return Conditionals(fields, log_q, means, residuals)


def _sum_of(law: Conditionals) -> Floats:
    """Return the derivative of the -log pseudo-likelihood of all sites, (n_kinds, N_HARMONICS)."""
    each = [(law.residuals[:, k] @ law.fields[:, :, k]).real for k in range(N_HARMONICS)]
    return np.stack(each, axis=1).astype(np.float64)


def _strided(sites: Neighbourhoods, n: int) -> Neighbourhoods:
    """Return n sites, of rows from the first to the last."""
    return sites.part(np.arange(n) * len(sites) // n)


def _blocks(sites: Neighbourhoods) -> Iterator[Neighbourhoods]:
    return (sites.part(slice(start, start + _BLOCK)) for start in range(0, len(sites), _BLOCK))


def _fisher(sites: Neighbourhoods, law: Conditionals, columns: NDArray[np.intp], dtype: type) -> Floats:
    r"""Return the sum over sites of the covariances of the waves in the columns.

    With :math:`m_k` the mean of :math:`e^{i k \theta}`, that of :math:`\Re(F e^{i k \theta})` and
    :math:`\Re(G e^{i l \theta})` is :math:`\Re[F G (m_{k+l} - m_k m_l) + F \bar G (m_{k-l} - m_k \bar m_l)] / 2`.
    """
    kind, k = np.divmod(columns, N_HARMONICS)
    weight = sites.weight * sites.ratio**2 / 2
    total = np.zeros((len(columns), len(columns)))
    m = np.concatenate([np.ones((len(sites), 1)), law.means], axis=1, dtype=np.result_type(dtype, np.complex64))
    groups = [(harmonic, np.flatnonzero(k == harmonic - 1)) for harmonic in range(1, N_HARMONICS + 1)]
    for a, rows in groups:
        F = law.fields[:, kind[rows], a - 1] * weight[:, None].astype(dtype)
        for b, others in groups:
            if b > a:
                continue
            G = law.fields[:, kind[others], b - 1]
            both = F.T @ (G * (m[:, a + b] - m[:, a] * m[:, b])[:, None])
            apart = F.T @ (G.conj() * (m[:, a - b] - m[:, a] * m[:, b].conj())[:, None])
            total[np.ix_(rows, others)] = (both + apart).real
            total[np.ix_(others, rows)] = (both + apart).real.T
    return total
