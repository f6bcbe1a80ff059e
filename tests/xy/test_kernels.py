"""Kernels of angles: von Mises laws, reflections, and exact transition matrices of the clusters."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from skhamiltonian._montecarlo.kernels import new_streams, next_word
from skhamiltonian._xy import kernels as _kernels
from skhamiltonian._xy.chain_groups import angles_of, wrapped
from skhamiltonian._xy.kernels import (
    cluster_sweeps,
    energies,
    heat_bath,
    local_field,
    local_sweeps,
    reflect,
    reflect_clusters,
)
from skhamiltonian._xy.system import angle_system

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # unsigned words, uncompiled

FULL_TURN = 2 * math.pi
SYSTEMS = {
    "ring": angle_system((3,), "periodic", 0.8, 0.0),
    "square": angle_system((2, 2), ("open", "periodic"), (1.0, -0.4), 0.0),
    "site fields": angle_system((2, 2), "open", (0.7, 1.3), [0.5, -0.2, 0.0, 0.9]),
}


def random_angles(n_rows, n_sites, seed=0):
    return np.random.default_rng(seed).uniform(0, FULL_TURN, (n_rows, n_sites))


def energy_by_hand(theta, shape, periodic, couplings, field):
    """H of one row, bond after bond along each axis."""
    theta = theta.reshape(shape)
    total = -np.sum(field * np.cos(theta.ravel()))
    for axis, (J, wraps) in enumerate(zip(couplings, periodic, strict=True)):
        d = theta - np.roll(theta, -1, axis)
        keep = np.arange(shape[axis]) < shape[axis] - (not wraps)
        total -= J * np.cos(np.take(d, np.flatnonzero(keep), axis)).sum()
    return total


@pytest.mark.kernel
def test_energies_are_sums_over_bonds_and_fields():
    shape, periodic, couplings = (3, 2, 4), (True, True, False), (0.7, -1.1, 2.0)
    field = np.random.default_rng(1).normal(size=24)
    names = ["periodic" if wraps else "open" for wraps in periodic]
    X = random_angles(5, 24)
    wanted = [energy_by_hand(theta, shape, periodic, couplings, field) for theta in X]
    np.testing.assert_allclose(energies(X, angle_system(shape, names, couplings, field)), wanted, rtol=1e-13)


@pytest.mark.kernel
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_local_field_is_the_gradient_of_the_energy(name):
    """H(theta_i) = -F_x cos theta_i - F_y sin theta_i + what does not depend on theta_i."""
    system, X = SYSTEMS[name], random_angles(7, SYSTEMS[name].n_sites)
    cos, sin = np.cos(X.T), np.sin(X.T)
    F = np.empty((2, 7))
    for i in range(system.n_sites):
        local_field(F, cos, sin, i, system, system.coupling, system.field)
        for angle in (0.3, 2.0, 4.0):
            turned = X.copy()
            turned[:, i] = angle
            change = F[0] * (np.cos(X[:, i]) - np.cos(angle)) + F[1] * (np.sin(X[:, i]) - np.sin(angle))
            np.testing.assert_allclose(energies(turned, system) - energies(X, system), change, atol=1e-13)


@pytest.mark.kernel
@pytest.mark.parametrize("sweeps", [local_sweeps, cluster_sweeps])
def test_the_unit_of_energy_has_no_effect(sweeps):
    """The largest coupling or field is the unit, however small it is: a power of two leaves every bit."""
    theta, found = random_angles(3, 4).T, []
    for unit in (1.0, 2.0**-300):
        cos, sin = np.ascontiguousarray(np.cos(theta)), np.ascontiguousarray(np.sin(theta))
        system = angle_system((2, 2), "open", (0.7 * unit, 1.3 * unit), unit * np.array([0.5, -0.2, 0.0, 0.9]))
        sweeps(cos, sin, 2, 1, system, 0.6 * unit, new_streams(np.random.SeedSequence(0), 3))
        found.append((cos, sin))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kappa", [0.0, 0.05, 0.7, 2.0, 8.0, 300.0, 1e5])
@pytest.mark.parametrize("direction", [0.0, 2.5])
def test_the_heat_bath_draws_the_von_mises_law(kappa, direction):
    n, slope = 40_000, 3.0
    cos, sin, F = np.ones(n), np.zeros(n), np.full(n, kappa / slope)
    along = np.array([np.cos(direction), np.sin(direction)])[:, None]
    heat_bath(cos, sin, F * along, slope, new_streams(np.random.SeedSequence(1), n))
    np.testing.assert_allclose(np.hypot(cos, sin), 1, rtol=1e-14)
    phi = np.mod(np.arctan2(sin, cos) - direction * (kappa > 0) + math.pi, FULL_TURN) - math.pi
    law = (
        stats.norm(scale=kappa**-0.5)
        if kappa > 1e4
        else stats.vonmises(kappa)
        if kappa
        else stats.uniform(-math.pi, FULL_TURN)
    )
    assert stats.kstest(phi, law.cdf).pvalue > 1e-3
    assert stats.kstest(np.abs(phi), lambda x: 2 * law.cdf(x) - 1).pvalue > 1e-3


@pytest.mark.kernel
def test_the_heat_bath_accepts_by_the_exact_rule():
    """Point after point of the square from the same streams, without the bound that saves most exponentials."""
    n, kappa = 4000, 1.5
    streams = new_streams(np.random.SeedSequence(2), n)
    peer, wanted = streams.copy(), np.empty(n)
    for c in range(n):
        ratio = None
        while ratio is None:
            word = int(next_word(peer, c))
            v, w = (((word >> shift & 0xFFFFFFFF) + 0.5) / 2**31 - 1 for shift in (0, 32))
            half = math.atan(abs(v / w) / math.sqrt(1 + 2 * kappa))
            y = 2 * kappa * math.sin(half) ** 2
            if v * v + w * w < (1 + y) * math.exp(-y):
                ratio = half
        wanted[c] = 2 * ratio
    cos, sin = np.zeros((2, n))
    heat_bath(cos, sin, np.stack([np.ones(n), np.zeros(n)]), kappa, streams)
    np.testing.assert_allclose(np.abs(np.arctan2(sin, cos)), wanted, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(streams, peer)


@pytest.mark.kernel
def test_a_field_beyond_all_bounds_aligns_the_spin():
    cos, sin = np.zeros(50), np.ones(50)
    heat_bath(cos, sin, np.stack([np.full(50, -1.0), np.zeros(50)]), 1e30, new_streams(np.random.SeedSequence(0), 50))
    np.testing.assert_allclose(angles_of(cos, sin), math.pi, atol=1e-12)


@pytest.mark.kernel
def test_over_relaxation_keeps_the_energy_and_turns_every_spin_to_the_other_side():
    alpha, theta, F = random_angles(1, 40)[0], random_angles(1, 40, seed=1)[0], np.linspace(1e-100, 5, 40)
    cos, sin, F = np.cos(theta), np.sin(theta), F * np.stack([np.cos(alpha), np.sin(alpha)])
    reflect(cos, sin, F)
    np.testing.assert_allclose(np.exp(1j * (2 * alpha - theta)), cos + 1j * sin, atol=1e-13)
    cos, sin = np.cos(theta), np.sin(theta)
    reflect(cos, sin, 0 * F)
    np.testing.assert_allclose(angles_of(cos, sin), wrapped(theta + math.pi), atol=1e-13)


@pytest.mark.parametrize("name", SYSTEMS)
def test_sweeps_of_over_relaxation_keep_the_energy_of_a_lattice(name):
    """The difference to the energies after the heat bath alone, which takes the same random numbers."""
    system, E = SYSTEMS[name], []
    for n_reflections in (0, 5):
        X = random_angles(6, system.n_sites).T
        cos, sin = np.ascontiguousarray(np.cos(X)), np.ascontiguousarray(np.sin(X))
        local_sweeps(cos, sin, 1, n_reflections, system, 0.8, new_streams(np.random.SeedSequence(0), 6))
        E.append(energies(np.ascontiguousarray(angles_of(cos, sin).T), system))
    np.testing.assert_allclose(E[0], E[1], atol=1e-12)


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("name", "temperature"), [("ring", 0.6), ("ring", math.inf), ("square", 2.0), ("site fields", 0.6)]
)
def test_clusters_leave_the_boltzmann_law(monkeypatch, name, temperature):
    """For one direction the signs of all parts along it are Ising spins: every pattern of joined bonds and turns."""
    system, phi = SYSTEMS[name], 0.9
    n_sites, n_bonds = system.n_sites, len(system.ghost_bonds)
    theta = random_angles(1, n_sites, seed=3)[0]
    signs = np.array(list(itertools.product((0, 1), repeat=n_sites)))
    X = np.where(signs, 2 * phi + math.pi - theta, theta)  # reflected at the line across the direction
    H = energies(X, system)
    law = np.exp(-(H - H.min()) / temperature)
    law /= law.sum()
    p = np.cos(np.append(X, np.zeros((len(X), 1)), axis=1) - phi)
    x = 2 / temperature * system.ghost_strength * p[:, system.ghost_bonds[:, 0]] * p[:, system.ghost_bonds[:, 1]]
    joins = -np.expm1(-np.maximum(x, 0))
    above = np.minimum(((1 - joins) * (1 + 1e-12) * 2**53).astype(np.int64) + 2, 2**53 - 1)
    below = np.maximum(((1 - joins) * (1 - 1e-12) * 2**53).astype(np.int64) - 2, 0)
    # The words that just join a bond, and those that just do not.
    thresholds = np.stack([above, below], axis=1).astype(np.uint64) << np.uint64(11)
    kernel = getattr(reflect_clusters, "py_func", reflect_clusters)
    P, streams = np.zeros((len(X), len(X))), np.zeros((4, 1), dtype=np.uint64)
    for row in range(len(X)):
        for joined in itertools.product((0, 1), repeat=n_bonds):
            probability = np.prod(np.where(joined, joins[row], 1 - joins[row]))
            if probability == 0:
                continue
            for turned in itertools.product((0, 1), repeat=n_sites):
                bonds = np.where(joined, *thresholds[row])
                script = [int(phi / math.pi * 2**63) << 1, *bonds.tolist(), *(turn << 63 for turn in turned), 0]
                words = np.array(script, dtype=np.uint64)
                monkeypatch.setattr(_kernels, "fill_words", lambda out, _, new=words: np.copyto(out, new))
                cos, sin = np.cos(X[row])[:, None], np.sin(X[row])[:, None]
                kernel(cos, sin, system, temperature, streams)
                distance = np.abs(np.exp(1j * X) - (cos + 1j * sin).T).sum(axis=1)
                new = np.argmin(distance)
                assert distance[new] < 1e-12
                P[row, new] += probability / 2**n_sites
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(law @ P, law, atol=1e-12)
    np.testing.assert_allclose(law[:, None] * P, (law[:, None] * P).T, atol=1e-12)
    assert (np.linalg.matrix_power(P, 8) > 0).all()


@pytest.mark.kernel
def test_angles_are_below_a_full_turn():
    for angles in (wrapped([-1e-17, FULL_TURN, -FULL_TURN, 7.0]), angles_of(np.ones(2), np.array([-1e-17, -0.0]))):
        assert (angles >= 0).all()
        assert (angles < FULL_TURN).all()


def test_only_a_lattice_without_any_field_may_be_rotated():
    for field, is_even in ((0.0, True), (np.zeros(4), True), (0.3, False), (np.array([0.3, -0.3, 0.3, -0.3]), False)):
        assert angle_system((4,), "periodic", 1.0, field).is_even == is_even
