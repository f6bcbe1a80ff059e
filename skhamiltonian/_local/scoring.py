"""The pseudo-likelihood of rows under a local energy."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from .network import site_energies_of
from .pseudo import site_energies
from .windows import each_site, neighbourhoods


def row_log_likelihoods(energy, data, geometry, lattice_shape):
    """Return, for every row, the sum over its inner sites of log p(site | rest), and the number of these sites."""
    total, n_sites = np.zeros(len(data)), np.zeros(len(data))
    for first, block in data.blocks(energy.states, lattice_shape, 1.0):
        block = block.unweighted()
        if energy.table is None:
            sites = neighbourhoods(block, geometry, first)
            own, site_energy = sites.codes[:, 0], site_energies_of(energy.network, sites.codes, geometry)
        else:
            sites = each_site(block, geometry, first)
            own, site_energy = sites.counts.argmax(axis=1), np.empty((len(sites), geometry.n_states))
            site_energies(sites.bases, geometry.powers, energy.table, site_energy)
        log_p = log_softmax(-sites.ratio[:, None] * site_energy, axis=1)[np.arange(len(own)), own]
        total += np.bincount(sites.row, log_p, len(data))
        n_sites += np.bincount(sites.row, minlength=len(data))
    return total, n_sites
