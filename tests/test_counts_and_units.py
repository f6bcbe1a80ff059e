"""What estimators have in common: temperature is a unit of energy, and a row that counts twice is two rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score

from skhamiltonian import (
    IndependentSites,
    InteractionExpansion,
    LocalHamiltonian,
    MADEHamiltonian,
    PseudolikelihoodIsing,
)

SHAPE = (2, 3)
X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (60, 6))
LOCAL = LocalHamiltonian(2.0, lattice_shape=SHAPE, boundary="periodic", window_shape=2, random_state=0)
MADE = MADEHamiltonian(2.0, hidden_layer_sizes=(4,), max_iter=1, calibrate=False, random_state=0)

ALIGNED = X[:, :1] * np.where(np.random.default_rng(2).random(X.shape) < 0.2, -1, 1)


def with_energy(T, is_given):
    """A network that proposes for a local energy, which it learns itself or which is given."""
    symmetric = clone(MADE).set_params(temperature=T, lattice_shape=(6,), symmetries="translation")
    given = FrozenEstimator(clone(LOCAL).set_params(temperature=T, lattice_shape=(6,)).fit(ALIGNED))
    return symmetric.set_params(calibrate=given if is_given else "local").fit(ALIGNED)


UNITS = {
    "LocalHamiltonian": lambda T: clone(LOCAL).set_params(temperature=T).fit(ALIGNED).to_sampler(),
    "MADEHamiltonian, local": lambda T: with_energy(T, False),
    "MADEHamiltonian, given": lambda T: with_energy(T, True),
}


@pytest.mark.parametrize("entry", UNITS)
def test_temperature_is_a_unit_of_energy(entry):
    """Rows at four times the temperature: the same draws, and energies with errors that are four times as large."""
    one, four = (UNITS[entry](T).draws(2 * T, n_samples=100, random_state=0) for T in (2.0, 8.0))
    np.testing.assert_array_equal(one.configurations, four.configurations)
    np.testing.assert_allclose(four.energy, 4 * one.energy, rtol=1e-9, atol=1e-12)
    assert np.any(one.energy_errors)
    np.testing.assert_allclose(four.energy_errors, 4 * one.energy_errors, rtol=1e-9, atol=1e-12)


JUDGES = {
    "LocalHamiltonian": LOCAL,
    "MADEHamiltonian": MADE,
    "PseudolikelihoodIsing": PseudolikelihoodIsing(lattice_shape=SHAPE, max_distance=1),
}


@pytest.mark.parametrize("entry", JUDGES)
def test_rows_refute_a_symmetry_by_their_weights(entry):
    """300 rows up, each counted once, and 100 rows down, each three times or, without weights, once."""
    rng = np.random.default_rng(3)
    counts = rng.permutation(np.repeat([1, 3], [300, 100]))
    both = np.where((rng.random((400, 6)) < 0.75) == (counts == 1)[:, None], 1, -1)
    judge = clone(JUDGES[entry]).set_params(symmetries=("translation", "spin-flip"), lattice_shape=SHAPE)
    judge.fit(both, sample_weight=counts)
    with pytest.warns(UserWarning, match="refute.*spin-flip"):
        judge.fit(both)


GROUPED = {
    "LocalHamiltonian": (clone(LOCAL).set_params(sparsity=0.0), ("couplings_", "covariance_")),
    "InteractionExpansion": (
        InteractionExpansion(["pairs"], lattice_shape=SHAPE, method="pseudolikelihood", temperature=2.0, sparse=False),
        ("coef_", "coef_std_"),
    ),
    "PseudolikelihoodIsing": (PseudolikelihoodIsing(2.0), ("coupling_", "coupling_std_", "field_", "field_std_")),
    "PseudolikelihoodIsing, shared": (
        PseudolikelihoodIsing(2.0, lattice_shape=SHAPE, symmetries="translation"),
        ("coupling_", "coupling_std_", "field_", "field_std_"),
    ),
}


@pytest.mark.parametrize("entry", GROUPED)
def test_counted_rows_of_a_group_are_repeated_rows(entry):
    """400 rows in 20 groups; counts differ inside of groups and between them."""
    rng = np.random.default_rng(4)
    rows, groups = rng.choice([-1, 1], (400, 6)), np.arange(400) % 20
    counts = rng.integers(0, 4, 400) + (groups < 5)
    model, names = GROUPED[entry]
    counted = clone(model).fit(rows, sample_weight=counts, groups=groups)
    repeated = clone(model).fit(np.repeat(rows, counts, axis=0), groups=np.repeat(groups, counts))
    for name in names:
        np.testing.assert_allclose(getattr(counted, name), getattr(repeated, name), rtol=1e-3, atol=1e-5, err_msg=name)


SCORED = {
    "IndependentSites": IndependentSites(2.0),
    "PseudolikelihoodIsing": PseudolikelihoodIsing(2.0),
    "MADEHamiltonian": MADE,
    "LocalHamiltonian": LOCAL,
    "LocalHamiltonian, network": clone(LOCAL).set_params(hidden_layer_sizes=(2,), max_iter=1),
}


@pytest.mark.filterwarnings("ignore:Draws at the temperature of X")
@pytest.mark.parametrize("entry", SCORED)
def test_the_score_of_counted_rows_is_that_of_repeated_rows(entry):
    """A row that counts zero times may hold a state that the model does not know."""
    counts = np.random.default_rng(5).integers(0, 4, 60)
    rows = np.where(counts[:, None] == 0, 5, X)
    model = clone(SCORED[entry]).fit(X)
    score = model.score(rows, sample_weight=counts)
    assert score == pytest.approx(model.score(np.repeat(rows, counts, axis=0)), rel=1e-12)
    assert model.score(X, sample_weight=np.full(60, 3)) == pytest.approx(model.score(X), rel=1e-12)
    assert abs(score - model.score(X)) > 1e-6


@pytest.mark.parametrize("rows", [X.tolist(), pd.DataFrame(X, columns=list("abcdef"))], ids=["lists", "frame"])
@pytest.mark.parametrize("entry", SCORED)
def test_counts_weigh_the_score_of_any_table(entry, rows):
    model, counts = clone(SCORED[entry]).fit(rows), np.arange(60)
    wanted = clone(SCORED[entry]).fit(X).score(X, sample_weight=counts)
    assert model.score(rows, sample_weight=counts.tolist()) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.filterwarnings("ignore:Draws at the temperature of X")
@pytest.mark.parametrize("entry", [entry for entry in SCORED if "network" not in entry])  # other minibatches
def test_routed_counts_weigh_fits_and_scores_of_all_folds(entry):
    """Three folds of counted rows, and the same folds of repeated rows."""
    counts, fold = np.random.default_rng(6).integers(1, 4, 60), np.arange(60) % 3

    def folds(fold):
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]

    repeated = cross_val_score(SCORED[entry], np.repeat(X, counts, axis=0), cv=folds(np.repeat(fold, counts)))
    with config_context(enable_metadata_routing=True):
        model = clone(SCORED[entry]).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        counted = cross_val_score(model, X, params={"sample_weight": counts}, cv=folds(fold))
    np.testing.assert_allclose(counted, repeated, rtol=1e-6)


@pytest.mark.parametrize("entry", SCORED)
def test_weights_of_a_score_must_match_the_rows(entry):
    with pytest.raises(ValueError, match="sample_weight"):
        clone(SCORED[entry]).fit(X).score(X, sample_weight=[1, 2])
