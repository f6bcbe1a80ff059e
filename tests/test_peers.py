"""Our averages and diagnostics by the routes of other packages: MBAR of pymbar, ESS and R-hat of arviz-stats."""

import numpy as np
import pytest

from skhamiltonian import IsingSampler, MADEHamiltonian, phase_curve
from skhamiltonian._montecarlo.statistics import effective_sample_size, r_hat

T = np.array([2.2, 2.7, 3.3])
N_DRAWS = 3000


@pytest.fixture(scope="module")
def made():
    X = IsingSampler((4, 4), 2.5, random_state=0).sample(n_samples=5000)
    return MADEHamiltonian(2.5, lattice_shape=(4, 4), hidden_layer_sizes=(32,), max_iter=20, random_state=0).fit(X)


@pytest.mark.filterwarnings("ignore:Unknown solver options", "ignore:divide by zero encountered in log")  # in pymbar
def test_mbar_finds_the_averages_of_the_phase_curve(made):
    """Every temperature's average from the draws at all three, reweighted with the learned energy."""
    pymbar = pytest.importorskip("pymbar", reason="pymbar is not installed")
    draws = [made.sample(t, n_samples=N_DRAWS, method="tempered", random_state=i) for i, t in enumerate(T)]
    X = np.concatenate(draws)
    E = made.energy(X)
    mbar = pymbar.MBAR(E / T[:, None], [N_DRAWS] * len(T))
    curve = phase_curve(made, T, n_samples=20_000, random_state=len(T))
    for name, A in {"energy": E / 16, "abs_magnetization": np.abs(X.mean(axis=1))}.items():
        theirs, (value, error) = mbar.compute_expectations(A), curve[name]
        assert (np.abs(theirs["mu"] - value) < 3.5 * np.hypot(theirs["sigma"], error)).all(), name
    free = mbar.compute_free_energy_differences()
    value, error = (16 * part / T for part in curve["free_energy"])
    difference = free["Delta_f"][0] - (value - value[0])
    assert (np.abs(difference[1:]) < 3.5 * np.hypot(free["dDelta_f"][0], np.hypot(error, error[0]))[1:]).all()


@pytest.mark.parametrize("shifted", [0, 0.5], ids=["chains that agree", "one chain elsewhere"])
def test_arviz_finds_the_same_r_hat_and_effective_sample_size(made, shifted):
    """Energies of eight Metropolis chains, near the critical temperature; one of them moved in the second case."""
    arviz_stats = pytest.importorskip("arviz_stats", reason="arviz-stats is not installed")
    X = made.sample(2.2, n_samples=8 * 1000, n_chains=8, n_sweeps=1, random_state=0)
    energy = made.energy(X).reshape(1000, 8).T  # consecutive rows are of different chains
    energy[0] += shifted * energy.std()
    weight = np.full(energy.shape, 1 / energy.size)
    assert r_hat(energy, weight) == pytest.approx(float(arviz_stats.rhat(energy, method="split")), rel=1e-9)
    if not shifted:
        blocks = np.arange(0, energy.size, 250)
        theirs = float(arviz_stats.ess(energy, method="mean"))
        assert effective_sample_size(energy, weight, blocks) == pytest.approx(theirs, rel=0.15)
        assert theirs < 0.7 * energy.size
