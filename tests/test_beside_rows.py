"""Numbers beside the rows: counts, temperatures, energies and weights of every type."""

import numpy as np
import pytest
from sklearn.base import clone

from skhamiltonian import DomainBinarizer, IsingSampler, LocalHamiltonian, MADEHamiltonian, XYSampler

SHAPE = (2, 3)
X = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (60, 6))
ISING = IsingSampler(SHAPE, 2.0, random_state=0)
LOCAL = LocalHamiltonian(2.0, lattice_shape=SHAPE, boundary="periodic", window_shape=2, random_state=0)
MADE = MADEHamiltonian(2.0, hidden_layer_sizes=(4,), max_iter=1, calibrate=False, random_state=0)
IMAGES = np.random.default_rng(1).normal(np.kron(np.resize(X[0], (1, 70, 70)), np.ones((2, 2))), 0.1)

SWEEPS = {"n_sweeps": 100, "burn_in": 120, "n_chains": 100}
COUNTED = {
    "IsingSampler.sample": lambda n: clone(ISING).set_params(**n(SWEEPS)).sample(n_samples=100),
    "IsingSampler.transform": lambda n: clone(ISING).set_params(**n({"n_sweeps": 100})).fit_transform(X),
    "XYSampler.sample": lambda n: XYSampler(SHAPE, 2.0, random_state=0, **n(SWEEPS)).sample(n_samples=100),
    "LocalSampler.sample": lambda n: (
        clone(LOCAL).fit(X).to_sampler().set_params(random_state=0, **n(SWEEPS)).sample(n_samples=100)
    ),
    "LocalHamiltonian.fit": lambda n: (
        clone(LOCAL).set_params(hidden_layer_sizes=(2,), **n({"batch_size": 100, "max_iter": 2})).fit(X).energy(X)
    ),
    "MADEHamiltonian.sample": lambda n: (
        clone(MADE).fit(X).sample(1.5, n_samples=200, **n({"n_chains": 100, "n_sweeps": 3, "burn_in": 2}))
    ),
    "DomainBinarizer": lambda n: DomainBinarizer(**n({"pixels_per_site": 2})).fit_transform(IMAGES),
    "DomainBinarizer, local": lambda n: (
        DomainBinarizer("local", **n({"pixels_per_site": 2, "block_size": 35})).fit_transform(IMAGES)
    ),
}


@pytest.mark.filterwarnings("ignore:Draws at the temperature of X", "ignore:up and down are not well separated")
@pytest.mark.parametrize("narrow", [np.int8, np.uint8])
@pytest.mark.parametrize("entry", COUNTED)
def test_counts_in_narrow_integers_do_not_overflow(entry, narrow):
    def as_narrow(counts):
        return {name: narrow(count) for name, count in counts.items()}

    np.testing.assert_array_equal(COUNTED[entry](as_narrow), COUNTED[entry](dict))
