"""Energies of windows against plain numpy, on periodic and open axes, also shorter than a window."""

import itertools
import math
import types

import numpy as np
import pytest

from skhamiltonian._local.energy import LocalEnergy, energies, windows_of
from skhamiltonian._local.kernels import lane_energies, new_lanes
from skhamiltonian._local.planning import Starts
from skhamiltonian._local.system import LocalSystem, OrderedStates, ordered_states


def random_energy(window_shape, n_states=2, seed=0, scale=1.0):
    n = math.prod(window_shape)
    return LocalEnergy(np.arange(n_states), window_shape, scale * np.random.default_rng(seed).normal(size=n_states**n))


def brute_force(codes, lattice_shape, periodic, energy):
    """Every window is cut out of the lattice, one site after the other."""
    total = np.zeros(len(codes))
    ranges = [
        range(length if wraps else length - width + 1)
        for length, width, wraps in zip(lattice_shape, energy.window_shape, periodic, strict=True)
    ]
    for row, s in enumerate(codes.reshape(-1, *lattice_shape)):
        for corner in itertools.product(*ranges):
            index = 0
            for j, place in enumerate(np.ndindex(energy.window_shape)):
                site = tuple((c + p) % length for c, p, length in zip(corner, place, lattice_shape, strict=True))
                index += int(s[site]) * energy.n_states**j
            total[row] += energy.table[index]
    return total


CASES = [
    ((6,), (True,), (3,), 2),
    ((6,), (False,), (3,), 3),
    ((2,), (True,), (3,), 2),
    ((1,), (True,), (2,), 3),
    ((4, 5), (True, True), (3, 3), 2),
    ((4, 5), (True, False), (2, 3), 3),
    ((4, 5), (False, False), (3, 2), 2),
    ((2, 3), (True, True), (3, 3), 2),
    ((1, 4), (True, True), (2, 2), 2),
    ((3, 2, 4), (True, True, False), (2, 2, 2), 2),
]


@pytest.mark.kernel
@pytest.mark.parametrize(("lattice", "periodic", "window", "n_states"), CASES)
def test_energies_are_sums_over_windows(lattice, periodic, window, n_states):
    energy = random_energy(window, n_states)
    codes = np.random.default_rng(1).integers(0, n_states, (70, math.prod(lattice))).astype(np.int8)
    H = energies(codes, lattice, periodic, energy)
    np.testing.assert_allclose(H, brute_force(codes, lattice, periodic, energy), rtol=1e-12, atol=1e-12)


def test_axes_of_two_sites_wrap_as_np_roll_does():
    """Bonds along both axes as a 2x2 window: an axis of two sites has each bond twice, one of one site itself."""
    pattern = 2 * ((np.arange(16)[:, None] >> np.arange(4)) & 1).reshape(-1, 2, 2) - 1
    table = -(pattern[:, 0, 0] * pattern[:, 0, 1] + pattern[:, 0, 0] * pattern[:, 1, 0]).astype(float)
    energy = LocalEnergy(np.array([-1, 1]), (2, 2), table)
    for shape in ((2, 2), (1, 4), (2, 3)):
        codes = np.random.default_rng(0).integers(0, 2, (20, math.prod(shape))).astype(np.int8)
        s = (2.0 * codes - 1).reshape(-1, *shape)
        H = -(s * np.roll(s, -1, axis=1) + s * np.roll(s, -1, axis=2)).sum(axis=(1, 2))
        np.testing.assert_allclose(energies(codes, shape, (True, True), energy), H, atol=1e-13)


def test_a_network_gives_the_energies_of_its_table():
    energy = random_energy((2, 3), 3)
    network = types.SimpleNamespace(g=lambda codes: energy.table[codes.astype(int) @ 3 ** np.arange(6)])
    codes = np.random.default_rng(1).integers(0, 3, (50, 20)).astype(np.int8)
    same = LocalEnergy(energy.states, energy.window_shape, None, network)
    H = [energies(codes, (4, 5), (True, False), each) for each in (energy, same)]
    np.testing.assert_allclose(H[1], H[0], rtol=1e-12)


@pytest.mark.kernel
@pytest.mark.parametrize("periodic", [(True, True), (False, True)])
@pytest.mark.parametrize("n_strips", [1, 2, 4])
def test_strips_have_the_energy_of_their_lattice(periodic, n_strips):
    energy, n_chains = random_energy((2, 3)), 3
    windows = windows_of((8, 3), periodic, energy, 0, n_strips)
    codes = np.random.default_rng(1).integers(0, 2, (n_chains, 24)).astype(np.int8)
    lanes = codes.reshape(n_chains, n_strips, -1).transpose(2, 1, 0).reshape(-1, n_strips * n_chains)
    lanes = np.ascontiguousarray(lanes)
    terms = LocalSystem(energy, (8, 3), periodic, field=0.3).terms
    H = lane_energies(new_lanes(lanes, windows), windows, terms).reshape(n_strips, n_chains).sum(axis=0)
    expected = brute_force(codes, (8, 3), periodic, energy) - 0.3 * codes.sum(axis=1)
    np.testing.assert_allclose(H, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("periodic", [(True, True), (True, False)])
def test_the_lowest_ordered_states_are_ground_states(seed, periodic):
    """A small lattice whose states all repeat a cell: none is lower, and each energy is that of its state."""
    system = LocalSystem(random_energy((2, 2), seed=seed), (3, 3), periodic, field=0.2)
    every = np.array(list(itertools.product((0, 1), repeat=9)), dtype=np.int8)
    ordered = ordered_states(system)
    codes = np.stack([ordered.codes(k) for k in range(len(ordered.cells))])
    np.testing.assert_allclose(system.energies(codes), ordered.energy, rtol=1e-12)
    assert len(np.unique(codes, axis=0)) == len(codes)
    if all(periodic):
        assert ordered.energy[0] == pytest.approx(system.energies(every).min(), rel=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_chains_start_from_ordered_states_by_their_boltzmann_weights(temperature):
    E = np.array([-40.0, -39.0, -36.5, -40.0])
    starts = Starts(OrderedStates([], E, (4,)))
    drawn = starts.draw(40_000, temperature, np.random.default_rng(0))
    weight = np.exp(-(E - E.min()) / temperature)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 40_000, weight / weight.sum(), atol=0.01)
