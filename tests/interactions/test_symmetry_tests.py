"""Symmetries that rows or energies refute are named; those that hold are not."""

import warnings

import numpy as np
import pytest

from skhamiltonian import IndependentSites, InteractionExpansion, IsingSampler
from skhamiltonian._interactions.symmetry_tests import Counted, _deviations, magnetization_differs


def system(kind, shape=(4, 6), temperature=3.0):
    """A system without one of the symmetries."""
    site = np.arange(np.prod(shape)).reshape(shape)
    down, right = (np.stack([site, np.roll(site, -1, axis)], -1).reshape(-1, 2) for axis in (0, 1))
    left = site[:, : shape[1] // 2].ravel()
    terms = {
        "none": [(1.0, down), (1.0, right)],
        "point-group": [(1.5, down), (0.5, right)],
        "spin-flip": [(0.8, down), (0.8, right), (0.3, site.reshape(-1, 1))],
        "translation": [(0.8, down), (0.8, right), (0.9, left[:, None]), (-0.9, np.setdiff1d(site, left)[:, None])],
    }[kind]
    return IsingSampler(shape, temperature, coupling=0.0, couplings=terms, random_state=0)


ALL = ("translation", "point-group", "spin-flip")


def told(fit):
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        fit()
    return [str(one.message) for one in log]


@pytest.mark.parametrize("kind", ["none", *ALL])
@pytest.mark.parametrize("method", ["projection", "pseudolikelihood"])
def test_one_warning_names_the_symmetry(kind, method):
    ising = system(kind)
    X, y = ising.sample(n_samples=1500), ising.energy if method == "projection" else None
    expansion = InteractionExpansion(lattice_shape=(4, 6), symmetries=ALL, method=method, temperature=3.0)
    said = told(lambda: expansion.fit(X, y))
    assert len(said) == (kind != "none")
    assert all(f"refute the symmetry '{kind}'" in one for one in said)
    rest = tuple(name for name in ALL if name != kind and not (kind == "translation" and name == "point-group"))
    assert told(lambda: expansion.set_params(symmetries=rest if kind != "translation" else ()).fit(X, y)) == []


def test_symmetries_that_hold_are_not_refuted_by_noise(spins):
    ising, rng = system("none"), np.random.default_rng(0)
    for seed in range(20):
        X = spins(300, 24, seed)
        expansion = InteractionExpansion(lattice_shape=(4, 6), symmetries=ALL)
        assert told(lambda: expansion.fit(X, ising.energy(X) + rng.normal(size=300))) == []  # noqa: B023
        assert told(lambda: expansion.set_params(method="pseudolikelihood", temperature=1.0).fit(X)) == []  # noqa: B023


def test_weighted_rows_refute_what_as_many_rows_refute():
    """Two rows with large weights and opposite signs: the mean is 0.09 +- 0.03, by the weighted variance."""
    X = np.random.default_rng(0).permuted(np.tile([-1, 1], (200, 8)), axis=1)
    X = np.concatenate([np.ones((1, 16), int), -np.ones((1, 16), int), X])
    for up, refuted in ((500, False), (700, True)):
        weight = np.append([up, 400], np.ones(200, int))
        assert magnetization_differs(Counted(X, weight.astype(float))) == refuted
        assert magnetization_differs(Counted(np.repeat(X, weight, axis=0), np.ones(weight.sum()))) == refuted


def test_groups_of_copies_are_as_good_as_their_rows():
    """Mean, variance and number of products at each place, with four copies of each row in a group."""
    X, table = np.random.default_rng(0).choice([-1, 1], (60, 9)), np.array([[0, 1], [1, 2], [3, 4]])
    copies = np.repeat(np.arange(60), 4)
    once = _deviations(Counted(X, np.ones(60)), table)
    grouped = _deviations(Counted(X[copies], np.ones(240), copies), table)
    for a, b in zip(once, grouped, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_spin_flip_of_a_lattice_gas_is_refused(spins):
    X = (spins(100, 16) + 1) // 2
    with pytest.raises(ValueError, match=r"2 \* X - 1, got \[0, 1\]"):
        InteractionExpansion(symmetries=("spin-flip",)).fit(X, X.sum(axis=1))


def differing(n, seed=0):
    """Rows of bonds of 1.5 along one axis and 0.5 along the other."""
    return system("point-group").sample(n_samples=n, random_state=seed)


@pytest.mark.parametrize(
    ("copies", "grouped", "weighted", "refuted"),
    [
        (1, False, False, False),
        (40, False, False, True),
        (40, False, True, True),
        (40, True, False, False),
        (40, True, True, False),
    ],
)
def test_independent_rows_refute_equal_couplings(copies, grouped, weighted, refuted):
    """Thirty rows are too few for a test; forty copies of each are enough, but not if they are groups."""
    X = differing(30)
    names = np.arange(30) if weighted else np.repeat(np.arange(30), copies)
    expansion = InteractionExpansion(
        ["pairs"], lattice_shape=(4, 6), max_distance=1, method="pseudolikelihood", temperature=3.0, sparse=False
    )
    weight = np.full(30, copies) if weighted else None
    said = told(lambda: expansion.fit(X[names], sample_weight=weight, groups=names if grouped else None))
    assert any("'point-group'" in one for one in said) == refuted


@pytest.mark.parametrize("name", ["point-group", "translation"])
def test_energies_refute_a_symmetry_by_the_weights_of_rows(name):
    """Energies of half of the rows obey the symmetry; the test is that of rows that are repeated."""
    X, rng = differing(300), np.random.default_rng(0)
    E = system("none").energy(X) + rng.normal(size=300)
    E[:100] += 3 * (system(name).energy(X[:100]) - E[:100])
    expansion = InteractionExpansion(["field", "pairs"], lattice_shape=(4, 6), max_distance=1)
    for first, others in ((0, 1), (1, 0), (9, 1), (1, 9)):
        counts = np.repeat([first, others], [100, 200])
        counted = told(lambda: expansion.fit(X, E, counts))  # noqa: B023
        assert counted == told(lambda: expansion.fit(np.repeat(X, counts, axis=0), np.repeat(E, counts)))  # noqa: B023


def test_few_rows_that_count_often_refute_a_symmetry_of_energies():
    X, E = differing(40), system("point-group").energy(differing(40)) + np.random.default_rng(0).normal(size=40)
    expansion = InteractionExpansion(["field", "pairs"], lattice_shape=(4, 6), max_distance=1)
    assert told(lambda: expansion.fit(X, E)) == []
    (said,) = told(lambda: expansion.fit(X, E, np.full(40, 40)))
    assert "'point-group'" in said


@pytest.mark.parametrize("across", [1.0, 0.3])
def test_whole_open_lattices_are_tested_at_all_sites(across):
    """No site of 4 x 4 has all of its pairs up to distance 3 inside; bonds that differ refute the point group."""
    ising = IsingSampler((4, 4), 3.0, coupling=(1.0, across), boundary="open", random_state=0)
    X = ising.sample(n_samples=2000)
    expansion = InteractionExpansion(lattice_shape=(4, 4), boundary="open", method="contrastive", random_state=0)
    said = told(lambda: expansion.fit(X, IndependentSites(3.0).fit(X)))
    assert len(said) == (across != 1.0)
    assert all("refute the symmetry 'point-group'" in one for one in said)
