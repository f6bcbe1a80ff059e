"""States that a site never had are found, where chance does not explain it."""

import numpy as np
import pytest

from skhamiltonian import IsingSampler
from skhamiltonian._lattice.unseen import unseen_states

ISING = np.array([-1, 1], np.int8)


def pinned(n_samples=500):
    X = np.random.default_rng(0).choice(ISING, (n_samples, 8))
    X[:, 3] = 1
    return X


def mixed(n_samples=500):
    rng = np.random.default_rng(0)
    return np.concatenate([rng.choice([-1, 1], (n_samples, 4)), rng.choice([-1, 0, 1], (n_samples, 4))], axis=1)


def test_states_of_a_pinned_site_and_of_mixed_alphabets_are_found():
    assert np.argwhere(unseen_states(pinned(), ISING)).tolist() == [[3, 0]]
    assert np.argwhere(unseen_states(mixed(), np.array([-1, 0, 1]))).tolist() == [[0, 1], [1, 1], [2, 1], [3, 1]]


def test_a_state_seen_once_in_the_last_row_is_seen():
    X = pinned(9000)
    X[-1, 3] = -1
    assert not unseen_states(X, ISING).any()


def test_frequent_states_of_the_last_rows_are_evidence():
    """State -1 comes in the second half of the rows only, and never at site 3; the first rows know nothing of it."""
    X = np.concatenate([np.ones((5000, 8), np.int8), pinned(5000)])
    assert np.argwhere(unseen_states(X, ISING)).tolist() == [[3, 0]]


def test_a_histogram_has_the_unseen_states_of_its_rows():
    rows, counts = np.unique(pinned()[:, :4], axis=0, return_counts=True)
    assert len(rows) == 8
    assert np.argwhere(unseen_states(rows, ISING, counts)).tolist() == [[3, 0]]
    assert not unseen_states(rows, ISING).any()


@pytest.mark.parametrize("n_samples", [40, 300, 3000])
def test_rare_states_of_an_ordered_magnet_are_no_evidence(n_samples):
    X = IsingSampler((6, 6), 1.4, random_state=0).sample(n_samples=n_samples)
    X = X * np.sign(X.sum(axis=1, keepdims=True))
    assert not unseen_states(X, ISING).any()
