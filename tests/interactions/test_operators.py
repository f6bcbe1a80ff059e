"""Operators of a lattice: the families by brute force, and their sums."""

import itertools

import numpy as np
import pytest

from skhamiltonian._interactions.operators import (
    FAMILIES,
    Geometry,
    Operator,
    coupling_matrix,
    lattice_operators,
    operator_sums,
)
from skhamiltonian._lattice.bonds import nearest_neighbours, next_nearest_neighbours, plaquettes
from skhamiltonian._utils.alphabet import enumerate_states

TORUS = ("translation", "point-group")


def table(operator):
    return sorted(map(tuple, np.sort(operator.sites, axis=1).tolist()))


@pytest.mark.parametrize("periodic", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (2, 2), (2, 5), (1, 6), (1, 1)])
def test_operators_are_the_terms_of_the_ising_sampler(shape, periodic):
    """The same bonds as the sampler's, double ones on an axis of two sites too."""
    geometry = Geometry(shape, periodic, 1.5, TORUS)
    found = {o.name: table(o) for family in ("pairs", "plaquettes") for o in lattice_operators(family, geometry)}
    flat = 1 in shape
    wanted = {"pair (1)" if flat else "pair (0, 1)": nearest_neighbours(shape, periodic)}
    if not flat:
        wanted |= {"pair (1, 1)": next_nearest_neighbours(shape, periodic), "plaquette": plaquettes(shape, periodic)}
    wanted = {name: sorted(map(tuple, np.sort(bonds, axis=1).tolist())) for name, bonds in wanted.items() if len(bonds)}
    assert found == wanted


@pytest.mark.parametrize("shape", [(5, 4), (4, 4), (6,), (3, 4, 3)])
def test_pairs_by_brute_force(shape):
    """Every pair of sites once, by the shortest way around the torus; as often as translations reach it."""
    sites = np.indices(shape).reshape(len(shape), -1).T
    wanted = {}
    for i, j in itertools.combinations(range(len(sites)), 2):
        r = np.abs(sites[i] - sites[j])
        r = tuple(sorted(np.minimum(r, np.array(shape) - r).tolist()))
        if np.linalg.norm(r) <= 2.5:
            wanted.setdefault("pair " + str(r).replace(",)", ")"), set()).add((i, j))
    found = lattice_operators("pairs", Geometry(shape, (True,) * len(shape), 2.5, TORUS))
    assert {operator.name: set(table(operator)) for operator in found} == wanted
    for operator in found:
        r = np.array(eval(operator.name[5:]), ndmin=1)
        assert operator.distance == pytest.approx(np.linalg.norm(r))


def test_triples_are_the_corners_of_a_square_without_one():
    (triple,) = lattice_operators("triples", Geometry((4, 5), (False, False), 3, TORUS))
    wanted = []
    for x, y in itertools.product(range(3), range(4)):
        square = [5 * x + y, 5 * x + y + 1, 5 * x + 5 + y, 5 * x + 6 + y]
        wanted += map(tuple, itertools.combinations(square, 3))
    assert table(triple) == sorted(wanted)
    orientations = lattice_operators("triples", Geometry((4, 5), (False, False), 3, ("translation",)))
    assert [len(o.sites) for o in orientations] == [12] * 4
    assert sorted(itertools.chain(*map(table, orientations))) == sorted(wanted)


@pytest.mark.parametrize("symmetries", [(), ("translation",), TORUS, (*TORUS, "spin-flip")])
@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 3), (2,), (4,), (2, 2, 2)])
def test_operators_of_a_small_torus_are_different_functions(shape, symmetries):
    """None is a multiple of another, so couplings are defined."""
    geometry = Geometry(shape, (True,) * len(shape), 3.0, symmetries)
    operators = [operator for family in FAMILIES for operator in lattice_operators(family, geometry)]
    values = operator_sums(enumerate_states((-1, 1), int(np.prod(shape))), operators)
    assert np.linalg.matrix_rank(values) == len(operators)
    assert np.abs(values.mean(axis=0)).max() < 1e-12
    if "spin-flip" in symmetries:
        assert {operator.sites.shape[1] % 2 for operator in operators} == {0}


def test_sums_are_sums_of_products():
    X = np.random.default_rng(0).integers(-3, 4, (50, 6))
    operators = [
        Operator("a", np.array([[0, 1], [2, 3]]), 1.0),
        Operator("b", np.array([[4]]), 0.0),
        Operator("c", np.array([[5, 5, 0]]), 0.0),
        Operator("d", np.array([[1, 2], [1, 2], [0, 5]]), 0.0),
    ]
    s = X.T
    wanted = [s[0] * s[1] + s[2] * s[3], s[4], s[5] ** 2 * s[0], 2 * s[1] * s[2] + s[0] * s[5]]
    np.testing.assert_array_equal(operator_sums(X, operators), np.transpose(wanted))


def test_sums_of_many_rows_are_those_of_single_rows(spins):
    operators = lattice_operators("pairs", Geometry((20, 20), (True, True), 3.0, TORUS))
    X = spins(600, 400)
    np.testing.assert_array_equal(operator_sums(X, operators)[::100], operator_sums(X[::100], operators))


def test_coupling_matrix_adds_up_double_bonds():
    J = coupling_matrix(np.array([1.0, 7.0]), lattice_operators("pairs", Geometry((2, 2), (True, True), 3, TORUS)), 4)
    np.testing.assert_array_equal(J, [[0, 2, 2, 28], [2, 0, 28, 2], [2, 28, 0, 2], [28, 2, 2, 0]])
