"""Random elements of a symmetry group, against the group by brute force."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import chisquare

from skhamiltonian import IsingSampler
from skhamiltonian._lattice.symmetry import OF_ANGLES, SYMMETRIES, group_size, symmetric_copies, symmetry_sampler

SHAPES = [(5,), (3, 4), (2, 3, 2), (2, 2), (1, 1, 3)]
NAMES = [names for n in range(4) for names in itertools.combinations(SYMMETRIES, n)]


def brute_force(shape, names):
    """Return the set of (where each site comes from, flip): signed permutations of the axes, then shifts."""
    d, elements = len(shape), set()
    places = list(itertools.product(*map(range, shape)))
    index = {place: i for i, place in enumerate(places)}
    axes_and_signs = [(tuple(range(d)), (1,) * d)]
    if "point-group" in names:
        axes_and_signs = [
            (axes, signs)
            for axes in itertools.permutations(range(d))
            if all(shape[axes[a]] == shape[a] for a in range(d))
            for signs in itertools.product((1, -1), repeat=d)
        ]
    shifts = places if "translation" in names else [(0,) * d]
    for (axes, signs), shift in itertools.product(axes_and_signs, shifts):
        came_from = []
        for place in places:
            turned = [place[axes[a]] if signs[a] > 0 else shape[a] - 1 - place[axes[a]] for a in range(d)]
            came_from.append(index[tuple((turned[a] + shift[a]) % shape[a] for a in range(d))])
        elements |= {(tuple(came_from), flip) for flip in ((False, True) if "spin-flip" in names else (False,))}
    return elements


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_elements_are_the_group_all_equally_often(shape, names):
    group = brute_force(shape, names)
    assert group_size(shape, names) == len(group)
    draw, rng, counts = symmetry_sampler(shape, names, 3), np.random.default_rng(0), dict.fromkeys(group, 0)
    for _ in range(40 * len(group)):
        sites, new = draw(rng)
        assert new is None or new.tolist() == [2, 1, 0]
        counts[tuple(sites.tolist()), new is not None] += 1  # KeyError: no element of the group
    assert len(group) == 1 or chisquare(list(counts.values())).pvalue > 1e-4


@pytest.mark.parametrize("names", [("rotation",), ("reflection",), OF_ANGLES])
@pytest.mark.parametrize("n_states", [3, 6])
def test_drawn_turns_of_a_circle_are_the_group_all_equally_often(n_states, names):
    circle = np.arange(n_states)
    turns = circle if "rotation" in names else [0]
    signs = (1, -1) if "reflection" in names else (1,)
    group = {tuple((sign * circle + turn) % n_states) for sign in signs for turn in turns}
    assert group_size((1,), names, n_states) == len(group)
    draw, rng, counts = symmetry_sampler((1,), names, n_states), np.random.default_rng(0), dict.fromkeys(group, 0)
    for _ in range(40 * len(group)):
        new = draw(rng)[1]
        counts[tuple(circle if new is None else new)] += 1  # KeyError: no element of the group
    assert chisquare(list(counts.values())).pvalue > 1e-4


@pytest.mark.parametrize("names", [("permutation",), ("spin-flip", "permutation")])
def test_drawn_names_of_states_are_all_permutations_equally_often(names):
    group = dict.fromkeys(itertools.permutations(range(4)), 0)
    assert group_size((1,), names, 4) == len(group)
    draw, rng = symmetry_sampler((1,), names, 4), np.random.default_rng(0)
    for _ in range(40 * len(group)):
        group[tuple(draw(rng)[1].tolist())] += 1
    assert chisquare(list(group.values())).pvalue > 1e-4


def energy(X, shape):
    """Sum of products over the bonds of a torus, each axis written out; two sites in a row have two bonds."""
    v, H = X.reshape(len(X), *shape).astype(float), np.zeros(len(X))
    for axis, length in enumerate(shape):
        for i in range(length):
            here, there = np.take(v, i, axis + 1), np.take(v, (i + 1) % length, axis + 1)
            H -= (here * there).reshape(len(X), -1).sum(axis=1)
    return H


@pytest.mark.parametrize("n_states", [2, 3, 5])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_copies_have_the_energy_of_their_row(shape, n_states):
    rng, symmetry = np.random.default_rng(1), symmetry_sampler(shape, SYMMETRIES, n_states)
    codes = rng.integers(n_states, size=(200, math.prod(shape))).astype(np.int8)
    copies = symmetric_copies(codes, symmetry, rng, 1)
    values = np.arange(n_states) - (n_states - 1) / 2
    np.testing.assert_allclose(energy(values[copies], shape), energy(values[codes], shape), atol=1e-9)
    assert np.mean((copies != codes).any(axis=1)) > 0.8
    assert codes.dtype == copies.dtype


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 3, 4)])
def test_copies_have_the_energy_of_the_ising_sampler(shape):
    ising = IsingSampler(shape, 2.0, next_nearest_coupling=0.3, plaquette_coupling=0.7 * (len(shape) > 1))
    rng = np.random.default_rng(2)
    spins = rng.choice(np.array([-1, 1], np.int8), (100, math.prod(shape)))
    copies = symmetric_copies((spins > 0).astype(np.int8), symmetry_sampler(shape, SYMMETRIES, 2), rng, 1)
    np.testing.assert_allclose(ising.energy(2 * copies - 1), ising.energy(spins), atol=1e-9)


@pytest.mark.parametrize("n_states", [2, 3, 5])
def test_two_flips_are_none(n_states):
    codes = np.random.default_rng(3).integers(n_states, size=(10, 6)).astype(np.int8)

    def flip(_):
        return np.arange(6), np.arange(n_states, dtype=np.int8)[::-1]

    once = symmetric_copies(codes, flip, None, 4)
    values = np.arange(n_states) - (n_states - 1) / 2
    np.testing.assert_array_equal(values[once], -values[codes])
    np.testing.assert_array_equal(symmetric_copies(once, flip, None, 3), codes)


@pytest.mark.parametrize("group", [1, 3, 7, 20])
def test_rows_of_a_group_share_an_element_and_none_is_left_out(group):
    shape, rng = (3, 4), np.random.default_rng(4)
    row = rng.permutation(12).astype(np.int8)  # all sites differ, so that a copy tells its element
    copies = symmetric_copies(
        np.tile(row, (20, 1)), symmetry_sampler(shape, ("translation", "point-group"), 12), rng, group
    )
    elements = {tuple(row[list(sites)].tolist()) for sites, _ in brute_force(shape, ("translation", "point-group"))}
    assert set(map(tuple, copies.tolist())) <= elements
    for start in range(0, 20, group):
        assert len(np.unique(copies[start : start + group], axis=0)) == 1
    assert len(np.unique(copies, axis=0)) == pytest.approx(-(-20 // group), abs=7)
