"""Spin kernels replayed from the same random words, by their definition; which systems fit into machine words."""

import math

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from skhamiltonian._ising.kernels import heat_bath, swendsen_wang
from skhamiltonian._ising.multispin import pack, uniform_couplings, unpack
from skhamiltonian._ising.terms import spin_system
from skhamiltonian._lattice.bonds import nearest_neighbours
from skhamiltonian._montecarlo.kernels import new_streams, next_word

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),  # unsigned words, uncompiled
]


def test_heat_bath_kernel_compares_a_number_of_each_chain_with_its_probability():
    """Five chains, each with a temperature of its own; two of them share the words of a stream."""
    rng, n_sweeps = np.random.default_rng(0), 20
    terms = [(rng.normal(), rng.permutation(6)[None, :order]) for order in (1, 2, 3, 4) for _ in range(4)]
    system = spin_system(6, terms)
    terms = np.split(system.term_sites, system.term_start[1:-1])
    beta = 1 / np.array([0.5, 1.0, 2.0, 5.0, math.inf])
    streams = new_streams(np.random.SeedSequence(0), 3)
    s = rng.choice(np.array([-1, 1], np.int8), (6, 5))
    peer, wanted = streams.copy(), s.copy()
    for i in list(range(6)) * n_sweeps:
        words = np.array([next_word(peer, w) for w in range(3)], np.uint64)
        u = ((words.view(np.int32)[:5] & 0x7FFFFFFF) + 0.5) / 2**31
        fields = [J * wanted[sites].prod(axis=0) for J, sites in zip(system.strength, terms, strict=True) if i in sites]
        x = 2 * beta * wanted[i] * np.sum(fields, axis=0)
        wanted[i] = np.where(np.signbit(x) == (u < expit(-np.abs(x))), 1, -1)
    heat_bath(s, n_sweeps, system, beta, streams)
    np.testing.assert_array_equal(s, wanted)
    np.testing.assert_array_equal(streams, peer)


@pytest.mark.parametrize("temperature", [0.7, 2.5])
def test_swendsen_wang_joins_each_bond_by_a_number_of_its_own(temperature):
    """Bit for bit against the definition: two chains of 3 x 3 spins, bonds of both signs, three streams."""
    system, n_bonds = spin_system(9, [(1.0, nearest_neighbours((3, 3), (True, True))), (-0.4, np.array([[0, 8]]))]), 19
    pairs = np.split(system.term_sites, system.term_start[1:-1])
    bonds, peer = np.array(pairs, np.int32), (streams := new_streams(np.random.SeedSequence(0), 3)).copy()
    states = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (2, 9))
    wanted = states.copy()
    for s in wanted:
        for _ in range(10):
            words = np.array([next_word(peer, w % 3) for w in range(-(-(n_bonds + 9) // 3) * 3)], np.uint64)
            u = (words[:n_bonds] >> np.uint64(11)).astype(float) / 2**53
            satisfied = system.strength * s[bonds].prod(axis=1) > 0
            joined = bonds[satisfied & (u < 1 - np.exp(-2 * np.abs(system.strength) / temperature))]
            graph = coo_array((np.ones(len(joined)), joined.T), shape=(9, 9))
            _, cluster = connected_components(graph, directed=False)
            root = [int(np.flatnonzero(cluster == label)[0]) for label in cluster]  # the cluster's first site
            s[words[n_bonds + np.array(root)] >> np.uint64(63) == 1] *= -1
    swendsen_wang(states, 10, bonds, system.strength, temperature, streams)
    np.testing.assert_array_equal(states, wanted)
    np.testing.assert_array_equal(streams, peer)


def test_words_hold_chains_of_one_coupling_one_field_and_few_neighbours():
    bond, sites = np.array([[0, 1]]), np.arange(4)[:, None]
    star = np.stack([np.zeros(14, int), np.arange(1, 15)], axis=1)
    accepted = [[(0.5, bond), (-0.5, bond + 2)], [(2.0, bond), (0.3, sites)], [(0.3, sites)]]
    refused = [
        [(0.5, bond), (0.6, bond + 2)],
        [(0.5, bond), (0.3, sites[:3])],
        [(0.5, bond), (0.3, sites[:3]), (0.3, sites[:1])],
        [(0.5, bond), (0.3, sites[:2]), (-0.3, sites[2:])],
        [(0.5, np.array([[0, 1, 2]]))],
        [(0.5, bond), (0.5, np.array([[0, 1, 2]]))],
    ]
    assert all(uniform_couplings(spin_system(4, terms)) is None for terms in refused)
    found = [uniform_couplings(spin_system(4, terms)) for terms in accepted]
    assert [(one.coupling, one.field) for one in found] == [(0.5, 0.0), (2.0, 0.3), (0.0, 0.3)]
    assert (found[0].inverted > 0).tolist() == [False, False, True, True]
    assert uniform_couplings(spin_system(15, [(1.0, star[:12])])) is not None
    assert uniform_couplings(spin_system(15, [(1.0, star[:13])])) is None


def test_words_give_back_the_spins_of_any_number_of_chains_and_sites():
    spins = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (70, 130))
    words = pack(spins)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    np.testing.assert_array_equal(bits[:, :70], spins.T > 0)
    assert not bits[:, 70:].any()
    np.testing.assert_array_equal(unpack(words, 70), spins)
