"""The order parameter of Potts models against enumeration."""

import contextlib

import numpy as np
import pytest

from skhamiltonian import (
    IndependentSites,
    IsingSampler,
    MADEHamiltonian,
    PhaseCurve,
    phase_curve,
    potts_order_parameter,
)
from skhamiltonian._utils.alphabet import enumerate_states


@pytest.mark.parametrize("states", [(0, 1, 2), (-7, 0.5, 3, 4)])
def test_its_average_is_that_of_enumeration(states):
    rng = np.random.default_rng(0)
    model = IndependentSites(states=states).fit(rng.choice(states, (200, 4), p=rng.dirichlet(np.ones(len(states)))))
    X, K = enumerate_states(model.states_, 4), len(states)
    shares = np.array([[np.sum(row == state) / 4 for state in states] for row in X])
    m = (K * shares.max(axis=1) - 1) / (K - 1)
    exact = np.exp(model.score_samples(X)) @ m
    observables = {"potts": potts_order_parameter(model.states_)}
    value, error = phase_curve(model, [1.0], observables=observables, random_state=0)["potts"]
    assert abs(value[0] - exact) < 4 * error[0] < 0.05


def test_two_states_have_the_absolute_magnetization():
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=200)
    curve = PhaseCurve.from_samples({2.5: X}, observables={"potts": potts_order_parameter([-1, 1])})
    assert curve["potts"].value[0] == pytest.approx(curve["abs_magnetization"].value[0])


@pytest.mark.parametrize("states", [[1], range(65), ["a", "b"], [np.nan, 1], "auto"])
def test_what_is_no_alphabet_is_refused(states):
    with pytest.raises(ValueError, match="states"):
        potts_order_parameter(states)


@pytest.mark.parametrize("states", [(0, 1), (0, 1, 2), (-1, 1), (-1, 0, 1)])
def test_a_magnetization_of_labels_is_said(states):
    """Spins are silent, and labels with an observable of their own."""
    X = np.random.default_rng(0).choice(states, (250, 4))
    made = MADEHamiltonian(hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X)
    cure = "write them as -1 and 1" if len(states) == 2 else "add your own observable"
    is_label = pytest.warns(UserWarning, match=rf"mean of the states \[0, 1.*symmetric about zero: {cure}. For labels")
    with is_label if min(states) == 0 else contextlib.nullcontext():
        phase_curve(made, [1.0], n_samples=200)
    phase_curve(made, [1.0], n_samples=200, observables={"order": potts_order_parameter(made.states_)})


@pytest.mark.parametrize(
    ("states", "got"), [(3, "3"), ("auto", "'auto'"), ([7], r"\[7\]"), (np.eye(3), r"an array of")]
)
def test_what_holds_no_values_of_a_site_gets_the_way_to_them(states, got):
    """Rows of configurations come if the function itself is given as an observable."""
    message = rf"values that a site may take, .* got {got}.*: an observable is potts_order_parameter\(made.states_\)"
    with pytest.raises(ValueError, match=message):
        potts_order_parameter(states)


def test_a_value_that_is_no_state_is_refused():
    """Shares of the states that are named would not add up to 1, and m could be negative."""
    with pytest.raises(ValueError, match=r"X holds 0 \(row 0, column 1\), which is not one of the states \[1, 2, 3\]"):
        potts_order_parameter([1, 2, 3])(np.array([[1, 0, 0]]))
