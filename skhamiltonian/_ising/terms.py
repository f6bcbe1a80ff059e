"""The terms of H(s) = -sum_k J_k prod_{i in k} s_i of spins +-1, as plain arrays for the kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SpinSystem(NamedTuple):
    """The terms of H: term k has strength J_k and the sites ``term_sites[term_start[k]:term_start[k + 1]]``.

    ``site_terms[site_start[i]:site_start[i + 1]]`` are the terms that hold site i. A field is a term of one site.
    """

    strength: NDArray[np.float64]
    term_start: NDArray[np.int32]
    term_sites: NDArray[np.int32]
    site_start: NDArray[np.int32]
    site_terms: NDArray[np.int32]

    @property
    def n_sites(self) -> int:
        return len(self.site_start) - 1

    @property
    def largest_order(self) -> int:
        """Number of spins in the largest term, 0 without terms."""
        return int(np.diff(self.term_start).max(initial=0))

    @property
    def is_even(self) -> bool:
        """Whether H(-s) = H(s)."""
        return bool((np.diff(self.term_start) % 2 == 0).all())


def spin_system(n_sites: int, terms: Iterable[tuple[float, NDArray[np.integer]]]) -> SpinSystem:
    """Build the arrays from (strength, table of sites of shape (n_terms, order)); zero strengths are left out."""
    tables = [(strength, table) for strength, table in terms if strength != 0.0 and len(table)]
    orders = np.concatenate([np.full(len(table), table.shape[1]) for _, table in tables] or [np.zeros(0, int)])
    sites = np.concatenate([table.ravel() for _, table in tables] or [np.zeros(0, int)])
    strength = np.concatenate([np.full(len(table), float(value)) for value, table in tables] or [np.zeros(0)])
    by_site = np.argsort(sites, kind="stable")
    return SpinSystem(
        strength=strength,
        term_start=_starts(orders),
        term_sites=sites.astype(np.int32),
        site_start=_starts(np.bincount(sites, minlength=n_sites)),
        site_terms=np.repeat(np.arange(len(orders)), orders)[by_site].astype(np.int32),
    )


def _starts(counts: NDArray[np.integer]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
