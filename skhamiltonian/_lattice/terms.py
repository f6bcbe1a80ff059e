"""An energy that is a sum over terms: a table for each kind of term gives its energy by the states of its sites."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._utils.compile import kernel

F64 = NDArray[np.float64]


class Links(NamedTuple):
    """The terms of every site: a change of its code by c changes the number of the pattern of a term by c weight."""

    start: NDArray[np.int64]  # (n_sites + 1,) of the entries of each site
    term: NDArray[np.int64]  # (n_entries,)
    weight: NDArray[np.int64]  # (n_entries,)


@dataclass(frozen=True)
class TermSum:
    r"""H(s) = sum over kinds k and over their terms t of table_k[pattern of s on t].

    The number of a pattern is :math:`\sum_j c_j K^j`, with c_j the code (index of the state) of site j of the term. A
    site may occur twice in a term. The tables of all kinds stand one after the other.

    Parameters
    ----------
    n_states : int
        Number K of states.
    sites : tuple of ndarray of shape (n_terms, n_sites_in_term)
        Sites of the terms of each kind.
    table : ndarray of shape (n_entries,)
        Energies of the patterns.
    errors : ndarray of shape (n_parameters, n_entries)
        Change of the table by one standard error of each of several independent parameters. Without rows the energy
        is exact.
    """

    n_states: int
    sites: tuple[NDArray[np.int32], ...]
    table: F64
    errors: F64

    def energies(self, codes: NDArray[np.int8]) -> F64:
        """Return H of every row of codes, (n_samples,)."""
        return self._sums(codes, self.table)

    def energy_errors(self, codes: NDArray[np.int8]) -> F64:
        """Return the change of H by one standard error of each parameter, (n_samples, n_parameters)."""
        each = [self._sums(codes, error) for error in self.errors]
        return np.reshape(each, (len(self.errors), len(codes))).T

    def starts(self) -> NDArray[np.int64]:
        """Return where the table of each kind starts, and last where it would go on."""
        return np.cumsum([0] + [self.n_states ** each.shape[1] for each in self.sites])

    def _sums(self, codes: NDArray[np.int8], table: F64) -> F64:
        """Return the sum of the entries of a table over the terms of every row."""
        codes, total = np.ascontiguousarray(codes), np.zeros(len(codes))
        for each, start in zip(self.sites, self.starts(), strict=False):
            powers = np.int64(self.n_states) ** np.arange(each.shape[1])
            total += table_energies(codes, each, powers, table[start:])
        return total

    def patterns(self, codes: NDArray[np.int8]) -> NDArray[np.int64]:
        """Return the place in the table of every term of every row, (n_samples, n_terms)."""
        each = []
        for sites, start in zip(self.sites, self.starts(), strict=False):
            powers = np.int64(self.n_states) ** np.arange(sites.shape[1])
            each.append(start + sum(codes[:, sites[:, j]] * powers[j] for j in range(len(powers))))
        return np.ascontiguousarray(np.concatenate(each, axis=1), np.int64)

    def links(self, n_sites: int) -> Links:
        """Return the terms of each site of the lattice."""
        site, term, weight = ([np.zeros(0, np.int64)] for _ in range(3))
        first = 0
        for each in self.sites:
            site.append(each.ravel().astype(np.int64))
            term.append(np.repeat(first + np.arange(len(each)), each.shape[1]))
            weight.append(np.tile(np.int64(self.n_states) ** np.arange(each.shape[1]), len(each)))
            first += len(each)
        sites = np.concatenate(site)
        order = np.argsort(sites, kind="stable")
        start = np.searchsorted(sites[order], np.arange(n_sites + 1))
        return Links(start, np.concatenate(term)[order], np.concatenate(weight)[order])


class KnownEnergy(ABC):
    """Base class of fitted estimators that know an energy as a sum over terms of a lattice."""

    @abstractmethod
    def _term_sum(self, lattice_shape: Sequence[int] | None, states: NDArray[Any]) -> TermSum:
        """Return the energy of a periodic lattice, of the shape of the rows if None, for the codes of these states.

        Raise NotFittedError before `fit`, and ValueError if the energy is not known for the shape or the states.
        """


@kernel
def table_energies(
    codes: NDArray[np.int8], sites: NDArray[np.int32], powers: NDArray[np.int64], table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sum of table entries of every row; 64 rows at a time are transposed, for vector instructions."""
    n_rows, n_sites = codes.shape
    total = np.zeros(n_rows)
    s, index, part = np.zeros((n_sites, 64), np.int8), np.empty(64, np.int32), np.empty(64)
    for first in range(0, n_rows, 64):
        n = min(64, n_rows - first)
        for row in range(n):
            for i in range(n_sites):
                s[i, row] = codes[first + row, i]
        part[:] = 0.0
        for w in range(len(sites)):
            index[:] = 0
            for j in range(len(powers)):
                power, i = np.int32(powers[j]), sites[w, j]
                for c in range(64):
                    index[c] += s[i, c] * power
            for c in range(64):
                part[c] += table[index[c]]
        total[first : first + n] = part[:n]
    return total
