"""The pseudo-likelihood of rows under a local energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from .._utils.alphabet import Alphabet
from .energy import LocalEnergy
from .network import site_energies_of
from .observations import Offset, Rows, WindowGeometry, each_site, neighbourhoods
from .pseudolikelihood import site_energies
from .reading import Data


def row_log_likelihoods(
    energy: LocalEnergy, alphabet: Alphabet, data: Data, geometry: WindowGeometry, lattice_shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for every row, the sum over its inner sites of log p(site | rest), and the number of these sites.

    For angles p is a density per radian.
    """
    total, n_sites = np.zeros(len(data)), np.zeros(len(data))
    for first, block in data.blocks(alphabet, lattice_shape, 1.0):
        row, log_p = _site_log_likelihoods(energy, block.unweighted(), geometry, first)
        total += np.bincount(row, log_p - alphabet.log_cell, len(data))
        n_sites += np.bincount(row, minlength=len(data))
    return total, n_sites


def _site_log_likelihoods(
    energy: LocalEnergy, block: Rows, geometry: WindowGeometry, first: int
) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Return the row and log p(site | rest) of every inner site of a block."""
    row: NDArray[np.integer]
    if energy.table is None or energy.offsets is not None:
        around = neighbourhoods(block, geometry, first)
        row, ratio, own = around.row, around.ratio, around.codes[:, 0]
        if energy.table is None:
            site_energy = site_energies_of(energy.network, around.codes, geometry)
        else:
            site_energy = _pair_energies(energy, around.codes, geometry.neighbourhood)
    else:
        seen = each_site(block, geometry, first)
        assert seen.row is not None
        row, ratio, own = seen.row, seen.ratio, seen.counts.argmax(axis=1)
        site_energy = np.empty((len(seen), geometry.n_states))
        site_energies(seen.bases, geometry.powers, energy.table, site_energy)
    return row, log_softmax(-ratio[:, None] * site_energy, axis=1)[np.arange(len(own)), own]


def _pair_energies(energy: LocalEnergy, codes: NDArray[np.int8], neighbourhood: list[Offset]) -> NDArray[np.float64]:
    """Return the energy of some sites in each state, of angles (n, K); codes are those of sites and neighbours."""
    assert energy.table is not None
    assert energy.offsets is not None
    total = np.zeros((len(codes), energy.n_states))
    start, n = 0, energy.n_states
    for offset in energy.offsets:
        size = n * n if offset.any() else n
        table = energy.table[start : start + size].reshape(-1, n)
        start += size
        if len(table) == 1:
            total += table
        else:
            after, before = (codes[:, neighbourhood.index(tuple(d.tolist()))] for d in (offset, -offset))
            total += table[after] + table.T[before]
    return total
