"""Numbers beside the rows: counts, temperatures, energies and weights of every type."""

import numpy as np
import pytest
from sklearn.base import clone

from skhamiltonian import (
    DomainBinarizer,
    EnergyDisplay,
    IndependentSites,
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    PhaseCurve,
    Worldlines,
    XYSampler,
    common_hamiltonian_gain,
    phase_curve,
    quantum_couplings,
    trotter_extrapolate,
)

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
    "DomainBinarizer, local": lambda n: DomainBinarizer(
        "local", **n({"pixels_per_site": 2, "block_size": 35})
    ).fit_transform(IMAGES),
}


@pytest.mark.filterwarnings("ignore:Draws at the temperature of X", "ignore:up and down are not well separated")
@pytest.mark.parametrize("narrow", [np.int8, np.uint8])
@pytest.mark.parametrize("entry", COUNTED)
def test_counts_in_narrow_integers_do_not_overflow(entry, narrow):
    def as_narrow(counts):
        return {name: narrow(count) for name, count in counts.items()}

    np.testing.assert_array_equal(COUNTED[entry](as_narrow), COUNTED[entry](dict))


FIELDS, LINES = np.array([1000.0, -250.0]), {"time_step": 0.1875, "field": 1.1875, "coupling": 0.7109375}
ROUNDED = {
    "a field and one more": lambda n: clone(ISING).set_params(field=n(1000.0)).draws(field=0.3).energy,
    "fields and one more": lambda n: clone(ISING).set_params(field=n(np.tile(FIELDS, 3))).draws(field=0.3).energy,
    "a field of angles": lambda n: XYSampler(SHAPE, 2.0, field=n(1000.0), random_state=0).draws(field=0.3).energy,
    "Worldlines.temperature": lambda n: Worldlines((70_000, 2), **{k: n(v) for k, v in LINES.items()}).temperature,
    "Worldlines.action_couplings": lambda n: Worldlines((3, 2), **{k: n(v) for k, v in LINES.items()}).action_couplings,
    "quantum_couplings": lambda n: quantum_couplings(
        (n(1.0625), n(0.0625)), (n(0.7109375), n(0.03125)), time_step=n(0.1875)
    ),
    "trotter_extrapolate": lambda n: trotter_extrapolate((n(1.0625), n(0.0625)), (n(0.7109375), n(0.03125)), n(3.0)),
}


@pytest.mark.parametrize("narrow", [np.float16, np.float32, np.longdouble])
@pytest.mark.parametrize("entry", ROUNDED)
def test_numbers_in_half_precision_round_no_result(entry, narrow):
    """Each of these numbers is exact in half precision; what is computed from them is not."""
    found, wanted = (np.asarray(ROUNDED[entry](kind)) for kind in (narrow, np.float64))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, wanted)


VALUES = np.resize([2.0, 3.0], 60)
MISREAD = {
    "masked": np.ma.masked_array(VALUES, np.arange(60) < 5),
    "dates": np.full(60, np.datetime64("2026-11-26")),
    "durations": VALUES.astype("m8[s]"),
    "nanoseconds": VALUES.astype("m8[ns]"),  # numpy lists them as integers
    "dates to the nanosecond": VALUES.astype("M8[ns]"),
    "complex": VALUES + 1j,
    "text": VALUES.astype(str),
}
TAKERS = {
    "temperatures of LocalHamiltonian": ("y", lambda v: clone(LOCAL).fit(X, v)),
    "weights of LocalHamiltonian": ("sample_weight", lambda v: clone(LOCAL).fit(X, sample_weight=v)),
    "weights of IndependentSites": ("sample_weight", lambda v: IndependentSites().fit(X, sample_weight=v)),
    "energies": ("energies", lambda v: InteractionExpansion(lattice_shape=SHAPE).fit(X, v)),
    "energies of a function": ("energies", lambda v: InteractionExpansion(lattice_shape=SHAPE).fit(X, lambda _: v)),
    "energies with weights": (
        "y",
        lambda v: InteractionExpansion(lattice_shape=SHAPE).fit(X, v, sample_weight=np.arange(60)),
    ),
    "energies of samples": ("energy", lambda v: PhaseCurve.from_samples({2.0: X}, energy=lambda _: v)),
    "observables": ("'a'", lambda v: PhaseCurve.from_samples({2.0: X}, observables={"a": lambda _: v})),
    "energies of a display": ("energy_true", lambda v: EnergyDisplay.from_predictions(v, VALUES)),
    "temperatures of a curve": ("temperatures", lambda v: phase_curve(ISING, v, n_samples=2)),
    "temperatures of rows": ("temperatures", lambda v: common_hamiltonian_gain(LOCAL, X, v, cv=2)),
    "a field": ("field", lambda v: ISING.sample(field=v[:6])),
}


@pytest.mark.parametrize("kind", MISREAD)
@pytest.mark.parametrize("entry", TAKERS)
def test_numbers_that_would_be_misread_are_refused(entry, kind):
    name, take = TAKERS[entry]
    with pytest.raises((TypeError, ValueError), match=name):
        take(MISREAD[kind])


@pytest.mark.parametrize("groups", [np.ma.masked_array(np.arange(60), np.arange(60) < 5)])
def test_masked_groups_are_refused(groups):
    with pytest.raises(TypeError, match="groups has masked values"):
        clone(LOCAL).fit(X, groups=groups)


def test_a_mask_that_hides_nothing_is_no_obstacle():
    energy = np.ma.masked_array(ISING.energy(X), np.zeros(60, bool))  # as libraries for files return
    measured = PhaseCurve.from_samples({2.0: X}, energy=lambda _: energy)
    assert measured["energy"].value[0] == pytest.approx(ISING.energy(X).mean() / 6)


def test_a_gain_has_one_temperature_for_each_row():
    with pytest.raises(ValueError, match=r"\[60, 20\]"):
        common_hamiltonian_gain(LOCAL, X, VALUES[:20], cv=2)
    with pytest.raises(TypeError, match="must be a LocalHamiltonian, got IndependentSites"):
        common_hamiltonian_gain(IndependentSites(), X, VALUES, cv=2)
    assert common_hamiltonian_gain(LOCAL, X, VALUES, cv=np.int64(2)) == common_hamiltonian_gain(LOCAL, X, VALUES, cv=2)


def test_temperatures_that_cannot_be_sorted_are_named():
    with pytest.raises(TypeError, match="each temperature in samples must be a positive number, got '3'"):
        PhaseCurve.from_samples({2.0: X, "3": X})
