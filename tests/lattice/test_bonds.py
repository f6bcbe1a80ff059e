"""Bonds, diagonals and plaquettes of a lattice, by brute force."""

import itertools
import math

import numpy as np
import pytest

from skhamiltonian._ising.ground_state import satisfying_state
from skhamiltonian._ising.kernels import energies
from skhamiltonian._ising.terms import spin_system
from skhamiltonian._lattice.bonds import axis_bonds, nearest_neighbours, next_nearest_neighbours, plaquettes


def rolled(s, *terms):
    """-sum over all sites of the products of s moved by the steps of each term (a list of displacements)."""
    axes = tuple(range(1, s.ndim))
    return -sum(np.prod([np.roll(s, step, axes) for step in term], axis=0).sum(axis=axes) for term in terms)


@pytest.mark.parametrize("shape", [(2,), (3,), (2, 2), (2, 3), (3, 4), (2, 2, 2), (2, 3, 2)])
def test_periodic_bonds_are_those_of_np_roll(shape):
    s = np.random.default_rng(0).choice([-1, 1], (100, *shape)).astype(np.int8)
    unit, wraps = np.eye(len(shape), dtype=int), (True,) * len(shape)
    still = tuple(np.zeros(len(shape), dtype=int))
    bonds = nearest_neighbours(shape, wraps)
    H = energies(s.reshape(100, -1), spin_system(math.prod(shape), [(1.0, bonds)]))
    np.testing.assert_array_equal(H, rolled(s, *[(still, tuple(e)) for e in unit]))

    pairs = list(itertools.combinations(unit, 2))
    if pairs:
        bonds = next_nearest_neighbours(shape, wraps)
        H = energies(s.reshape(100, -1), spin_system(math.prod(shape), [(1.0, bonds)]))
        np.testing.assert_array_equal(H, rolled(s, *[p for a, b in pairs for p in ((still, a + b), (a, b))]))
        squares = plaquettes(shape, wraps)
        H = energies(s.reshape(100, -1), spin_system(math.prod(shape), [(1.0, squares)]))
        np.testing.assert_array_equal(H, rolled(s, *[(still, a, b, a + b) for a, b in pairs]))


def as_sets(table):
    return sorted(map(sorted, table.tolist()))


def test_open_boundaries_have_the_bonds_inside():
    """2 x 3 sites: 0 1 2 / 3 4 5."""
    across, down = [[0, 1], [1, 2], [3, 4], [4, 5]], [[0, 3], [1, 4], [2, 5]]
    assert as_sets(nearest_neighbours((2, 3), (False, False))) == sorted(across + down)
    around = [[0, 2], [3, 5]]
    assert as_sets(nearest_neighbours((2, 3), (False, True))) == sorted(across + around + down)
    assert as_sets(next_nearest_neighbours((2, 3), (False, False))) == [[0, 4], [1, 3], [1, 5], [2, 4]]
    assert as_sets(plaquettes((2, 3), (False, False))) == [[0, 1, 3, 4], [1, 2, 4, 5]]


def test_next_nearest_neighbours_of_a_chain_are_second_neighbours():
    assert as_sets(next_nearest_neighbours((5,), (False,))) == [[0, 2], [1, 3], [2, 4]]
    assert as_sets(next_nearest_neighbours((4,), (True,))) == [[0, 2], [0, 2], [1, 3], [1, 3]]
    assert len(next_nearest_neighbours((2,), (True,))) == 0


def test_an_axis_of_one_site_takes_no_part():
    for terms in (nearest_neighbours, next_nearest_neighbours, plaquettes):
        for ends in ((True, True), (True, False), (False, True)):
            wraps = (not ends[0], ends[0], True, ends[1])
            np.testing.assert_array_equal(terms((1, 4, 1, 3), wraps), terms((4, 3), ends))
        assert len(terms((1, 1), (True, True))) == 0


@pytest.mark.kernel
def test_a_state_that_satisfies_every_term_is_found():
    rng = np.random.default_rng(1)
    s = rng.choice([-1, 1], 12)
    graph = np.stack([np.arange(11), np.arange(1, 12)], axis=1)
    loops = rng.permuted(np.tile(np.arange(12), (9, 1)), axis=1)[:, :4]
    terms = [(s[t].prod() * rng.uniform(0.5, 2), t[None]) for t in [*graph, *loops]]
    system = spin_system(12, terms)
    assert energies(satisfying_state(system)[None], system)[0] == pytest.approx(-np.abs(system.strength).sum())


@pytest.mark.kernel
@pytest.mark.parametrize("strength", [np.nan, np.inf, -np.inf, 1e-320])
def test_a_state_is_found_for_any_strength(strength):
    ring = np.stack([np.arange(12), np.arange(1, 13) % 12], axis=1)
    assert set(np.abs(satisfying_state(spin_system(12, [(strength, ring)])))) == {1}


@pytest.mark.parametrize("shape", [(2, 3), (1, 4), (3, 1, 2), (1,), (2,), (1, 1)])
@pytest.mark.parametrize("periodic", [True, False])
def test_bonds_of_each_axis_make_up_all_bonds(shape, periodic):
    tables = axis_bonds(shape, (periodic,) * len(shape))
    np.testing.assert_array_equal(np.concatenate(tables), nearest_neighbours(shape, (periodic,) * len(shape)))
    for axis, table in enumerate(tables):
        places = np.delete(np.array(np.unravel_index(table.T, shape)), axis, axis=0)
        assert (places[:, 0] == places[:, 1]).all()
        long = shape[axis] > 1
        assert len(table) == long * math.prod(shape) * (1 if periodic else 1 - 1 / shape[axis])
