"""Every error bar of a phase curve covers the enumerated truth in 68 % of 500 replicates."""

import numpy as np
import pytest

from skhamiltonian import IndependentSites, IsingSampler, MADEHamiltonian, PseudolikelihoodIsing, phase_curve
from skhamiltonian._exact import enumerate_states

N_REPLICATES, T0 = 500, 3.0
X = IsingSampler((3, 3), T0, random_state=0).sample(n_samples=2000)
STATES = enumerate_states((-1, 1), 9).astype(np.int8)
SAMPLERS = {
    "heat-bath": (lambda: IsingSampler((3, 3), T0, n_sweeps=2, burn_in=20), "heat-bath"),
    "swendsen-wang": (lambda: IsingSampler((3, 3), T0, n_sweeps=2, burn_in=20), "swendsen-wang"),
    "parallel-tempering": (lambda: IsingSampler((3, 3), T0, n_sweeps=2, burn_in=20), "parallel-tempering"),
    "pseudo-likelihood": (lambda: PseudolikelihoodIsing(T0).fit(X), "auto"),
    **{
        method: (lambda: MADEHamiltonian(T0, hidden_layer_sizes=(16,), max_iter=20, random_state=0).fit(X), method)
        for method in ("metropolis", "tempered", "independence")
    },
}


def exact(energy, T, field):
    """All observables by enumeration."""
    N, H, m = STATES.shape[1], energy - field * STATES.sum(axis=1), STATES.mean(axis=1)
    log_z = np.logaddexp.reduce(-H / T)
    p = np.exp(-H / T - log_z)
    U, m2 = p @ H, p @ m**2
    return {
        "magnetization": p @ m,
        "abs_magnetization": p @ np.abs(m),
        "energy": U / N,
        "susceptibility": N * (m2 - (p @ np.abs(m)) ** 2) / T,
        "heat_capacity": p @ (H - U) ** 2 / (N * T**2),
        "binder_cumulant": 1 - p @ m**4 / (3 * m2**2),
        "free_energy": -T * log_z / N,
        "entropy": (log_z + U / T) / N,
    }


@pytest.mark.slow
@pytest.mark.parametrize(("T", "field"), [(2.0, 0.1), (5.0, 0.0)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_intervals_of_every_observable_cover_the_truth(name, T, field):
    """Between 60 and 76 %: four standard deviations of 500 replicates."""
    make, method = SAMPLERS[name]
    sampler = make()
    n_samples = 8000 if method in ("tempered", "independence") else 4000
    curve = phase_curve(
        sampler, np.repeat(T, N_REPLICATES), field=field, method=method, n_samples=n_samples, random_state=1
    )
    truth = exact(np.asarray(sampler.energy(STATES)), T, field)
    covered = {key: np.mean(np.abs(value - truth[key]) < error) for key, (value, error) in curve.observables.items()}
    print(name, T, {key: round(float(part), 3) for key, part in covered.items()})
    assert ("entropy" in covered) == (method == "tempered")
    assert min(covered.values()) > 0.60, covered
    assert max(covered.values()) < 0.76, covered


@pytest.mark.slow
def test_intervals_of_a_foreign_chain_cover_the_truth():
    """Independent draws through `sample` alone: one chain, cut into blocks."""
    sampler = IndependentSites(T0).fit(X)
    curve = phase_curve(sampler, np.repeat(2.0, N_REPLICATES), field=0.1, n_samples=4000, random_state=0)
    truth = exact(sampler.energy(STATES), 2.0, 0.1)
    covered = {key: np.mean(np.abs(value - truth[key]) < error) for key, (value, error) in curve.observables.items()}
    assert min(covered.values()) > 0.60, covered
    assert max(covered.values()) < 0.76, covered
