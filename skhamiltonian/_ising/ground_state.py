"""A state that satisfies every term, if there is one; chains then start from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .._utils.compile import kernel
from .kernels import energies
from .terms import SpinSystem


class Landscape(NamedTuple):
    """Whether the terms have a unique ground state, and whether clusters suit them."""

    ground_state: NDArray[np.int8] | None  # None unless one state (up to a global flip) satisfies every term
    has_clusters: bool  # whether all terms are pairs and fields, and do not compete


def landscape(system: SpinSystem) -> Landscape:
    """Look for a state that satisfies every term; it is unique if the pair terms connect all sites."""
    order, first = np.diff(system.term_start), system.term_start[:-1]
    s = satisfying_state(system)
    fields, pairs = order == 1, order == 2
    if (system.strength[fields] * s[system.term_sites[first[fields]]]).sum() < 0:
        s = -s
    satisfied = bool(np.isclose(energies(s[None], system)[0], -np.abs(system.strength).sum()))
    a, b = system.term_sites[first[pairs]], system.term_sites[first[pairs] + 1]
    bonds = coo_array((np.ones(len(a)), (a, b)), shape=(system.n_sites, system.n_sites))
    unique = satisfied and connected_components(bonds, directed=False, return_labels=False) == 1
    return Landscape(
        ground_state=s if unique else None,
        has_clusters=satisfied and bool(pairs.any()) and system.largest_order <= 2,
    )


@kernel
def satisfying_state(system: SpinSystem) -> NDArray[np.int8]:
    """Return a state that satisfies every term, J_k prod s > 0, if the terms do not compete.

    It grows from site 0: if all spins of a term but one are known, the term decides the last one.
    """
    n_sites = len(system.site_start) - 1
    s, queue = np.zeros(n_sites, np.int8), np.empty(n_sites, np.int32)
    for first in range(n_sites):
        if s[first] != 0:
            continue
        s[first], queue[0], n_done, n_queued = 1, first, 0, 1
        while n_done < n_queued:
            i = queue[n_done]
            n_done += 1
            for entry in range(system.site_start[i], system.site_start[i + 1]):
                k = system.site_terms[entry]
                product, open_sites, last_open = np.sign(system.strength[k]), 0, 0
                for position in range(system.term_start[k], system.term_start[k + 1]):
                    j = system.term_sites[position]
                    if s[j] == 0:
                        open_sites, last_open = open_sites + 1, j
                    else:
                        product *= s[j]
                if open_sites == 1:
                    s[last_open] = np.int8(1) if product > 0 else np.int8(-1)  # also for NaN, never 0
                    queue[n_queued] = last_open
                    n_queued += 1
    return s
