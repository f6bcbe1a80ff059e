"""The pseudo-likelihood of rows under a local energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from .._utils.alphabet import ANGLES, FINE_ANGLES, Alphabet
from .energy import LocalEnergy
from .network import site_energies_of
from .observations import Offset, Rows, WindowGeometry, each_site, neighbourhoods
from .pseudolikelihood import site_energies
from .reading import Data
from .waves import N_HARMONICS


def row_log_likelihoods(
    energy: LocalEnergy, alphabet: Alphabet, data: Data, geometry: WindowGeometry, lattice_shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for every row, the sum over its inner sites of log p(site | rest), and the number of these sites.

    Both are times the weight of the row. For angles p is a density per radian.
    """
    total, n_sites = np.zeros(len(data)), np.zeros(len(data))
    for first, block in data.blocks(alphabet.fine, lattice_shape, 1.0):
        row, log_p = _site_log_likelihoods(energy, block.unweighted(), geometry, first)
        total += np.bincount(row, log_p - alphabet.log_cell, len(data))
        n_sites += np.bincount(row, minlength=len(data))
    return data.weight * total, data.weight * n_sites


def _site_log_likelihoods(
    energy: LocalEnergy, block: Rows, geometry: WindowGeometry, first: int
) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Return the row and log p(site | rest) of every inner site of a block."""
    row: NDArray[np.integer]
    if energy.offsets is not None:
        around = neighbourhoods(block, geometry, first)
        return around.row, _log_densities(energy, around.codes, geometry.neighbourhood, around.ratio)
    if energy.table is None:
        around = neighbourhoods(block, geometry, first)
        row, ratio, own = around.row, around.ratio, around.codes[:, 0]
        site_energy = site_energies_of(energy.network, around.codes, geometry)
    else:
        seen = each_site(block, geometry, first)
        assert seen.row is not None
        row, ratio, own = seen.row, seen.ratio, seen.counts.argmax(axis=1)
        site_energy = np.empty((len(seen), geometry.n_states))
        site_energies(seen.bases, geometry.powers, energy.table, site_energy)
    return row, log_softmax(-ratio[:, None] * site_energy, axis=1)[np.arange(len(own)), own]


def _log_densities(
    energy: LocalEnergy, codes: NDArray[np.integer], neighbourhood: list[Offset], ratio: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the log of the density of each angle times the width of a cell of the grid.

    Codes on the fine grid, (n, n_neighbourhood), are those of sites and their neighbours.
    """
    assert energy.table is not None
    assert energy.offsets is not None
    n, k = energy.n_states, np.arange(-N_HARMONICS, N_HARMONICS + 1)
    waves = np.exp(1j * np.outer(FINE_ANGLES.states, k))
    start, series = 0, np.zeros((len(codes), len(k)), complex)  # of the energy of each site in its angle
    for offset in energy.offsets:
        size = n * n if offset.any() else n
        table = energy.table[start : start + size].reshape(-1, n)
        start += size
        if len(table) == 1:
            series += np.fft.fft(table[0])[k] / size
        else:
            of_pair = np.fft.fft2(table)[np.ix_(k, k)] / size
            after, before = (waves[codes[:, neighbourhood.index(tuple(d.tolist()))]] for d in (offset, -offset))
            series += after @ of_pair + before @ of_pair.T
    on_grid = (series @ np.exp(1j * np.outer(k, ANGLES.states))).real
    own = (series * waves[codes[:, 0]]).sum(axis=1).real
    return -ratio * own - logsumexp(-ratio[:, None] * on_grid, axis=1)
