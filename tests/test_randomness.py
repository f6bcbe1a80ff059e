"""A shared generator advances: what is drawn from it twice differs, and integers give the same bits again."""

import numpy as np
import pytest

from skhamiltonian import IndependentSites, IsingSampler, MADEHamiltonian, PseudolikelihoodIsing, XYSampler, phase_curve
from skhamiltonian._utils.checks import seed_sequence

SPINS = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (60, 4))


def fitted_weights(state):
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(4,), max_iter=1, random_state=state)
    return np.concatenate([np.ravel(W) for W in made.fit(SPINS).coefs_])


def ising(state, **parameters):
    return IsingSampler((2, 2), 2.5, n_sweeps=2, burn_in=5, random_state=state, **parameters)


CALLS = {
    "a fit": fitted_weights,
    "draws": lambda state: ising(state).sample(n_samples=50),
    "draws with a seed of their own": lambda state: ising(0).sample(n_samples=50, random_state=state),
    "draws of angles": lambda state: XYSampler((2, 2), n_sweeps=2, burn_in=5, random_state=state).sample(n_samples=50),
    "rows that evolve": lambda state: ising(state).fit(SPINS).transform(SPINS),
    "draws of free sites": lambda state: IndependentSites(2.5, random_state=state).fit(SPINS).sample(n_samples=50),
    "draws of pairs": lambda state: PseudolikelihoodIsing(2.5, random_state=state).fit(SPINS).sample(n_samples=50),
    "a curve": lambda state: phase_curve(ising(0), [2.0], n_samples=999, random_state=state)["magnetization"].value,
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("generator", [np.random.default_rng, np.random.RandomState, lambda seed: seed])
def test_a_shared_generator_advances(call, generator):
    shared = generator(0)
    one, two, again = CALLS[call](shared), CALLS[call](shared), CALLS[call](generator(0))
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, two) == isinstance(shared, int)


@pytest.mark.parametrize("generator", [np.random.default_rng, np.random.RandomState, lambda seed: seed])
def test_every_purpose_has_its_own_stream(generator):
    """A fit and the draws of its model do not share random numbers although their seed is one integer."""
    fit, sample, again = (
        np.random.default_rng(seed_sequence(generator(0), purpose)).random(4) for purpose in ("fit", "sample", "fit")
    )
    np.testing.assert_array_equal(fit, again)
    assert not np.isin(sample, fit).any()
