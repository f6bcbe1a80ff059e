"""Observables of angles: helicity modulus against the free energy of a twist, vortices by hand; integrated entropy."""

import math
import pickle

import numpy as np
import pytest
from scipy.special import ive

from skhamiltonian import Draws, PhaseCurve, ThermalSampler, XYSampler, helicity_modulus, phase_curve, vortex_density
from skhamiltonian._curves.measure import estimate


def test_the_helicity_modulus_is_the_curvature_of_the_free_energy():
    """Of a law of a few rows: F(twist) = -T ln sum_k exp(-H_k(twist) / T), by differences."""
    shape, J, T = (3, 1, 4), (0.7, 9.0, 1.3), 0.8
    X = np.random.default_rng(0).uniform(-9, 9, (6, 12))

    def twisted(axis, twist):
        total = np.zeros(len(X))
        for k in (0, 2):
            d = X.reshape(-1, *shape) - np.roll(X.reshape(-1, *shape), -1, k + 1)
            total -= J[k] * np.cos(d + twist * (k == axis)).reshape(len(X), -1).sum(axis=1)
        return -T * np.log(np.exp(-total / T).sum())

    step = 1e-3
    wanted = np.mean([(twisted(a, step) - 2 * twisted(a, 0) + twisted(a, -step)) / step**2 / 12 for a in (0, 2)])
    H = -sum(
        J[k] * np.cos(X.reshape(-1, *shape) - np.roll(X.reshape(-1, *shape), -1, k + 1)).reshape(len(X), -1).sum(axis=1)
        for k in (0, 2)
    )
    law = np.exp(-(H - H.min()) / T)
    observable = helicity_modulus(shape, J)
    averages = np.tensordot(law / law.sum(), observable(X), axes=1)
    assert observable.of_averages(averages, T) == pytest.approx(wanted, rel=1e-5)
    assert observable.of_averages(averages[None], T).shape == (1,)


def test_its_error_is_that_of_the_function_of_the_averages():
    """Jackknife over chains, by hand; the variance of all rows minus the square of the mean."""
    rng, shape, T = np.random.default_rng(1), (2, 3), 0.7
    X = rng.uniform(0, 2 * math.pi, (20, 30, 6)) * 0.3
    observable = helicity_modulus(shape)
    point = estimate(Draws(X), {"helicity": observable}, T)

    def modulus(rows):
        return observable.of_averages(observable(rows.reshape(-1, 6)).mean(axis=0), T)

    others = np.array([modulus(np.delete(X, chain, axis=0)) for chain in range(20)])
    value, error = point.observables["helicity"]
    assert value == pytest.approx(modulus(X), rel=1e-12)
    assert error == pytest.approx(math.sqrt(19 / 20 * ((others - others.mean()) ** 2).sum()), rel=0.03)


def test_any_function_of_averages_is_an_observable():
    class Variance:
        def __call__(self, X):
            return np.stack([X[:, :2], X[:, :2] ** 2], axis=-1)

        def of_averages(self, averages, temperature):
            return temperature * (averages[..., 1] - averages[..., 0] ** 2)

    class Free(ThermalSampler):
        def _draw(self, temperature, n_samples, field, method, seed):
            return Draws(np.random.default_rng(seed).normal(3.0, 2.0, (16, n_samples // 16, 4)))

    curve = phase_curve(Free(), np.full(40, 0.5), observables={"variance": Variance()}, n_samples=800, random_state=0)
    value, error = curve["variance"]
    assert value.shape == error.shape == (40, 2)
    assert 0.6 < ((value - 2.0) / error).var() < 1.6


def test_observables_of_angles_travel_to_other_processes():
    xy, observables = XYSampler((4, 4), 1.0), {"Y": helicity_modulus((4, 4)), "vortices": vortex_density((4, 4))}
    one, two = (
        phase_curve(xy, [0.5, 1.5], observables=functions, n_samples=500, random_state=0)
        for functions in (observables, pickle.loads(pickle.dumps(observables)))
    )
    for name in observables:
        np.testing.assert_array_equal(one[name], two[name])
    assert one["vortices"].value[0] < 0.01 < one["vortices"].value[1]


def test_vortices_are_counted_by_hand():
    """A vortex in the middle of an open lattice; its antivortex is beyond the edge if the lattice is periodic."""
    y, x = np.mgrid[:4, :4] - 1.5
    vortex = np.arctan2(y, x).reshape(1, -1)
    rows = np.concatenate([vortex, -vortex + 7.0, np.zeros((1, 16)), np.full((1, 16), 99.0)])
    np.testing.assert_array_equal(vortex_density((4, 4), "open")(rows), [1 / 9, 1 / 9, 0, 0])
    periodic = vortex_density((4, 4))(rows) * 16
    assert periodic[0] >= 2  # the charges of a torus add up to 0
    assert periodic[0] % 2 == 0
    np.testing.assert_array_equal(periodic[2:], 0)
    random = np.random.default_rng(0).uniform(0, 2 * math.pi, (4000, 27))
    density = vortex_density((3, 3, 3))(random)
    assert density.mean() == pytest.approx(1 / 3, abs=0.01)  # of four free angles
    z = np.exp(1j * random[:50, :20].reshape(50, 4, 5))
    path = [z, np.roll(z, -1, 2), np.roll(z, (-1, -1), (1, 2)), np.roll(z, -1, 1), z]
    turns = sum(np.angle(path[k + 1] / path[k]) for k in range(4)) / (2 * math.pi)
    wanted = np.abs(turns).reshape(50, -1).mean(axis=1)
    np.testing.assert_allclose(vortex_density((4, 5))(random[:50, :20]), wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: helicity_modulus((1, 1)), ValueError, r"an axis of two sites or more, got \(1, 1\)"),
        (lambda: helicity_modulus("ab"), TypeError, "lattice_shape must be a tuple"),
        (lambda: helicity_modulus((4, 4), (1.0,)), ValueError, "each of the 2 axes"),
        (lambda: helicity_modulus((4, 4), math.nan), ValueError, "coupling must be a finite number, got nan"),
        (lambda: vortex_density((8,)), ValueError, r"must have a unit square, got \(8,\)"),
        (lambda: vortex_density((4, 4), "closed"), ValueError, "got 'closed'"),
        (lambda: helicity_modulus((4, 4))(np.zeros((3, 9))), ValueError, "has 16 sites, but X has 9 features"),
        (lambda: vortex_density((4, 4))(np.zeros((3, 9))), ValueError, "has 16 sites, but X has 9 features"),
    ],
)
def test_what_is_no_lattice_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_entropy_of_angles_by_integration_is_that_of_bessel_functions():
    """ln Z of a ring is ln sum_k (2 pi I_k(1 / T))^N; at T = infinity the entropy is ln 2 pi."""
    T, N, k = np.array([0.5, 1.0, np.inf]), 6, np.arange(-60, 61)
    curve = phase_curve(XYSampler((N,)), T, n_samples=4000, entropy=True, random_state=0)
    log_z = np.array([np.log(((2 * math.pi * ive(k, 1 / t)) ** N).sum()) / N + 1 / t for t in T[:2]])
    value, error = curve["free_energy"]
    assert (abs(value[:2] + T[:2] * log_z) < 4 * error[:2]).all()
    assert (error[:2] < 0.01).all()
    assert curve["entropy"].value[2] == pytest.approx(math.log(2 * math.pi), abs=1e-12)


def test_degrees_and_states_are_no_angles():
    """Their mean vector has a length like any other."""
    X = np.random.default_rng(0).uniform(0, 360, (50, 4))
    for rows, message in ((X, "X seems to hold degrees"), (np.sign(X - 180), "whole numbers only, from -1 to 1")):
        with pytest.raises(ValueError, match=message):
            PhaseCurve.from_samples({1.0: rows}, states="angle")
