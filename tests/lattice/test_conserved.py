"""Sums that every row shares are found, and said to leak."""

import numba
import numpy as np
import pytest

from skhamiltonian import IsingSampler, LocalHamiltonian, MADEHamiltonian, PseudolikelihoodIsing
from skhamiltonian._lattice.conserved import conserved

if numba.config.DISABLE_JIT:
    pytest.skip("draws rows by compiled kernels as it is imported", allow_module_level=True)

ISING = np.array([-1, 1], np.int8)
ROW = np.repeat(ISING, 8)


def shuffled(row, n_samples=500, seed=0):
    return np.random.default_rng(seed).permuted(np.tile(row, (n_samples, 1)), axis=1)


def found(X, states, shape):
    return [(law.what, law.value) for law in conserved(X, np.asarray(states), shape)]


def test_a_conserved_magnetization_is_found():
    assert found(shuffled(ROW), ISING, (4, 4)) == [("the sum of all sites", 0.0)]
    assert found(shuffled(np.repeat(ISING, [3, 13])), ISING, (16,)) == [("the sum of all sites", 10.0)]


def test_numbers_of_each_state_are_found():
    laws = found(shuffled(np.repeat([0, 1, 2], [4, 5, 7])), [0, 1, 2], (16,))
    assert laws == [(f"the number of sites with {a}", n) for a, n in ((0, 4.0), (1, 5.0), (2, 7.0))]


def test_sums_of_sublattices_are_found():
    half = shuffled(np.repeat(ISING, [3, 5]), 100), shuffled(np.repeat(ISING, [6, 2]), 100, 1)
    X = np.stack(half, axis=2).reshape(100, 16)
    assert found(X, ISING, (16,)) == [("the sum of the even sites", 2.0), ("the sum of the odd sites", -4.0)]


@pytest.mark.parametrize("states", [(-0.5, 0.5), (-0.1, 0.3)])
def test_a_sum_of_states_that_are_no_integers_is_found(states):
    X = np.where(shuffled(ROW) > 0, *states[::-1])
    assert found(X, states, (4, 4)) == [("the sum of all sites", pytest.approx(8 * sum(states)))]


@pytest.mark.filterwarnings("ignore:sites .* have a coupling")  # a consequence
@pytest.mark.parametrize("model", [PseudolikelihoodIsing(), LocalHamiltonian(window_shape=2, boundary="periodic")])
def test_models_of_couplings_say_what_their_draws_do_not_conserve(model):
    with pytest.warns(UserWarning, match=r"all rows of X have the same value of the sum of all sites \(0\)"):
        model.fit(shuffled(ROW))


@pytest.mark.parametrize(
    "X",
    [
        np.tile(ROW, (100, 1)),
        IsingSampler((4, 4), 2.5, random_state=0).sample(n_samples=500),
        shuffled(ROW, 9),
        np.tile([ROW, -ROW], (100, 1)),
    ],
)
def test_constant_rows_free_rows_and_few_rows_conserve_nothing(X):
    assert found(X, ISING, (4, 4)) == []


def test_a_break_in_the_last_row_is_seen():
    X = shuffled(ROW, 9000)
    X[-1] = 1
    assert found(X, ISING, (16,)) == []


def test_the_share_that_leaks_is_said_at_fit():
    model = MADEHamiltonian(1.0, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    with pytest.warns(
        UserWarning, match=r"same value of the sum of all sites \(0\), which .*: \d+ % of its draws"
    ) as seen:
        model.fit(shuffled(ROW))
    assert [one.filename for one in seen if one.category is UserWarning] == [__file__]
