"""Angles: exact laws of small rings, densities per radian, symmetries, and what is no angle."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ive
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skhamiltonian import SKOPS_TRUSTED_TYPES, MADEHamiltonian, XYSampler, phase_curve
from skhamiltonian._lattice.symmetry import group_size, symmetric_copies, symmetry_sampler
from skhamiltonian._made.network import Network, encode, log_prob, masks, outputs
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.sweeps import Chains
from skhamiltonian._made.sampling.tempered import tempered_draws
from skhamiltonian._utils.alphabet import ANGLES, enumerate_states

SYMMETRIES = ("translation", "point-group", "rotation", "reflection")


def random_network(n_sites, seed=0, scale=0.3):
    """Return a network of angles with normal weights, sites drawn in a random order."""
    rng = np.random.default_rng(seed)
    *layers, skip_mask = masks(n_sites, ANGLES.n_inputs, ANGLES.n_outputs, (9,))
    weights = tuple(scale * rng.normal(size=m.shape) * m for m in layers)
    biases = tuple(scale * rng.normal(size=m.shape[1]) for m in layers)
    skip = scale * rng.normal(size=skip_mask.shape) * skip_mask
    return Network(weights, biases, skip, rng.permutation(n_sites), ANGLES, "tanh")


@pytest.fixture(scope="module", params=[(3, "smooth"), (4, "auto")], ids=["3 smooth", "4"])
def ring(request):
    """A model of a ring of angles, and its system."""
    n, calibrate = request.param
    xy = XYSampler((n,), 1.0, random_state=0)
    model = MADEHamiltonian(1.0, states="angle", lattice_shape=(n,), symmetries=SYMMETRIES, random_state=0)
    model.set_params(hidden_layer_sizes=(32,), max_iter=30 if calibrate == "smooth" else 8, calibrate=calibrate)
    return model.fit(xy.sample(n_samples=4000)), xy


def ring_log_z(n_sites, temperature):
    """ln Z of a ring: the eigenvalues of its transfer matrix are 2 pi I_n(1/T)."""
    lam = ive(np.arange(-200, 201), 1 / temperature)
    return n_sites * (np.log(2 * np.pi) + 1 / temperature) + np.log(np.sum(lam**n_sites))


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("n_sites", [3, 4])
def test_the_grid_has_the_partition_sum_of_real_angles(n_sites, temperature):
    weight = np.exp((np.cos(ANGLES.states[:, None] - ANGLES.states) - 1) / temperature)
    log_z = np.log(np.trace(np.linalg.matrix_power(weight, n_sites))) + n_sites / temperature
    assert log_z + n_sites * ANGLES.log_cell == pytest.approx(ring_log_z(n_sites, temperature), abs=1e-6)


@given(seed=st.integers(0, 2**16))
def test_a_conditional_sees_only_sites_drawn_before(seed):
    network, rng = random_network(5, seed), np.random.default_rng(seed)
    codes = rng.integers(64, size=(1, 5)).astype(np.int8)
    before = outputs(network, encode(codes, network)).reshape(5, -1)
    for position, site in enumerate(network.ordering):
        changed = codes.copy()
        changed[0, site] = (codes[0, site] + 7) % 64
        moved = (outputs(network, encode(changed, network)).reshape(5, -1) != before).any(axis=1)
        np.testing.assert_array_equal(moved, np.arange(5) > position)


def test_probabilities_sum_to_one():
    codes = enumerate_states(np.arange(64), 3).astype(np.int8)
    network = random_network(3, scale=1.0)
    total = sum(np.exp(log_prob(network, part)).sum() for part in np.array_split(codes, 64))
    assert total == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0])
def test_draws_know_their_weight_and_the_partition_sum(exponent):
    network, tilt = random_network(2, scale=0.5), 0.3 * np.cos(ANGLES.states)
    codes, law = enumerate_states(np.arange(64), 2).astype(np.int8), Law(exponent, tilt)
    log_w = law.log_weight(log_prob(network, codes), codes)
    draws = [tempered_draws(network, 4000, law, np.random.default_rng(i)) for i in range(16)]
    np.testing.assert_allclose(draws[0].log_prob, log_prob(network, draws[0].codes), atol=1e-4)
    ratio = np.exp([d.log_partition - np.logaddexp.reduce(log_w) for d in draws])
    assert abs(ratio.mean() - 1) < 5 * ratio.std(ddof=1) / 4 + 1e-6


def test_running_log_prob_of_chains_equals_full_recomputation():
    network = random_network(20)
    start = np.random.default_rng(0).integers(64, size=(6, 20)).astype(np.int8)
    chains = Chains(network, start, Law(0.7), [np.random.default_rng(i) for i in range(6)])
    chains.sweep(30)
    assert (chains.codes != start).mean() > 0.8
    np.testing.assert_allclose(chains.log_prob, log_prob(network, chains.codes), atol=1e-3)


def test_a_ring_is_learned(ring):
    """Slope on the true energy, entropy per radian and energies elsewhere, against the transfer matrix."""
    made, xy = ring
    n = made.n_features_in_
    assert made.calibration_["method"] == ("smooth" if made.calibrate == "smooth" else "local")
    X = xy.sample(n_samples=4000, random_state=1)
    assert np.polyfit(xy.energy(X), made.energy(X), 1)[0] == pytest.approx(1, abs=0.03)
    step = 1e-4
    for T in (0.5, 1.0, 2.0):
        curve = phase_curve(made, [T], n_samples=16_000, random_state=0)
        beta = 1 / T
        u = -(ring_log_z(n, 1 / (beta + step)) - ring_log_z(n, 1 / (beta - step))) / (2 * step)
        s = (ring_log_z(n, T) + beta * u) / n
        assert curve["entropy"].value[0] == pytest.approx(s, abs=0.03)
        assert np.mean(xy.energy(made.sample(T, n_samples=8000, method="tempered"))) == pytest.approx(u, abs=0.08)


def test_score_counts_angles_modulo_two_pi(ring):
    made, xy = ring
    X = xy.sample(n_samples=50)
    turns = 2 * np.pi * np.arange(-1, made.n_features_in_ - 1)
    np.testing.assert_allclose(made.score_samples(X + turns), made.score_samples(X))
    assert made.sample(n_samples=100).min() >= 0
    assert made.sample(n_samples=100).max() < 2 * np.pi


def test_a_field_turns_angles_to_zero(ring):
    X = ring[0].sample(1.0, n_samples=2000, field=2.0, method="tempered")
    assert np.cos(X).mean() > 0.7
    assert abs(np.sin(X).mean()) < 0.05


def test_further_learning_and_pickles_keep_the_law(ring):
    made, xy = ring
    again, X = pickle.loads(pickle.dumps(made)), xy.sample(n_samples=200)
    np.testing.assert_array_equal(again.score_samples(X), made.score_samples(X))
    again.partial_fit(X)
    assert again.is_angle_
    assert np.isfinite(again.score(X))


def test_free_angles_have_the_partition_sum_of_the_circle():
    """p is 1 / (2 pi) for each angle, and ln of the integral of p^(T0/T) is N (1 - T0/T) ln(2 pi)."""
    X = np.random.default_rng(0).uniform(0, 2 * np.pi, (60, 3))
    made = MADEHamiltonian(
        1.5, states="angle", hidden_layer_sizes=(4,), max_iter=1, calibrate=False, random_state=0
    ).fit(X)
    for array in (*made.coefs_, *made.intercepts_, made.skip_coef_):
        array[:] = 0
    for T in (0.5, 1.5, 6.0):
        draws = made.draws(T, n_samples=20, random_state=0)
        wanted = 3 * (1 - 1.5 / T) * np.log(2 * np.pi)
        np.testing.assert_allclose(draws.log_partition, wanted, atol=1e-5)
        np.testing.assert_allclose(draws.energy, 1.5 * 3 * np.log(2 * np.pi), rtol=1e-5)


def test_angles_pass_through_scikit_learn():
    """Degrees become radians in a pipeline, folds are scored, fits continue, and files keep the law."""
    xy = XYSampler((3,), 1.0, random_state=0)
    X = xy.sample(n_samples=150)
    made = MADEHamiltonian(1.0, states="angle", hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(np.deg2rad), made)
    scores = cross_val_score(pipeline, np.rad2deg(X), cv=2)
    assert scores.shape == (2,)
    assert np.all(scores < 0)
    made.fit(X).set_params(warm_start=True).fit(X)
    assert made.n_iter_ == 4
    assert made.loss_curve_[2] < made.loss_curve_[0]
    sio = pytest.importorskip("skops.io")
    again = sio.loads(sio.dumps(made), trusted=list(SKOPS_TRUSTED_TYPES))
    np.testing.assert_array_equal(again.score_samples(X), made.score_samples(X))
    curve = phase_curve(made, [0.3, 1.0], n_samples=500, random_state=0)
    assert curve.support[1] == 150
    assert 0 < curve.support[0] < 100


def test_copies_have_the_energy_of_their_row():
    xy, rng = XYSampler((3, 3)), np.random.default_rng(0)
    codes = rng.integers(64, size=(100, 9)).astype(np.int8)
    copies = symmetric_copies(codes, symmetry_sampler((3, 3), SYMMETRIES, 64), rng, 1)
    energies = (xy.fit(ANGLES.states[c]).energy(ANGLES.states[c]) for c in (codes, copies))
    np.testing.assert_allclose(*energies, atol=1e-9)
    assert group_size((3, 3), SYMMETRIES, 64) == 9 * 8 * 128


RNG = np.random.default_rng(0)
REFUSED = {
    "degrees": (RNG.uniform(0, 360, (50, 4)), "radians"),
    "signed degrees": (RNG.uniform(-180, 180, (50, 4)), "radians"),
    "integers": (RNG.integers(0, 6, (50, 4)), "radians"),
    "whole floats": (RNG.integers(0, 6, (50, 4)) * 1.0, "radians"),
    "nan": (np.full((50, 4), np.nan), "NaN"),
    "inf": (np.full((50, 4), np.inf), "infinity"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_angle_is_refused_by_name(case):
    X, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        MADEHamiltonian(states="angle", max_iter=1).fit(X)


@pytest.mark.parametrize(
    "X", [np.full((1, 3), 0.4), np.zeros((5, 3)), np.full((300, 2), 3.1)], ids=["row", "zero", "constant"]
)
def test_few_and_constant_angles_are_learned(X):
    made = MADEHamiltonian(states="angle", hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X)
    assert np.isfinite(made.score_samples(X)).all()


def test_symmetries_and_options_of_numbers_are_refused_by_name():
    X = RNG.uniform(0, 6, (50, 4))
    for options in ({"symmetries": ("spin-flip",)}, {"whiten": True}):
        with pytest.raises(ValueError, match=next(iter(options)) if "whiten" in options else "spin-flip"):
            MADEHamiltonian(states="angle", max_iter=1, **options).fit(X)
    with pytest.raises(ValueError, match="rotation"):
        MADEHamiltonian(symmetries=("rotation",), max_iter=1).fit(np.sign(X - 3).astype(int))
