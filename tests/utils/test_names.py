"""Names of the sites reach every model inside, so that no step warns of names that the user gave."""

import numba
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import validate_data

from skhamiltonian import (
    BlockSpinTransformer,
    EnergyDisplay,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    MADEHamiltonian,
    PhaseCurve,
    PseudolikelihoodIsing,
    phase_curve,
    pseudo_log_likelihood,
)

if numba.config.DISABLE_JIT:
    pytest.skip("draws rows by compiled kernels as it is imported", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("error", "ignore:Draws at the temperature of X")
NAMES = [f"s{i}" for i in range(16)]
ISING = IsingSampler((4, 4), 2.5, random_state=0)
X = pd.DataFrame(ISING.sample(n_samples=300), columns=NAMES)
SMALL = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
MADE = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X)
FREE = IndependentSites(2.5).fit(X)
PAIRS = PseudolikelihoodIsing(2.5).fit(X)
EXPANSION = InteractionExpansion(lattice_shape=(4, 4))
PIPELINE = make_pipeline(BlockSpinTransformer(block_size=2, lattice_shape=(4, 4)), SMALL)
USES = {
    "expansion of a model": lambda: EXPANSION.fit(X, MADE).score(X, MADE),
    "expansion of a method": lambda: EXPANSION.fit(X, MADE.energy).predict(X),
    "expansion of several models": lambda: EXPANSION.fit(X, [MADE, MADE]),
    "expansion of a sampler": lambda: EXPANSION.fit(X, ISING).score(X, ISING.energy),
    "expansion of a function": lambda: EXPANSION.fit(X, lambda s: ISING.energy(s[:, :])).score(X, ISING),
    "contrastive": lambda: InteractionExpansion(lattice_shape=(4, 4), method="contrastive").fit(X, MADE),
    "energy of an unfitted sampler": lambda: ISING.energy(X),
    "display": lambda: EnergyDisplay.from_estimator(MADE, X, ISING.energy),
    "display of a pipeline": lambda: EnergyDisplay.from_estimator(PIPELINE.fit(X), X, lambda s: 1.0 * s[:, 0]),
    "pseudo-likelihood": lambda: [pseudo_log_likelihood(m, X[:9]) for m in (MADE, FREE, PAIRS, ISING, PIPELINE.fit(X))],
    "scores": lambda: [m.fit(X).score(X) for m in (SMALL, FREE, PAIRS)],
    "cross-validation": lambda: cross_val_score(PIPELINE, X, cv=2),
    "cross-validated pseudo-likelihood": lambda: cross_val_score(FREE, X, cv=2, scoring=pseudo_log_likelihood),
    "measured rows": lambda: PhaseCurve.from_samples({2.5: X}, energy=MADE.energy, observables={"E": PAIRS.energy}),
    "observable of a curve": lambda: phase_curve(FREE, [2.5], observables={"E": MADE.energy}, random_state=0),
    "curve": lambda: phase_curve(MADE, [2.5], n_samples=2000, method="metropolis", random_state=0),
}


@pytest.mark.parametrize("use", USES)
def test_names_raise_no_warning(use):
    USES[use]()


class Stored(BaseEstimator):
    """A foreign model with names: it draws the rows that it was fitted to."""

    def fit(self, X):
        self.rows_ = validate_data(self, X)
        return self

    def sample(self, temperature, n_samples):
        return self.rows_[:n_samples]

    def energy(self, X):
        return ISING.energy(validate_data(self, X, reset=False))


def test_the_energy_of_a_foreign_model_with_names_warns_of_none():
    curve = phase_curve(Stored().fit(X), [2.5], n_samples=300)
    np.testing.assert_allclose(curve["energy"].value, ISING.energy(X).mean() / 16)


def test_a_frame_in_another_order_is_noticed_by_the_model_inside():
    with pytest.raises(ValueError, match="feature names should match"):
        EXPANSION.fit(X[NAMES[::-1]], MADE)


def test_measured_rows_in_another_order_are_noticed():
    with pytest.raises(ValueError, match="feature names should match"):
        PhaseCurve.from_samples({2.5: X[NAMES[::-1]]}, energy=MADE.energy)


def test_names_change_no_number():
    plain = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X.to_numpy())
    expected = InteractionExpansion(lattice_shape=(4, 4)).fit(X.to_numpy(), plain).coef_
    np.testing.assert_array_equal(EXPANSION.fit(X, MADE).coef_, expected)


class Doubled(IndependentSites):
    doubled = lambda self, X: 2 * self.energy(X)  # noqa: E731 - whose __name__ is not its name


def test_a_method_is_called_whatever_its_name():
    free = Doubled(2.5).fit(X)
    curve = phase_curve(free, [2.5], observables={"E": free.doubled}, n_samples=200, random_state=0)
    assert curve["E"].value[0] == pytest.approx(2 * 16 * curve["energy"].value[0])
