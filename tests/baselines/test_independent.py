"""Sites without interaction: counts of rows."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhamiltonian import IndependentSites


@parametrize_with_checks(
    [IndependentSites()],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "X holds real numbers; the test below asks the same of states",
    },
)
def test_sklearn_contract(estimator, check):
    check(estimator)


def test_draws_are_independent_and_so_repeat_no_row():
    X = np.random.default_rng(0).choice([-1, 1], (100, 64))
    drawn = IndependentSites().fit(X).sample(n_samples=1000, random_state=0)
    assert len(np.unique(drawn, axis=0)) == 1000


@pytest.mark.parametrize("count", [1e30, 2**53 + 2, np.uint64(2**64 - 1)])
def test_counts_beyond_all_rows_are_refused(count):
    with pytest.raises(ValueError, match=r"sample_weight must hold counts of rows, at most 2\^53 in all"):
        IndependentSites().fit([[0, 1], [1, 0]], sample_weight=np.full(2, count))


@pytest.mark.parametrize(
    ("dtype", "error", "message"),
    [
        (object, ValueError, "sample_weight must hold counts of rows, integers >= 0, got object"),
        ("U1", TypeError, "sample_weight must hold numbers, got an array of dtype <U1"),
    ],
)
def test_counts_that_are_no_numbers_are_refused_by_their_type(dtype, error, message):
    with pytest.raises(error, match=message):
        IndependentSites().fit([[0, 1], [1, 0]], sample_weight=np.array([1, 2]).astype(dtype))


def test_counts_of_rows_are_rows():
    rng = np.random.default_rng(0)
    X, counts = rng.choice([0, 1, 3], (6000, 4)), rng.integers(4, size=6000)
    weighted = IndependentSites().fit(X, sample_weight=counts)
    repeated = clone(weighted).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_array_equal(weighted.log_prob_, repeated.log_prob_)
    assert not np.array_equal(weighted.log_prob_, clone(weighted).fit(X).log_prob_)


def test_a_state_is_unseen_by_the_counts_of_rows():
    """A state of 4 in 40 rows, which site 0 never has; each row counts 1, 5 or 10 times: 4, 20 or 40 are predicted."""
    X = np.random.default_rng(0).choice([0, 1], (40, 6))
    X[:, 1:][np.arange(40) % 10 == 0] = 2
    X[:, 0] = np.arange(40) % 2
    for count, unseen in ((1, False), (5, False), (10, True)):
        model = IndependentSites().fit(X, sample_weight=np.full(40, count))
        assert model.unseen_states_[0, 2] == unseen
        assert not model.unseen_states_[1:].any()
