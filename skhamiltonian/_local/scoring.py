"""The pseudo-likelihood of rows under a local energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from .energy import LocalEnergy
from .network import site_energies_of
from .observations import Rows, WindowGeometry, each_site, neighbourhoods
from .pseudo import site_energies
from .reading import Data


def row_log_likelihoods(
    energy: LocalEnergy, data: Data, geometry: WindowGeometry, lattice_shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for every row, the sum over its inner sites of log p(site | rest), and the number of these sites."""
    total, n_sites = np.zeros(len(data)), np.zeros(len(data))
    for first, block in data.blocks(energy.states, lattice_shape, 1.0):
        row, log_p = _site_log_likelihoods(energy, block.unweighted(), geometry, first)
        total += np.bincount(row, log_p, len(data))
        n_sites += np.bincount(row, minlength=len(data))
    return total, n_sites


def _site_log_likelihoods(
    energy: LocalEnergy, block: Rows, geometry: WindowGeometry, first: int
) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Return the row and log p(site | rest) of every inner site of a block."""
    row: NDArray[np.integer]
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
