"""Symmetries that rows or energies refute are named; those that hold are not."""

import warnings

import numpy as np
import pytest

from skhamiltonian import InteractionExpansion, IsingSampler
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
