"""Energies that are sums over terms, by hand."""

import numpy as np
import pytest

from skhamiltonian._lattice.terms import TermSum

K, N_SITES = 3, 5
SITES = (np.array([[0], [3], [4]], np.int32), np.array([[0, 1, 3], [2, 4, 4], [4, 3, 1], [1, 2, 0]], np.int32))
RNG = np.random.default_rng(0)
TABLE, ERRORS = RNG.normal(size=K + K**3), RNG.normal(size=(2, K + K**3))
CODES = RNG.integers(0, K, (130, N_SITES)).astype(np.int8)


def places(row):
    """Of the terms of a row in a table of one site and one of three, the second site counting K times as much."""
    one, three = SITES
    return [row[i] for (i,) in one] + [K + row[i] + K * row[j] + K**2 * row[k] for i, j, k in three]


@pytest.mark.kernel
def test_an_energy_and_its_errors_are_sums_of_entries():
    """130 rows are two blocks of 64, and two more; a site stands twice in a term."""
    terms = TermSum(K, SITES, TABLE, ERRORS)
    assert terms.starts().tolist() == [0, K, K + K**3]
    found = np.array([places(row.tolist()) for row in CODES])
    np.testing.assert_array_equal(terms.patterns(CODES), found)
    np.testing.assert_allclose(terms.energies(CODES), TABLE[found].sum(axis=1))
    np.testing.assert_allclose(terms.energy_errors(CODES), ERRORS[:, found].sum(axis=2).T)
    exact = TermSum(K, SITES, TABLE, np.zeros((0, len(TABLE))))
    assert exact.energy_errors(CODES).shape == (130, 0)


@pytest.mark.kernel
def test_links_lead_from_a_site_to_its_patterns():
    """Also on a lattice with a last site that is in no term."""
    terms = TermSum(K, SITES, TABLE, ERRORS)
    links = terms.links(N_SITES + 1)
    for site in range(N_SITES + 1):
        moved, before = CODES.copy(), terms.patterns(CODES)
        entries = slice(links.start[site], links.start[site + 1])
        np.add.at(before.T, links.term[entries], (links.weight[entries] * np.ones((130, 1), int)).T)
        if site < N_SITES:
            moved[:, site] += 1
        np.testing.assert_array_equal(before, terms.patterns(moved))
    assert len(links.start) == N_SITES + 2  # one more than the sites
    assert links.start[-1] == len(links.term) == len(links.weight) == sum(each.size for each in SITES)
