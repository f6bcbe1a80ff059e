"""The pseudo-likelihood of rows under a local energy."""

from __future__ import annotations

import numpy as np

from .pseudo import site_energies
from .windows import each_site


def row_log_likelihoods(energy, data, geometry, lattice_shape):
    """Return, for every row, the sum over its inner sites of log p(site | rest), and the number of these sites."""
    total, n_sites = np.zeros(len(data)), np.zeros(len(data))
    for first, block in data.blocks(energy.states, lattice_shape, 1.0):
        block = block.unweighted()
        sites = each_site(block, geometry, first)
        site_energy = np.empty((len(sites), geometry.n_states))
        site_energies(sites.bases, geometry.powers, energy.table, site_energy)
        logits = -sites.ratio[:, None] * site_energy
        logits -= logits.max(axis=1, keepdims=True)
        log_p = (sites.counts * logits).sum(axis=1) - np.log(np.exp(logits).sum(axis=1))
        total += np.bincount(sites.row, log_p, len(data))
        n_sites += np.bincount(sites.row, minlength=len(data))
    return total, n_sites
