"""Models in files: skops round trips, and damage that is found before a kernel reads it."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

import skhamiltonian
from skhamiltonian import (
    SKOPS_TRUSTED_TYPES,
    BlockSpinTransformer,
    DomainBinarizer,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    PseudolikelihoodIsing,
    XYSampler,
)

X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (500, 16))
LOCAL = {
    "method": "local",
    "sites": [np.zeros((16, 2), np.int32)],
    "table": np.zeros(4),
    "errors": np.zeros((1, 4)),
    "mean_errors": np.zeros(1),
    "log_normalizer": 11.0,
}


@pytest.fixture(scope="module")
def made():
    return MADEHamiltonian(2.5, hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(X)


def fitted(made):
    yield made, lambda model: model.energy(X)
    yield made, lambda model: model.sample(2.0, n_samples=9, random_state=0)
    calibrated = clone(made).set_params(lattice_shape=(4, 4), symmetries=("translation",), calibrate="local").fit(X)
    yield calibrated, lambda model: np.append(model.energy(X), model.sample(2.0, n_samples=9, random_state=0).ravel())
    yield IsingSampler((4, 4), 2.5, random_state=0).fit(X), lambda model: model.sample(n_samples=9)
    yield XYSampler((4, 4), 1.0, random_state=0).fit(X), lambda model: model.sample(n_samples=9)
    yield BlockSpinTransformer(lattice_shape=(4, 4)).fit(X), lambda model: model.transform(X)
    yield (
        InteractionExpansion(lattice_shape=(4, 4)).fit(X, IsingSampler((4, 4), 2.5).energy),
        lambda model: model.predict(X),
    )
    yield PseudolikelihoodIsing(2.5).fit(X), lambda model: model.energy(X)
    yield LocalHamiltonian(lattice_shape=(4, 4), boundary="periodic").fit(X), lambda model: model.energy(X)
    yield IndependentSites(2.5).fit(X), lambda model: model.energy(X)
    yield DomainBinarizer().fit(X.reshape(-1, 4, 4)), lambda model: model.transform(X.reshape(-1, 4, 4))


def test_skops_returns_every_estimator_and_needs_no_other_trust(made):
    sio = pytest.importorskip("skops.io")
    seen = set()
    for model, function in fitted(made):
        loaded = sio.loads(sio.dumps(model), trusted=list(SKOPS_TRUSTED_TYPES))
        np.testing.assert_array_equal(function(loaded), function(model))
        seen.add(type(model).__name__)
    public = {name for name in skhamiltonian.__all__ if hasattr(getattr(skhamiltonian, name), "get_params")}
    assert seen == public


@pytest.mark.parametrize(
    "damage",
    [
        {"ordering_": np.zeros(16, dtype=int)},
        {"ordering_": np.arange(16) + 2**40},
        {"coefs_": [np.zeros((16, 8))]},
        {"coefs_": [np.ones((16, 8)), np.ones((8, 16))]},
        {"coefs_": [np.full((16, 8), np.nan), np.zeros((8, 16))]},
        {"coefs_": ["a", "b"]},
        {"intercepts_": [np.zeros(8), np.zeros(15)]},
        {"skip_coef_": np.ones((16, 16))},
        {"skip_coef_": np.zeros((16, 15))},
        {"states_": np.array([1, -1])},
        {"states_": np.array([-1, 0, 1])},
        {"temperature_": -1.0},
        {"activation_": "exec"},
        {"calibration_": {"direction": np.zeros(3)}},
        {"calibration_": {"method": "smooth", "direction": np.zeros(3)}},
        {"calibration_": LOCAL | {"sites": [np.full((16, 2), 16)]}},
        {"calibration_": LOCAL | {"table": np.zeros(5)}},
        {"calibration_": LOCAL | {"table": np.full(4, np.nan)}},
        {"calibration_": LOCAL | {"errors": np.zeros((2, 4))}},
        {"calibration_": LOCAL | {"log_normalizer": np.nan}},
        {"n_features_in_": 17},
    ],
)
def test_contents_that_no_network_has_are_refused(made, damage):
    damaged = MADEHamiltonian()
    vars(damaged).update(vars(made), **damage)
    with pytest.raises(ValueError, match="the stored MADEHamiltonian is damaged"):
        pickle.loads(pickle.dumps(damaged))


def test_a_truncated_or_bit_flipped_file_never_predicts_something_else(made):
    sio = pytest.importorskip("skops.io")
    whole, rng = sio.dumps(made), np.random.default_rng(0)
    energy, refused = made.energy(X[:5]), 0
    for length in rng.integers(len(whole), size=20):
        with pytest.raises(Exception):  # noqa: B017, PT011 (zipfile's, skops' or ours; never a crash)
            sio.loads(whole[:length], trusted=list(SKOPS_TRUSTED_TYPES))
    for bit in rng.integers(8 * len(whole), size=100):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            model = sio.loads(bytes(flipped), trusted=list(SKOPS_TRUSTED_TYPES))
        except Exception:
            refused += 1
        else:
            np.testing.assert_array_equal(model.energy(X[:5]), energy)
    assert refused > 30
