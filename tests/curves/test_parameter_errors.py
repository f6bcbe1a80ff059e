"""Errors of the parameters of an energy in the errors of a curve: by enumeration, and by independent fits."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from skhamiltonian import Draws, IsingSampler, LocalHamiltonian, MADEHamiltonian, ThermalSampler, phase_curve
from skhamiltonian._utils.alphabet import enumerate_states

# The weights of all states are far from equal, so that few of them count at low temperature.
pytestmark = pytest.mark.filterwarnings("ignore:The error bars:sklearn.exceptions.ConvergenceWarning")
STATES = enumerate_states((-1, 1), 9).astype(np.int8)
BONDS = -IsingSampler((3, 3)).energy(STATES)
THREES = (STATES * np.roll(STATES, 1, axis=1) * np.roll(STATES, 3, axis=1)).sum(axis=1, dtype=float)
SIGMA = np.array([1e-3, 2e-3])


class Enumerated(ThermalSampler):
    """All states with their weights, 16 times: draws without a statistical error."""

    states_ = np.array([-1, 1])

    def __init__(self, parameters=(1.0, 0.3)):
        self.parameters = parameters

    def _draw(self, temperature, n_samples, field, method, seed):
        E = -self.parameters[0] * BONDS - self.parameters[1] * THREES
        log_z = np.logaddexp.reduce(-E / temperature)
        phi = np.stack([-BONDS, -THREES], axis=1) * SIGMA
        return Draws(
            np.stack([STATES] * 16),
            np.stack([E] * 16),
            log_weight=np.stack([-E / temperature] * 16),
            log_partition=np.full(16, log_z),
            energy_errors=np.stack([phi] * 16),
        )


def averages(parameters, T):
    curve = phase_curve(
        Enumerated(parameters), [T], observables={"ends": lambda X: X[:, :2] * X[:, [1]]}, random_state=0
    )
    return {name: np.ravel(curve[name].value) for name in curve.observables}


@pytest.mark.parametrize("T", [2.0, 4.0])
def test_errors_are_finite_differences_of_enumerated_averages(T):
    """Two independent parameters; every built-in observable, and one of arrays."""
    observables = {"ends": lambda X: X[:, :2] * X[:, [1]]}
    curve = phase_curve(Enumerated(), [T], observables=observables, random_state=0)
    shifts = []
    for sigma in np.diag(SIGMA):
        up, down = (averages(np.array([1.0, 0.3]) + sign * sigma, T) for sign in (1, -1))
        shifts.append({name: (up[name] - down[name]) / 2 for name in up})
    for name in curve.observables:
        wanted = np.hypot(*(shift[name] for shift in shifts))
        np.testing.assert_allclose(np.ravel(curve[name].error), wanted, rtol=2e-3, atol=1e-9, err_msg=name)
        if name != "ends":  # an array
            each = np.ravel([shift[name] for shift in shifts])
            np.testing.assert_allclose(curve.parameter_shifts[name], [each], rtol=2e-3, atol=1e-9, err_msg=name)
    assert set(curve.parameter_shifts) == set(curve.observables) - {"ends"}


def test_an_exact_energy_adds_nothing():
    class Exact(Enumerated):
        def _draw(self, *arguments):
            draws = super()._draw(*arguments)
            return Draws(draws.configurations, draws.energy, draws.log_weight, draws.log_partition)

    curve = phase_curve(Exact(), [2.0], random_state=0)
    assert curve["abs_magnetization"].error[0] < 1e-12
    assert curve["free_energy"].error[0] < 1e-12


def test_an_integrated_entropy_has_the_errors_of_an_enumerated_one():
    """The couplings are wrong by the same at all temperatures, so their errors do not add up along the integral."""

    class Unnormalised(Enumerated):
        def _draw(self, *arguments):
            return replace(super()._draw(*arguments), log_partition=None)

    T = [2.0, 4.0]
    exact, integrated = (phase_curve(one(), T, entropy=True, random_state=0) for one in (Enumerated, Unnormalised))
    for name in ("entropy", "free_energy"):
        np.testing.assert_allclose(integrated[name].value, exact[name].value, atol=1e-3)
        np.testing.assert_allclose(integrated[name].error, exact[name].error, rtol=0.1)


def test_curves_of_one_energy_have_the_same_parameters_at_every_size():
    X = IsingSampler((8, 8), 2.5, random_state=0).sample(n_samples=300)
    model = LocalHamiltonian(2.5, lattice_shape=(8, 8), symmetries=("point-group", "spin-flip"))
    fits = [clone(model).fit(X[k:]) for k in (0, 1)]
    of_sizes = [
        phase_curve(local.to_sampler((L, L)), [2.5], n_samples=100, entropy=False, random_state=0)
        for local, L in ((fits[0], 4), (fits[0], 6), (fits[1], 6))
    ]
    names = [curve.parameters for curve in of_sizes]
    assert names[0] == names[1] != names[2]
    exact = IsingSampler((4, 4), 2.5, random_state=0)
    assert phase_curve(exact, [2.5], n_samples=100, random_state=0).parameters is None
    both = phase_curve([fits[0].to_sampler((6, 6))] * 2, [2.5], n_samples=100, entropy=False, random_state=0)
    assert both.parameters is both.parameter_shifts is None


@pytest.mark.slow
def test_integrated_entropies_carry_the_error_of_the_couplings():
    """Independent fits to 400 rows: free energies and magnetizations scatter as their errors say."""
    T, fits = [2.0], 24
    E = IsingSampler((3, 3)).energy(STATES)
    log_z = np.logaddexp.reduce(-E / T[0])
    p = np.exp(-E / T[0] - log_z)
    true = {"free_energy": -T[0] * log_z / 9, "abs_magnetization": p @ np.abs(STATES.mean(axis=1))}
    true["entropy"] = (log_z + p @ E / T[0]) / 9
    z = {name: [] for name in true}
    for seed in range(fits):
        X = IsingSampler((3, 3), 2.5, random_state=seed).sample(n_samples=400)
        local = LocalHamiltonian(
            2.5, lattice_shape=(3, 3), boundary="periodic", window_shape=2, symmetries=("point-group", "spin-flip")
        )
        curve = phase_curve(local.fit(X).to_sampler(), T, n_samples=4000, random_state=seed)
        for name, each in z.items():
            each.append((curve[name].value[0] - true[name]) / curve[name].error[0])
    for name, each in z.items():
        # chi-square of 24: within 0.35 ... 2.1 but once in 10^3
        assert 0.35 < np.mean(np.square(each)) < 2.1, name


def test_entropy_and_energy_at_t0_have_the_noise_of_the_rows():
    """By enumeration: at T0 that of n rows is sqrt(C / n) for the entropy, whatever the number of draws."""
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=1000)
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(16,), max_iter=20, random_state=0).fit(X)
    assert made.calibration_["method"] == "smooth"
    h = -made.score_samples(STATES)
    noise = np.sqrt(np.exp(-h) @ (h - np.exp(-h) @ h) ** 2 * (1 / 1000 + 1 / 20_000)) / 9
    curve = phase_curve(made, [2.5, 5.0], n_samples=10**6, random_state=0)
    assert curve["entropy"].error[0] == pytest.approx(noise, rel=0.05)
    assert curve["energy"].error[0] == pytest.approx(2.5 * noise, rel=0.05)
    assert curve["free_energy"].error[0] < 0.02 * noise  # energies count from F(T0)
    assert curve["free_energy"].error[1] > noise


def test_metropolis_and_tempered_draws_have_the_same_noise_of_the_rows():
    X = IsingSampler((3, 3), 2.5, random_state=0).sample(n_samples=400)
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(16,), max_iter=20, random_state=0).fit(X)
    one, other = (
        phase_curve(made, [1.8], n_samples=40_000, method=method, random_state=0)
        for method in ("tempered", "metropolis")
    )
    for name in ("abs_magnetization", "energy", "heat_capacity"):
        assert one[name].error[0] == pytest.approx(other[name].error[0], rel=0.1)


@pytest.mark.slow
def test_curves_of_networks_without_symmetries_scatter_as_their_errors_say():
    """Independent fits to 2000 rows, at other temperatures, against enumeration."""
    T, z = np.array([1.8, 2.5, 4.0]), []
    E = IsingSampler((3, 3)).energy(STATES).astype(float)
    log_z = np.array([np.logaddexp.reduce(-E / t) for t in (*T, 2.5)])
    p = np.exp(-E / T[:, None] - log_z[:3, None])
    free_energy, m = (-T * log_z[:3] + 2.5 * log_z[3]) / 9, p @ np.abs(STATES.mean(axis=1))
    true = {"free_energy": free_energy, "abs_magnetization": m, "entropy": (log_z[:3] + p @ E / T) / 9}
    for seed in range(16):
        X = IsingSampler((3, 3), 2.5, random_state=seed).sample(n_samples=2000)
        curve = phase_curve(MADEHamiltonian(2.5, random_state=seed).fit(X), T, random_state=seed)
        for name, exact in true.items():
            off, known = (curve[name].value - exact) / curve[name].error, [0, 2] if name == "free_energy" else [0, 1, 2]
            z.append(off[known])  # F(T0) is the zero of energies
    z = np.concatenate(z)
    assert np.mean(np.abs(z) < 3) > 0.95
    assert np.mean(np.square(z)) < 3
