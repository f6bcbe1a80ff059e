"""Laws of every sampler: streams of blocks are samples, and a field adds to the energy of draws."""

import numpy as np
import pytest

from skhamiltonian import IndependentSites, IsingSampler, MADEHamiltonian, PseudolikelihoodIsing, XYSampler
from skhamiltonian._local.energy import LocalEnergy
from skhamiltonian._local.sampler import LocalSampler
from skhamiltonian._utils.alphabet import enumerate_states

SWEEPS = {"burn_in": 5, "n_sweeps": 1, "method": "heat-bath"}
BOND = LocalEnergy(np.array([-1, 1], np.int8), (2,), np.array([-1.0, 1.0, 1.0, -1.0]))
UNEQUAL = np.random.default_rng(0).choice([0, 1, 5], (300, 3))
SAMPLERS = {
    "ising": lambda: IsingSampler((8,), 2.0, **SWEEPS),
    "xy": lambda: XYSampler((8,), 2.0, **SWEEPS),
    "local": lambda: LocalSampler(BOND, (8,), 2.0, **SWEEPS),
}
OTHERS = {
    "states 0, 1 and 5": lambda: LocalSampler(
        LocalEnergy(np.array([0, 1, 5]), (2,), np.linspace(-1, 1, 9)), (8,), 2.0, **SWEEPS
    ),
    "free sites": lambda: IndependentSites(2.0).fit(UNEQUAL),
    "network": lambda: MADEHamiltonian(2.0, **SMALL).fit(UNEQUAL),
    "network of angles": lambda: MADEHamiltonian(2.0, states="angle", **SMALL).fit(2 * np.pi / 7 * UNEQUAL),
    "pairs": lambda: PseudolikelihoodIsing(2.0).fit(np.sign(UNEQUAL - 0.5).astype(int)),
}
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 1, "calibrate": False, "random_state": 0}


@pytest.mark.parametrize("field", [0.0, 1.5])
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_first_block_of_a_stream_is_a_sample(name, field):
    """At the temperature and in the field that are asked for."""
    stream = SAMPLERS[name]().iter_sample(3.0, 200, block_size=200, field=field, random_state=0)
    sample = SAMPLERS[name]().sample(3.0, n_samples=200, field=field, random_state=0)
    np.testing.assert_array_equal(next(stream), sample)
    mean = np.cos(sample).mean() if name == "xy" else sample.mean()
    assert (mean > 0.2) == (field > 0)


@pytest.mark.parametrize("name", SAMPLERS | OTHERS)
def test_a_field_adds_to_the_energy_of_draws(name):
    """H - h sum_i s_i, with cos theta_i in the place of s_i for angles."""
    sampler = (SAMPLERS | OTHERS)[name]()
    draws = sampler.draws(3.0, n_samples=100, field=0.7, random_state=0)
    X = draws.configurations.reshape(-1, draws.configurations.shape[2])
    s = np.cos(X) if X.dtype.kind == "f" else X
    np.testing.assert_allclose(draws.energy.ravel(), sampler.energy(X) - 0.7 * s.sum(axis=1), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["free sites", "network"])
def test_states_at_unequal_distances_feel_the_field(name):
    model = OTHERS[name]()
    states = enumerate_states([0, 1, 5], 3)
    weight = np.exp(-(model.energy(states) - 0.7 * states.sum(axis=1)) / 3)
    exact = [np.average((states == k).mean(axis=1), weights=weight) for k in (0, 1, 5)]
    X = model.sample(3.0, n_samples=4000, field=0.7, random_state=0)
    np.testing.assert_allclose([(k == X).mean() for k in (0, 1, 5)], exact, atol=0.025)
