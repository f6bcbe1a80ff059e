"""Path integrals against traces of matrices, and the exact transverse-field chain of eight sites."""

import ast
import functools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

from skhamiltonian import (
    IsingSampler,
    LocalHamiltonian,
    Worldlines,
    action_couplings,
    phase_curve,
    quantum_couplings,
    trotter_extrapolate,
)
from skhamiltonian._utils.alphabet import enumerate_states

FLIP = np.array([[0.0, 1.0], [1.0, 0.0]])


@functools.cache
def chain(n_sites, field, coupling=1.0):
    """The diagonal of -J sum s^z s^z, the matrix of sum_i s^x, and the spins of every basis state."""
    s = enumerate_states((-1, 1), n_sites)
    bonds = (s * np.roll(s, 1, axis=1)).sum(axis=1) if n_sites > 1 else np.zeros(len(s))
    flips = sum(np.kron(np.kron(np.eye(2**i), FLIP), np.eye(2 ** (n_sites - 1 - i))) for i in range(n_sites))
    return -coupling * bonds, flips, s


def quantum(n_sites, field, temperature):
    """<s^x>, E / N and <|m|> by diagonalisation."""
    diagonal, flips, s = chain(n_sites, field)
    E, v = np.linalg.eigh(np.diag(diagonal) - field * flips)
    p = np.exp(-(E - E[0]) / temperature)
    p /= p.sum()
    rho = (v * p) @ v.T
    m = abs(s.mean(axis=1))
    return {
        "transverse_magnetization": np.sum(rho * flips) / n_sites,
        "quantum_energy": p @ E / n_sites,
        "slice_magnetization": np.diag(rho) @ m,
    }


@pytest.mark.parametrize(
    ("shape", "coupling"), [((4, 3), 1.0), ((3, 4), -0.7), ((2, 5), 1.0), ((1, 4), 1.0), ((6, 1), 1.0)]
)
def test_estimators_are_those_of_the_trotter_product(shape, coupling):
    """All 2^(P N) trajectories against the trace of the product of the slices."""
    lines = Worldlines(shape, time_step=0.3, field=0.8, coupling=coupling)
    diagonal, flips, _ = chain(shape[1], 0.8, coupling)
    space, time = np.diag(np.exp(-0.15 * diagonal)), expm(0.3 * 0.8 * flips)
    power = np.linalg.matrix_power(space @ time @ space, shape[0])
    inserted = np.linalg.inv(time) @ flips @ time  # s^x commutes with its own slice
    sx = np.trace(space @ inserted @ np.linalg.inv(space) @ power) / np.trace(power) / shape[1]
    X = enumerate_states((-1, 1), math.prod(shape))
    action = IsingSampler(shape, 1.0, coupling=lines.action_couplings).energy(X)
    w = np.exp(action.min() - action)
    mean = {name: w @ function(X) / w.sum() for name, function in lines.observables.items()}
    log_z = np.log(w.sum()) - action.min() + lines.log_constant
    assert log_z == pytest.approx(np.log(np.trace(power)), rel=1e-10)
    bond = np.trace(power @ np.diag(diagonal)) / np.trace(power) / shape[1]
    assert mean["transverse_magnetization"] == pytest.approx(sx, rel=1e-10)
    assert mean["bond_correlation"] == pytest.approx(-bond / coupling, abs=1e-10)
    assert mean["quantum_energy"] == pytest.approx(bond - 0.8 * sx, rel=1e-10)


def test_bonds_of_a_plane_are_along_both_axes():
    lines = Worldlines((2, 4, 4), time_step=0.3, field=0.8, coupling=0.5)
    striped = np.broadcast_to([[1], [-1], [1], [-1]], (2, 4, 4))  # changes along one axis of space only
    X = np.stack([np.ones(32), striped.ravel()])
    np.testing.assert_allclose(lines.bond_correlation(X), [1, 0])
    np.testing.assert_allclose(lines.quantum_energy(X), -0.5 * np.array([2, 0]) - 0.8 * math.tanh(0.24))


# <s^x>, E / N and <|m|> of the chain of eight sites at unit field.
PUBLISHED = {
    0.25: (0.597810, -1.273216, 0.765088),
    0.5: (0.585602, -1.255531, 0.747433),
    1.0: (0.549428, -1.133360, 0.619176),
    2.0: (0.405531, -0.813549, 0.453029),
}
NAMES = ("transverse_magnetization", "quantum_energy", "slice_magnetization")


@pytest.mark.parametrize("temperature", PUBLISHED)
def test_diagonalisation_has_the_published_digits(temperature):
    exact = quantum(8, 1.0, temperature)
    np.testing.assert_allclose([exact[name] for name in NAMES], PUBLISHED[temperature], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_two_time_steps_give_the_quantum_chain(temperature):
    found = []
    for n_per_unit in (8, 16):
        lines = Worldlines((round(n_per_unit / temperature), 8), time_step=1 / n_per_unit, field=1.0)
        assert lines.temperature == pytest.approx(temperature)
        ising = IsingSampler(lines.lattice_shape, 1.0, coupling=lines.action_couplings)
        found.append(phase_curve(ising, [1.0], observables=lines.observables, n_samples=6000, random_state=1))
    exact = quantum(8, 1.0, temperature)
    for name in NAMES:
        value, error = trotter_extrapolate(found[0][name], found[1][name])
        assert abs(value[0] - exact[name]) < 5 * error[0], name
        assert error[0] < 0.02


@pytest.mark.parametrize("field", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_quantum_couplings_undo_those_of_the_action(field):
    K_t, K_x = Worldlines((4, 4), 1 / 8, field, coupling=1.3).action_couplings
    coupling, found = quantum_couplings((K_t, 1e-6), (K_x, 1e-3), 1 / 8)
    assert (coupling.value, found.value) == pytest.approx((1.3, field), rel=1e-12)
    moved = quantum_couplings((K_t + 1e-6, 0.0), (K_x + 1e-3, 0.0), 1 / 8)
    assert coupling.error == pytest.approx(abs(moved[0].value - coupling.value), rel=1e-9)
    assert found.error == pytest.approx(abs(moved[1].value - found.value), rel=1e-4)


def action_of(lines, symmetries="spin-flip", sparsity=0.1):
    """Fit an action to all trajectories, weighted by their exact probabilities."""
    X = np.random.default_rng(0).permutation(enumerate_states((-1, 1), math.prod(lines.lattice_shape)))
    weight = np.exp(-IsingSampler(lines.lattice_shape, 1.0, coupling=lines.action_couplings).energy(X))
    how = {"boundary": "periodic", "window_shape": 2, "symmetries": symmetries, "sparsity": sparsity}
    action = LocalHamiltonian(1.0, lattice_shape=lines.lattice_shape, **how)
    return action.fit(X, sample_weight=weight * len(X) / weight.sum())


@pytest.mark.parametrize(
    ("shape", "symmetries"),
    [((4, 3), "spin-flip"), ((2, 5), "spin-flip"), ((3, 2, 2), ("point-group", "spin-flip")), ((3, 2, 2), "spin-flip")],
)
def test_action_of_all_trajectories_is_the_model(shape, symmetries):
    lines = Worldlines(shape, time_step=0.3, field=0.8, coupling=0.6)
    found = action_couplings(action_of(lines, symmetries))
    np.testing.assert_allclose([value for value, _ in found], lines.action_couplings, rtol=1e-5)
    coupling, field = quantum_couplings(*found[:2], time_step=0.3)
    assert (coupling.value, field.value) == pytest.approx((0.6, 0.8), rel=1e-5)


def test_errors_of_an_action_are_those_of_its_fit():
    action = LocalHamiltonian(2.0, lattice_shape=(4, 3), boundary="periodic", symmetries="spin-flip")
    X = IsingSampler((4, 3), 1.0, coupling=(0.7, 0.3)).sample(n_samples=2000, random_state=0)
    (K_t, error_t), (K_x, error_x) = action_couplings(action.fit(X))
    assert [K_t, K_x] == pytest.approx(sorted(action.couplings_ / 2, reverse=True))
    assert sorted([error_t**2, error_x**2]) == pytest.approx(sorted(np.diag(action.covariance_) / 4))
    assert abs(K_t - 0.7) < 4 * error_t
    assert abs(K_x - 0.3) < 4 * error_x


def test_free_sites_have_no_coupling_in_space():
    X = IsingSampler((4, 6), 1.0, coupling=(0.7, 0.0)).sample(n_samples=1000, random_state=0)
    action = LocalHamiltonian(1.0, lattice_shape=(4, 6), boundary="periodic", symmetries="spin-flip").fit(X)
    _, (value, error) = action_couplings(action)
    assert value == 0
    assert math.isnan(error)


def test_actions_of_other_models_are_told(spins):
    X = spins(500, 16)
    action = LocalHamiltonian(1.0, lattice_shape=(4, 4), boundary="periodic", window_shape=2, random_state=0)
    with pytest.raises(ValueError, match="no coupling along time"):
        action_couplings(action.fit(X))
    with pytest.raises(ValueError, match="'point-group' exchanges time with space"):
        action_couplings(action.set_params(symmetries="point-group").fit(X))
    action.clusters_ = None  # as a network leaves it
    with pytest.raises(ValueError, match="a network has no couplings"):
        action_couplings(action)
    with pytest.warns(UserWarning, match=r"couples more than neighbours.*\[\[1, 1\], \[1, 1\]\]"):
        action_couplings(action_of(Worldlines((4, 3), time_step=0.3, field=0.8), sparsity=0.0))


def test_extrapolation_is_exact_for_squares_of_the_time_step():
    a, b, steps = np.array([0.3, -1.2]), np.array([2.0, 5.0]), (0.3, 0.1)
    coarse, fine = ((a + b * step**2, np.array([0.01, 0.02])) for step in steps)
    value, error = trotter_extrapolate(coarse, fine, ratio=3.0)
    np.testing.assert_allclose(value, a, rtol=1e-12)
    np.testing.assert_allclose(error, np.array([0.01, 0.02]) * math.hypot(9, 1) / 8)
    assert isinstance(trotter_extrapolate((1.0, 0.1), (2.0, 0.1)).value, float)


def test_slices_are_the_temperature():
    lines = Worldlines((8, 8), time_step=1 / 8, field=1.0)
    longer = lines.with_slices(32)
    assert (lines.temperature, longer.temperature) == (1.0, 0.25)
    assert lines.action_couplings == longer.action_couplings
    assert lines.action_couplings[1] == 1 / 8  # the coupling is 1 by default


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"field": 0.0}, "field must be a positive finite number, got 0.0"),
        ({"time_step": math.nan}, "time_step must be a positive finite number, got nan"),
        ({"lattice_shape": (8,)}, r"lattice_shape must be \(n_slices, n_sites, ...\), got \(8,\)"),
    ],
)
def test_wrong_worldlines_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Worldlines(**{"lattice_shape": (8, 8), "time_step": 0.1, "field": 1.0, **change})


@pytest.mark.parametrize("name", ["time_step", "field", "coupling", "lattice_shape"])
def test_limits_of_worldlines_are_no_worldlines(name):
    for number in (math.inf, -math.inf, *((0.0,) if name != "coupling" else ())):
        value = (8, number) if name == "lattice_shape" else number
        with pytest.raises((ValueError, TypeError), match=f"{name} must be"):
            Worldlines(**{"lattice_shape": (8, 8), "time_step": 0.1, "field": 1.0, name: value})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: quantum_couplings((x, 0.1), (0.1, 0.1), 0.1), "the coupling along time must be"),
        (lambda x: quantum_couplings((1.0, 0.1), (x or math.nan, 0.1), 0.1), "the coupling in space must be"),
        (lambda x: quantum_couplings((1.0, 0.1), (0.1, 0.1), x), "time_step must be"),
        (lambda x: trotter_extrapolate((1.0, 0.1), (2.0, 0.1), x or 1.0), "ratio must be"),
    ],
)
def test_limits_of_couplings_and_steps_are_refused(call, message):
    for number in (0.0, math.inf, -math.inf):
        with pytest.raises(ValueError, match=message):
            call(number)


def test_trajectories_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"X must have shape \(n_samples, 64\)"):
        Worldlines((8, 8), 0.1, 1.0).quantum_energy(np.ones((3, 8)))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1, -1, np.nan, 1]], "Input X contains NaN"),
        (np.ma.masked_equal([[1, -1, 0, 1]], 0), "masked array"),
        ([[1, 1, 0, 1]], "X must hold spins -1 and 1, got 0 in row 0, column 2"),
        ([["1", "1", "1", "1"]], "must be numbers"),
    ],
)
def test_what_is_no_trajectory_is_refused(X, message):
    """NaN differs from its neighbours, so it would count as kinks."""
    for observable in Worldlines((2, 2), 0.1, 1.0).observables.values():
        with pytest.raises((ValueError, TypeError), match=message):
            observable(X)


@pytest.mark.parametrize("field", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("temperature", [0.25, 2.0])
def test_free_fermions_of_the_example_are_the_chain(field, temperature):
    source = Path(__file__).parents[2].joinpath("examples", "plot_quantum_chain.py").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    names = {"np": np}
    exec(compile(ast.Module(functions, []), "plot_quantum_chain.py", "exec"), names)
    found = names["exact"](temperature, 8, field=field)
    expected = quantum(8, field, temperature)
    bond = -expected["quantum_energy"] - field * expected["transverse_magnetization"]
    assert found == pytest.approx((bond, expected["transverse_magnetization"]), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_trajectories_at_one_temperature_predict_others(seed):
    """Couplings, and averages at a quarter, one and two of 40 000 trajectories at one half, and the limit."""
    found = {}
    for n_per_unit in (4, 8):
        lines = Worldlines((2 * n_per_unit, 8), time_step=1 / n_per_unit, field=1.0)
        ising = IsingSampler(lines.lattice_shape, 1.0, coupling=lines.action_couplings, random_state=seed)
        action = LocalHamiltonian(
            1.0, lattice_shape=lines.lattice_shape, boundary="periodic", symmetries="spin-flip"
        ).fit(ising.sample(n_samples=40_000))
        assert len(action.clusters_) == 2
        learned = action_couplings(action)
        for (value, error), true, tolerance in zip(learned, lines.action_couplings, (0.005, 0.02), strict=True):
            assert abs(value - true) < min(2 * error, tolerance * true)
        coupling, field = quantum_couplings(*learned, lines.time_step)
        for T in (0.25, 1.0, 2.0):
            shape = (round(n_per_unit / T), 8)
            other = Worldlines(shape, lines.time_step, field.value, coupling.value)
            how = {"observables": other.observables, "n_samples": 20_000, "entropy": False, "random_state": seed}
            found[n_per_unit, T] = phase_curve(action.to_sampler(shape), [1.0], **how)
    for T in (0.25, 1.0, 2.0):
        exact = quantum(8, 1.0, T)
        for name in NAMES:
            value, _ = trotter_extrapolate(found[4, T][name], found[8, T][name])
            assert abs(value[0] - exact[name]) < 0.01, (T, name)


@pytest.mark.slow
@pytest.mark.parametrize(("n_slices", "log_z"), [(8, 11.384706), (4, 7.349507)])
def test_integrated_energy_gives_the_partition_sum(n_slices, log_z):
    """By `phase_curve` with the entropy, from the true couplings; the constant is that of Trotter's product."""
    lines = Worldlines((n_slices, 8), time_step=1 / 8, field=1.0)
    ising = IsingSampler(lines.lattice_shape, 1.0, coupling=lines.action_couplings)
    curve = phase_curve(ising, [1.0], n_samples=40_000, entropy=True, random_state=0)
    found = lines.log_constant - curve["free_energy"].value[0] * 8 * n_slices
    assert found == pytest.approx(log_z, abs=0.05)


@pytest.mark.parametrize("shape", [(4, 3, 1), (4, 1, 3), (4, 1, 3, 1)])
def test_axes_of_one_site_change_no_observable(shape):
    X = np.random.default_rng(0).choice([-1, 1], (20, 12))
    chain, same = (Worldlines(one, time_step=0.25, field=0.8, coupling=1.3) for one in ((4, 3), shape))
    for name, observable in chain.observables.items():
        np.testing.assert_allclose(observable(X), same.observables[name](X), err_msg=name)
    assert same.log_constant == chain.log_constant
