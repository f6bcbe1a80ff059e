"""Interactions beyond the window: the score test against its formula, written out, and against known couplings."""

import contextlib
import itertools
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from skhamiltonian import IsingSampler, LocalHamiltonian
from skhamiltonian._local.clusters import clusters_of
from skhamiltonian._local.parameters import plan
from skhamiltonian._local.reach import _orbits, far_pairs
from skhamiltonian._local.reading import read
from skhamiltonian._utils.alphabet import Alphabet, enumerate_states

RING = LocalHamiltonian(2.0, boundary="periodic", lattice_shape=(12,), window_shape=2, symmetries="spin-flip")
SYMMETRIES = ("point-group", "spin-flip")


def ring(n_rows, seed, far=0.0, states=(-1, 1), length=12):
    """States on a ring with couplings 1 to neighbours and `far` to the third neighbours, drawn at T = 2."""
    each = enumerate_states(states, length).astype(float)
    energy = -(each * np.roll(each, 1, 1)).sum(1) - far * (each * np.roll(each, 3, 1)).sum(1)
    p = np.exp(-(energy - energy.min()) / 2.0)
    return each[np.random.default_rng(seed).choice(len(p), n_rows, p=p / p.sum())].astype(np.int64)


def fitted_pairs(local, X, **given):
    """The far pairs that a fit looks at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = clone(local).fit(X, **given)
    data = read(
        local, X, given.get("y"), given.get("sample_weight"), local.temperature, reset=False, groups=given.get("groups")
    )
    made = plan(local, len(data), X.shape[1], Alphabet.of_numbers(local.states_))
    return far_pairs(made, data, local.temperature_, local.summary_["couplings"])


@pytest.mark.parametrize("wraps", [False, True])
def test_far_pairs_are_those_of_the_formula(wraps):
    """Every sum over sites as a loop, with sites that are not measured; a row is a block."""
    rng = np.random.default_rng(0)
    n_rows, shape, T, J = 40, (6, 6), 2.0, 0.7
    boundary = "periodic" if wraps else "open"
    X = np.ma.masked_array(rng.choice([-1, 1], (n_rows, 36)), rng.random((n_rows, 36)) < 0.02)
    local = LocalHamiltonian(T, lattice_shape=shape, boundary=boundary, window_shape=2, symmetries=SYMMETRIES)
    data = read(local, X, None, None, T, reset=True)
    made = plan(local, n_rows, 36, Alphabet.of_numbers(np.array([-1, 1])))
    bonds = np.array([sorted(each.ravel()) == [0, 0, 1, 1] for each in _clusters(made).patterns()])
    bonds &= _clusters(made).patterns()[:, 0].sum(axis=1) != 1  # not the diagonals
    pairs = far_pairs(made, data, T, np.where(bonds, -J / T, 0.0))
    spins, measured = X.filled(0).reshape(-1, 6, 6), ~np.ma.getmaskarray(X).reshape(-1, 6, 6)

    def at(values, row, *place):
        inside = wraps or (min(place) >= 0 and max(place) < 6)
        return values[row, place[0] % 6, place[1] % 6] if inside else 0

    orbits = [each.tolist() for each in _orbits(made)]
    assert len(pairs) == len(orbits) + 1
    for offsets, pair in zip([*orbits, [step for orbit in orbits for step in orbit]], pairs, strict=True):
        score, information = np.zeros((n_rows, 2)), np.zeros((2, 2))
        inner = range(6) if wraps else range(1, 5)
        for row, i, j in itertools.product(range(n_rows), inner, inner):
            if all(at(measured, row, i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
                near = sum(at(spins, row, i + a, j + b) for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0)))
                far = sum(at(spins, row, i + a, j + b) for a, b in offsets)
                mean = np.tanh(J / T * near)
                score[row] += (spins[row, i, j] - mean) * np.array([near, far])
                information += (1 - mean**2) * np.outer([near, far], [near, far])
        slope = information[0, 1] / information[0, 0]
        own, left = score[:, 1] - slope * score[:, 0], information[1, 1] - slope * information[0, 1]
        assert pair.coupling == pytest.approx(T * own.sum() / left, rel=1e-4, abs=1e-6)
        assert pair.error == pytest.approx(T * np.sqrt((own**2).sum()) / left, rel=1e-4)


def _clusters(made):
    shape = made.geometry.window_shape
    return clusters_of(shape, made.geometry.n_states, made.group(shape), even=made.even)


def test_orbits_hold_every_far_pair_once():
    made = plan(
        LocalHamiltonian(lattice_shape=(9, 9), symmetries=SYMMETRIES), 1, 81, Alphabet.of_numbers(np.array([-1, 1]))
    )
    orbits = _orbits(made)
    each = [tuple(offset) for orbit in orbits for offset in orbit.tolist()]
    assert len(each) == len(set(each)) == (11**2 - 5**2) // 2
    assert not set(each) & {(-a, -b) for a, b in each}
    assert all(len({tuple(sorted(map(abs, offset))) for offset in orbit.tolist()}) == 1 for orbit in orbits)
    assert len(orbits) == 15


@pytest.mark.parametrize(("length", "farthest"), [(5, 2), (6, 2), (7, 3), (8, 3), (9, 4), (10, 4), (11, 4)])
def test_pairs_half_a_periodic_lattice_apart_are_left_out(length, farthest):
    local = LocalHamiltonian(boundary="periodic", window_shape=2)
    made = plan(local, 1, length, Alphabet.of_numbers(np.array([-1, 1])))
    assert sorted(offset for orbit in _orbits(made) for (offset,) in orbit.tolist()) == list(range(2, farthest + 1))


def test_no_pair_is_far_on_lattices_that_a_window_spans():
    X = IsingSampler((4, 4), 2.5, random_state=0).sample(n_samples=300)
    assert fitted_pairs(LocalHamiltonian(2.5, lattice_shape=(4, 4), boundary="periodic"), X) == []


def test_few_blocks_say_nothing():
    X, groups = ring(100, 0), np.arange(100)
    assert fitted_pairs(RING, X, groups=groups % 29) == [] != fitted_pairs(RING, X, groups=groups % 30)


@pytest.mark.parametrize("states", [(-1, 1), (0, 1, 2)])
def test_a_coupling_that_the_window_does_not_hold_is_found(states):
    length = 12 if len(states) == 2 else 8
    local = clone(RING).set_params(lattice_shape=(length,), symmetries=())
    X = ring(20_000, 0, 0.05, np.array(states) - np.mean(states), length)
    pairs = {pair.offset: pair for pair in fitted_pairs(local, X)}
    scale = np.var(states)  # the polynomials of three states have the mean square 1
    found = pairs[3,]
    assert abs(found.coupling - 0.05 * scale) < 4 * found.error < 0.02
    assert found.coupling > 5 * found.error
    with pytest.warns(UserWarning, match=r"sites \(3,\) apart have a coupling of 0.0.* no window of shape \(2,\)"):
        clone(local).fit(X)


def test_without_far_interactions_far_pairs_scatter_by_their_errors():
    """Rows, tiles of few rows, and groups of rows: z has the standard deviation 1, and none is 4."""
    z = []
    for seed in range(40):
        z += [pair.coupling / pair.error for pair in fitted_pairs(RING, ring(300, seed))]
        X = IsingSampler((32, 32), 3.0, random_state=seed).sample(n_samples=4)
        local = LocalHamiltonian(3.0, lattice_shape=(32, 32), symmetries=SYMMETRIES)
        z += [pair.coupling / pair.error for pair in fitted_pairs(local, X)]
    assert 0.85 < np.std(z) < 1.15
    assert np.max(np.abs(z)) < 4


def test_rows_of_a_group_count_once():
    X, groups = ring(100, 0), np.arange(100)
    once, thrice = (
        fitted_pairs(RING, X, groups=groups),
        fitted_pairs(RING, np.tile(X, (3, 1)), groups=np.tile(groups, 3)),
    )
    np.testing.assert_allclose([pair.error for pair in once], [pair.error for pair in thrice], rtol=1e-4)


def test_far_pairs_have_the_unit_of_the_temperature():
    X = ring(500, 0, 0.05)
    one, ten = (fitted_pairs(clone(RING).set_params(temperature=T), X) for T in (2.0, 20.0))
    np.testing.assert_allclose([10 * pair.coupling for pair in one], [pair.coupling for pair in ten], rtol=1e-6)


@pytest.mark.parametrize("field", [0.0, 0.02])
def test_a_field_that_is_too_weak_for_the_threshold_is_said(field):
    X = IsingSampler((8, 8), 2.5, field=field, random_state=0).sample(n_samples=600)
    local = LocalHamiltonian(2.5, lattice_shape=(8, 8), boundary="periodic", symmetries="point-group")
    missed = pytest.warns(
        UserWarning, match="mean state of the rows is 0.*no coupling is found that tells up from down"
    )
    with missed if field else contextlib.nullcontext():
        local.fit(X)
    assert len(local.couplings_) == 1


def test_squares_of_pixels_that_hold_parts_of_several_spins_are_found():
    X = IsingSampler((128, 128), 2.5, random_state=0).sample(n_samples=10).reshape(-1, 128, 128)
    spins = X[:, 1:, 1:] + X[:, :-1, 1:] + X[:, 1:, :-1] + X[:, :-1, :-1]
    ties = np.random.default_rng(0).choice([-1, 1], spins.shape)
    spins = np.where(spins == 0, ties, np.sign(spins))
    local = LocalHamiltonian(lattice_shape=(127, 127), symmetries=SYMMETRIES)
    with pytest.warns(UserWarning, match="pixels that hold parts of several spins"):
        local.fit(spins.reshape(10, -1))
