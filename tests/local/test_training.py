"""What a fit holds back, which groups measure its errors, and how strong couplings escape the penalty."""

import numpy as np
import pytest

from skhamiltonian import LocalHamiltonian
from skhamiltonian._local.choice_of_rows import _groups
from skhamiltonian._local.fitting import _split
from skhamiltonian._local.observations import Rows, WindowGeometry, neighbourhoods
from skhamiltonian._local.parameters import plan
from skhamiltonian._local.reading import read
from skhamiltonian._local.sparse import _penalty
from skhamiltonian._local.training import WindowModule, _mean_loss
from skhamiltonian._utils.alphabet import Alphabet


def test_a_held_out_loss_is_the_mean_over_weights():
    rng, geometry = np.random.default_rng(0), WindowGeometry((2,), 3, (True,))
    module = WindowModule(geometry, (4,), 0)
    codes, weight = rng.integers(3, size=(20, 5)).astype(np.int8), rng.integers(1, 5, 20).astype(float)
    sites = neighbourhoods(Rows(codes, np.ones(20), weight), geometry)
    repeated = neighbourhoods(
        Rows(np.repeat(codes, weight.astype(int), axis=0), *np.ones((2, int(weight.sum())))), geometry
    )
    assert _mean_loss(module, sites, 7) == pytest.approx(_mean_loss(module, repeated, 1000), rel=1e-5)


def test_groups_are_held_back_as_a_whole():
    """All sites of a row have the number of its group as their state."""
    group = np.repeat(np.arange(10), 8)
    X = np.repeat(group[:, None], 4, axis=1)
    local = LocalHamiltonian(boundary="periodic", window_shape=2, hidden_layer_sizes=(3,), validation_fraction=0.25)
    data = read(local, X, None, None, 1.0, reset=True, groups=group)
    made = plan(local, len(X), 4, Alphabet.of_numbers(np.arange(10)))
    trained, held_out = _split(local, made, data, 1.0, np.random.default_rng(0))
    held, kept = set(held_out.codes.ravel()), set(trained.codes.ravel())
    assert (len(held), len(kept)) == (3, 7)
    assert not held & kept
    assert (len(held_out), len(trained)) == (3 * 32, 7 * 32)


def test_the_groups_that_measure_errors_are_whole_and_a_known_share():
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(1000), 7))
    chosen = _groups(group, None)
    names = np.unique(chosen.group)
    assert len(names) < 1000
    assert chosen.share == len(names) / 1000
    np.testing.assert_array_equal(np.sort(chosen.some), np.flatnonzero(np.isin(group, names)))
    np.testing.assert_array_equal(group[chosen.some], chosen.group)
    assert (np.diff(chosen.group) >= 0).all()


@pytest.mark.parametrize(("threshold", "reach"), [(3.0, 6.0), (40.0, 10.0)])
def test_a_penalty_ends_at_two_thresholds_or_ten_errors(threshold, reach):
    """Couplings with information 4 and 9, of which only the first is on: errors 1/2 and 1/3."""
    information, sd = np.array([[4.0, 1.0], [1.0, 9.0]]), np.array([2.0, 3.0])
    penalty = _penalty(np.array([5.0, 0.0]), information, sd, threshold)
    np.testing.assert_allclose(penalty.pull, threshold * sd)
    np.testing.assert_allclose(penalty.reach, reach * np.array([1 / 2, 1 / 3]))
    np.testing.assert_allclose(penalty.weight(np.array([reach / 4, 0.0])), [0.5, 1])
    np.testing.assert_allclose(penalty.weight(np.array([reach / 2, reach / 3])), [0, 0], atol=1e-12)
