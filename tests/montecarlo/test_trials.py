"""What a trial run records, and the sweeps that follow from it, against their formulas."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import lfilter
from sklearn.exceptions import ConvergenceWarning

from skhamiltonian import IsingSampler, LocalHamiltonian, XYSampler
from skhamiltonian._montecarlo.planning import Plan
from skhamiltonian._montecarlo.trials import Records, Trial, record


def test_a_schedule_has_eight_times_to_forget_and_two_autocorrelation_times():
    assert Trial(tau=3.2, n_forget=7.1, n_run=100, converged=True).schedule(5) == (57, 7)
    assert Trial(tau=3.2, n_forget=3.2, n_run=100, converged=True).schedule(5) == (26, 7)
    assert Trial(tau=3.2, n_forget=7.1, n_run=100, converged=False).schedule(8) == (100, 12)
    assert Trial(tau=3.2, n_forget=7.1, n_run=100, converged=False).schedule(1000) == (100, 1)


class Replayed:
    """Chains whose states are given, (n_sweeps + 1, n_chains, n_sites)."""

    def __init__(self, states, is_even):
        self.all, self.now, self.system = states, 0, SimpleNamespace(is_even=is_even)
        self.n_chains = states.shape[1]

    def advance(self, n_sweeps, temperature):
        self.now += n_sweeps

    def states(self):
        return self.all[self.now]

    def values(self, states):
        return np.exp(1j * states) if states.dtype == float else states

    def energies(self, states):
        return states.sum(axis=1) ** 2.0


@pytest.mark.parametrize("is_even", [False, True])
@pytest.mark.parametrize("angles", [False, True])
def test_records_are_energy_mean_and_overlaps(angles, is_even):
    """Overlaps are with a given state, and with the chain before; values are numbers or unit vectors."""
    rng = np.random.default_rng(0)
    states = rng.uniform(0, 6, (7, 3, 5)) if angles else rng.choice(np.array([-1, 1], np.int8), (7, 3, 5))
    low = np.exp(1j * rng.uniform(0, 6, 5)) if angles else rng.choice([-1.0, 1.0], 5)
    seen = record(Replayed(states, is_even), 6, 1.0, low)
    s = np.exp(1j * states[1:]) if angles else states[1:].astype(float)
    part = np.abs if is_even else np.real
    assert seen.stride == 1
    np.testing.assert_allclose(seen.energy, (states[1:].sum(axis=2) ** 2.0).T)
    for chain in range(3):
        np.testing.assert_allclose(seen.mean[chain], part(s[:, chain].mean(axis=1)))
        np.testing.assert_allclose(
            seen.overlap[chain], part(np.array([np.vdot(low, each) for each in s[:, chain]]) / 5)
        )
        before = [np.vdot(one[chain - 1], one[chain]) for one in s]
        np.testing.assert_allclose(seen.overlap_of_two[chain], part(np.array(before) / 5))
    assert seen.change_rate == pytest.approx(np.mean(states[1:] != states[:-1]))


@pytest.mark.parametrize("which", range(4))
def test_chains_that_move_on_together_drift(which):
    """A rise by a third of the noise in the whole run, of one observable of 64 chains; noise alone is no drift."""
    series = np.random.default_rng(0).normal(size=(4, 64, 100))
    assert not Records(*series, 1, 1.0).drift()
    series[which] += np.linspace(0, 0.3, 100)
    assert Records(*series, 1, 1.0).drift()


def test_chains_that_stand_still_do_not_drift():
    still = np.ones((4, 16, 32)) * [[[1.0]], [[0.3]], [[-1e5]], [[0.0]]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not Records(*still, 1, 0.0).drift()
        assert not Records(*still[:, :1], 1, 0.0).drift()


def test_hardly_a_run_in_equilibrium_drifts():
    """Chains of AR(1) with the autocorrelation time 3, in runs of 32 to 320 sweeps."""
    rng = np.random.default_rng(0)
    drifts = 0
    for n in np.tile([32, 100, 320], 100):
        noise = rng.normal(size=(4, 16, n + 50))
        drifts += Records(*lfilter([1], [1, -0.5], noise)[..., 50:], 1, 1.0).drift()
    assert drifts <= 2


@pytest.mark.parametrize("kind", ["ising", "local", "xy"])
def test_a_trial_that_drifts_is_none(monkeypatch, kind):
    monkeypatch.setattr(Records, "drift", lambda self: True)
    monkeypatch.setattr(f"skhamiltonian._{kind}.planning.NANOSECONDS_PER_TRIAL", 1e7)
    X = IsingSampler((4, 4), 4.0, burn_in=9, n_sweeps=9, random_state=0).sample(n_samples=2000)
    local = LocalHamiltonian(4.0, lattice_shape=(4, 4), boundary="periodic", window_shape=2).fit(X)
    samplers = {"ising": IsingSampler((4, 4), 4.0), "local": local.to_sampler(), "xy": XYSampler((4, 4), 4.0)}
    with pytest.warns(ConvergenceWarning, match="chains have not converged"):
        samplers[kind].sample(n_samples=100)


@pytest.mark.parametrize("sampler", [IsingSampler, XYSampler])
def test_a_transform_by_a_measured_plan_takes_its_burn_in(sampler):
    """A row is forgotten after the burn-in, not after the sweeps between two draws."""

    class Planned(sampler):
        def _new_plan(self, method, request, seed):
            made = super()._new_plan(method, request, seed)
            return Plan(made.engine, burn_in=30, n_sweeps=2, tau=1.0, converged=True)

    Planned.__name__ = sampler.__name__  # a part of the seed
    X = np.ones((10, 9), dtype=np.int8)
    given = {"lattice_shape": (3, 3), "temperature": 2.0, "method": "heat-bath", "random_state": 0}
    wanted = sampler(n_sweeps=30, **given).fit_transform(X)
    np.testing.assert_array_equal(Planned(**given).fit_transform(X), wanted)


def test_the_autocorrelation_time_of_draws_is_in_sweeps():
    """Draws four sweeps apart have a quarter of the time in draws, and the same time in sweeps."""
    given = {"lattice_shape": (6, 6), "temperature": 2.4, "method": "heat-bath", "burn_in": 50, "n_chains": 8}
    one, four = (
        IsingSampler(n_sweeps=n, random_state=0, **given).draws(n_samples=64_000 // n).autocorrelation_time
        for n in (1, 4)
    )
    assert four == pytest.approx(one, rel=0.2)
    assert one > 6  # so that a factor of four shows
