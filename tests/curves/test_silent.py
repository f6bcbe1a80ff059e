"""Inputs that once gave wrong averages without a word: each has its exact value, or is refused by name."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skhamiltonian import (
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

ALIGNED = np.ones((300, 256), np.int8)
NORM = {"norm": lambda X: np.einsum("ni,ni->n", X, X)}


class Foreign:
    """A sampler of somebody else, with the same draws at every temperature."""

    def __init__(self, X, energy=None):
        self.X, self.energy = X, energy
        if energy is None:
            del self.energy

    def sample(self, temperature, n_samples):
        return self.X


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float16, np.float32])
def test_functions_of_the_user_receive_wide_numbers(dtype):
    """256 aligned spins: the sum of their squares is 256, beyond int8 and uint8; of booleans it would be True."""
    X = ALIGNED.astype(dtype)
    for curve in (
        PhaseCurve.from_samples({2.0: X}, energy=NORM["norm"], observables=NORM),
        phase_curve(Foreign(X), [2.0], observables=NORM),
    ):
        assert curve["norm"].value[0] == pytest.approx(256)
        assert "energy" not in curve.observables or curve["energy"].value[0] == pytest.approx(1)
        assert curve["magnetization"].value[0] == pytest.approx(1)


WIDE_STATES = np.random.default_rng(0).choice([0, 20, 40], (300, 4))


def product(X):
    """Return numbers up to 1600, beyond int8, and write into the argument."""
    found = X[:, 0] * X[:, 1] / 100
    X[:] = 0
    return found


def shown(display):
    plt.close(display.figure_)  # more than twenty open figures are a warning
    return display


class Owner(Foreign):
    temperature, states_ = 1.0, np.array([0, 20, 40], np.int8)

    def energy_of(self, X):
        return product(X)


ENERGIES = {
    "InteractionExpansion": lambda X: InteractionExpansion(lattice_shape=(4,), temperature=1.0).fit(X, product).coef_,
    "InteractionExpansion, method": lambda X: (
        InteractionExpansion(lattice_shape=(4,), temperature=1.0).fit(X, Owner(X).energy_of).coef_
    ),
    "EnergyDisplay": lambda X: shown(EnergyDisplay.from_estimator(IndependentSites().fit(X), X, product)).energy_true,
    "phase_curve": lambda X: phase_curve(Owner(X, product), [1.0])["energy"].value,
    "from_samples": lambda X: PhaseCurve.from_samples({1.0: X}, energy=product)["energy"].value,
    "pseudo_log_likelihood": lambda X: pseudo_log_likelihood(Owner(X, lambda s: s[:, 0] * s[:, 1] / 100), X),
}


@pytest.mark.filterwarnings("ignore:the rows refute")
@pytest.mark.parametrize("entry", ENERGIES)
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.int64, np.float64])
def test_an_energy_of_the_user_gets_a_wide_copy(entry, dtype):
    X = WIDE_STATES.astype(dtype)
    found = ENERGIES[entry](X)
    np.testing.assert_array_equal(X, WIDE_STATES)
    np.testing.assert_allclose(found, ENERGIES[entry](WIDE_STATES.astype(float)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float64])
def test_an_observable_that_writes_changes_no_other(dtype):
    X = ALIGNED.astype(dtype)
    both = {"written": lambda X: np.multiply(X, 0, out=X)[:, 0], **NORM}
    for curve in (
        PhaseCurve.from_samples({2.0: X}, observables=both),
        phase_curve(Foreign(X), [2.0], observables=both),
    ):
        assert curve["norm"].value[0] == pytest.approx(256)
        assert (X == ALIGNED).all()


def test_the_smallest_byte_is_a_state():
    """The absolute value of np.int8(-128) is -128."""
    X = np.array([[-128, -128], [0, 0]] * 50, np.int8)
    assert PhaseCurve.from_samples({2.0: X})["magnetization"].value[0] == pytest.approx(-0.5)


def test_a_state_that_is_absent_at_one_temperature_changes_no_unit():
    """Of the states 0, 1 and 2, the cold rows have two: their magnetization is in units of 2 as well."""
    cold, hot = np.eye(4, dtype=int).repeat(5, axis=0), np.arange(80).reshape(20, 4) % 3
    curve = PhaseCurve.from_samples({1.0: cold, 2.0: hot})
    np.testing.assert_allclose(curve["magnetization"].value, [0.125, hot.mean() / 2])


def test_units_of_magnetization_that_differ_are_said():
    """A sampler of somebody else that does not tell its states: 0 and 1 at T = 1, 0 to 2 at T = 2."""
    foreign = Foreign(None)
    foreign.sample = lambda temperature, n_samples: np.arange(4000).reshape(1000, 4) % (1 + int(temperature))
    with pytest.warns(UserWarning, match="differs between the temperatures, from 1 to 2: give the sampler .* states_"):
        phase_curve(foreign, [1.0, 2.0])
    foreign.states_ = np.arange(3)
    np.testing.assert_allclose(phase_curve(foreign, [1.0, 2.0])["magnetization"].value, [0.25, 0.5], rtol=1e-3)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((300, 4), np.nan), "Foreign.sample must return configurations .*NaN"),
        (np.ones(300), "Foreign.sample must return configurations .*Expected 2D array"),
        (np.ones((300, 2, 2)), "Foreign.sample must return configurations .*shape"),
        (np.full((300, 4), "up"), "Foreign.sample must return configurations .*numbers"),
    ],
)
def test_draws_that_are_no_configurations_are_refused(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        phase_curve(Foreign(X), [2.0], n_samples=300)


def test_there_is_one_energy_for_each_configuration():
    column = Foreign(ALIGNED, lambda X: X[:, :1] * 256.0)
    assert phase_curve(column, [2.0], n_samples=300)["energy"].value[0] == pytest.approx(1)
    with pytest.raises(ValueError, match=r"one energy per configuration, \(1, 300\) of them, got \(1, 7\)"):
        phase_curve(Foreign(ALIGNED, lambda X: np.ones(7)), [2.0], n_samples=300)
    with pytest.raises(ValueError, match=r"one energy per configuration, \(1, 300\) of them, got \(1, 7\)"):
        PhaseCurve.from_samples({2.0: ALIGNED}, energy=lambda X: np.ones(7))


@pytest.mark.parametrize("T", [1e-13, 1e-30, 1e-99])
def test_rounding_is_no_fluctuation_at_low_temperatures(T):
    """The ground state of couplings that are no binary fractions: C and chi are 0, and the entropy is unknown."""
    ising = IsingSampler((4, 4), 1.0, coupling=0.1, next_nearest_coupling=1 / 3, random_state=0)
    curve = phase_curve(ising, [T], n_samples=300, random_state=0)
    assert curve["heat_capacity"].value[0] == curve["susceptibility"].value[0] == 0
    free = IndependentSites(1.0).fit(np.random.default_rng(0).choice([-1, 1], (500, 7)))
    value, error = phase_curve(free, [T], n_samples=300, random_state=0)["entropy"]
    assert abs(value[0]) < 4 * error[0]


def test_temperatures_whose_squares_vanish_are_refused():
    with pytest.raises(ValueError, match=r"temperatures must be at least 1e-100, got 4\.94066e-324"):
        phase_curve(IsingSampler((4, 4)), [2.0, 5e-324])
    X = ALIGNED[:, :4] * np.random.default_rng(0).choice([-1, 1], (300, 4))
    for T in (1e-101, 1e101):
        for model in (IndependentSites(T), PseudolikelihoodIsing(T), MADEHamiltonian(T)):
            with pytest.raises(ValueError, match=r"temperature must be between 1e-100 and 1e\+100, got 1e"):
                model.fit(X)


@pytest.mark.parametrize("unit", [1e-23, 1e99])
def test_a_unit_of_energy_changes_no_error(unit):
    """Joules or not: the energy of slow chains has the same error in units of the coupling."""
    relative = []
    for J in (1.0, unit):
        ising = IsingSampler((4, 4), 2.0 * J, coupling=J, n_sweeps=1, n_chains=1, method="heat-bath", random_state=0)
        curve = phase_curve(ising, [2.0 * J], n_samples=2000, random_state=0)
        value, error = curve["energy"]
        relative.append((value[0] / J, error[0] / J, curve["heat_capacity"].error[0], curve.r_hat[0]))
    np.testing.assert_allclose(relative[1], relative[0], rtol=1e-9)


def test_states_that_a_site_never_had_have_no_entropy():
    """Seven free spins and a pinned one, at any temperature: S = 7 ln 2 for eight sites."""
    X = np.random.default_rng(0).choice([-1, 1], (5000, 8))
    X[:, 0] = 1
    free = IndependentSites().fit(X)
    for T in (1.0, 4.0, math.inf):
        assert (free.sample(T, n_samples=500, random_state=0)[:, 0] == 1).all()
    assert phase_curve(free, [4.0], random_state=0)["entropy"].value[0] == pytest.approx(7 / 8 * np.log(2), abs=1e-4)
    made = MADEHamiltonian(hidden_layer_sizes=(4,), max_iter=5, random_state=0).fit(X[:1000])
    by_weights = phase_curve(made, [1.0], n_samples=1000, random_state=0)["entropy"]
    integrated = phase_curve(made, [1.0], method="heat-bath", entropy=True, n_samples=1000, random_state=0)["entropy"]
    error = np.hypot(by_weights.error[0], integrated.error[0])
    assert abs(by_weights.value[0] - integrated.value[0]) < 4 * error < 0.02


@pytest.mark.parametrize("name", ["temperature", "support", "energy_error", "magnetization_spread", "norm_error"])
def test_an_observable_takes_no_column_of_another(name):
    """A column of `to_frame` has one name, so the error of the energy was lost."""
    with pytest.raises(ValueError, match=f"{name}', which is another column"):
        PhaseCurve.from_samples({2.0: ALIGNED}, observables=NORM | {name: NORM["norm"]})


def test_complex_numbers_do_not_lose_their_imaginary_part():
    wave = {"wave": lambda X: X @ np.exp(1j * np.arange(X.shape[1]))}
    for given in ({"observables": wave}, {"energy": wave["wave"]}):
        with pytest.raises(TypeError, match="must hold numbers, got an array of dtype complex128"):
            PhaseCurve.from_samples({2.0: ALIGNED}, **given)


def test_all_rows_of_a_curve_have_the_same_sites():
    with pytest.raises(ValueError, match=r"same number of sites, got \[9, 256\]"):
        PhaseCurve.from_samples({2.0: ALIGNED, 3.0: ALIGNED[:, :9]})
