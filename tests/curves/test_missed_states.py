"""Draws that miss states of low energy: their law is known, and <H> - T S of the true law is the least of all laws."""

import re
import warnings

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn.exceptions import ConvergenceWarning

from skhamiltonian import Draws, IsingSampler, ThermalSampler, phase_curve
from skhamiltonian._utils.alphabet import enumerate_states

TEMPERATURES = [np.inf, 1e6, 100.0, 4.0, 2.0001, 2.0, 1.0, 0.5, 0.5, 0.1, 1e-3]


class Levels(ThermalSampler):
    """Two spins with the given energies, drawn exactly; below T = 0.2 the states of `missed` are never drawn."""

    states_ = np.array([-1, 1])

    def __init__(self, energies, missed=(), knows_log_z=True):
        self.energies, self.missed, self.knows_log_z = np.asarray(energies, float), list(missed), knows_log_z

    def _draw(self, temperature, n_samples, field, method, seed):
        log_weight = -self.energies / temperature
        if temperature < 0.2:
            log_weight[self.missed] = -np.inf
        log_z = logsumexp(log_weight)
        shape = 16, -(-n_samples // 16)
        state = np.random.default_rng(seed).choice(4, shape, p=softmax(log_weight))
        X = enumerate_states(self.states_, 2)[state]
        return Draws(X, self.energies[state], log_partition=np.full(16, log_z) if self.knows_log_z else None)


@pytest.mark.parametrize("knows_log_z", [True, False])
def test_draws_that_miss_the_ground_state_are_said(knows_log_z):
    sampler = Levels([0, 1, 1, 2], missed=[0], knows_log_z=knows_log_z)
    what = "<H> - T S is" if knows_log_z else "the energy is"
    message = rf"at 1 of 3 temperatures \(T = 0.1\) miss states .*: {re.escape(what)} smaller in the draws at T = 0.3\."
    with pytest.warns(ConvergenceWarning, match=message) as record:
        phase_curve(sampler, [1.0, 0.1, 0.3], n_samples=800, entropy=False, random_state=0)
    assert len(record) == 1
    assert record[0].filename == __file__


def test_entropies_show_that_one_of_four_ground_states_is_drawn():
    with pytest.warns(ConvergenceWarning, match=r"\(T = 0.1\) miss states"):
        phase_curve(Levels(np.zeros(4), missed=[1, 2, 3]), [0.1, 1.0], n_samples=800, random_state=0)


@pytest.mark.parametrize(
    "sampler",
    [
        Levels([0, 1, 1, 2]),
        Levels([-5e6, 3, -5e6, 0]),
        Levels([0, 1, 1, 2], knows_log_z=False),
        IsingSampler((2, 3), 1.0, coupling=(1.0, -1.0), field=-0.3),
    ],
    ids=["levels", "large-energies", "without-entropy", "ising"],
)
def test_draws_of_the_law_miss_nothing(sampler):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("error", message=".*miss states")
        for seed in range(3):
            phase_curve(sampler, TEMPERATURES, n_samples=200, random_state=seed)


def test_points_that_are_doubtful_anyway_accuse_nobody_and_are_not_accused_twice():
    sampler = Levels([0, 1, 1, 2], missed=[0])
    with pytest.warns(ConvergenceWarning) as record:
        phase_curve(sampler, [0.1, 0.3], n_samples=30, random_state=0)
    assert len(record) == 1
    assert "not reliable" in str(record[0].message)


class Drifting(ThermalSampler):
    """Sixteen chains of spins up, half of them with another energy."""

    states_ = np.array([-1, 1])

    def __init__(self, difference):
        self.difference = difference

    def _draw(self, temperature, n_samples, field, method, seed):
        noise = np.random.default_rng(seed).normal(size=(16, n_samples // 16))
        energy = noise + self.difference * (np.arange(16) >= 8)[:, None]
        return Draws(np.ones((*noise.shape, 2), np.int8), energy)


@pytest.mark.parametrize(
    ("n_samples", "difference", "named"),
    [(16, 0.0, ["effective"]), (4096, 0.75, ["r_hat"]), (16, 9.0, ["effective", "r_hat"])],
)
def test_a_warning_names_only_what_is_beyond_its_limit(n_samples, difference, named):
    with pytest.warns(ConvergenceWarning, match="not reliable") as record:
        phase_curve(Drifting(difference), [1.0], n_samples=n_samples, random_state=0)
    assert [word for word in ("effective", "r_hat") if word in str(record[0].message)] == named


def test_a_noisy_energy_is_not_larger_than_an_exact_one():
    """Energies of 50 at T = 1 and 49 at T = 2, one of them with an error of 1.8, or none."""

    class Noisy(ThermalSampler):
        def __init__(self, noisy_at):
            self.noisy_at = noisy_at

        def _draw(self, temperature, n_samples, field, method, seed):
            up = np.arange(n_samples).reshape(16, -1) % 2
            mean = 50.0 if temperature == 1.0 else 49.0
            noise = 50.0 * np.random.default_rng(seed).permuted(2 * up - 1) if temperature == self.noisy_at else 0.0
            return Draws(np.ones((*up.shape, 2), np.int8), mean + noise + np.zeros(up.shape))

    for noisy_at in (1.0, 2.0):
        phase_curve(Noisy(noisy_at), [1.0, 2.0], n_samples=800, random_state=0)
    with pytest.warns(ConvergenceWarning, match="the energy is smaller in the draws at T = 2"):
        phase_curve(Noisy(None), [1.0, 2.0], n_samples=800, random_state=0)
