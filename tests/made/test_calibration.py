"""Calibration: exact where the truth is enumerated, refused where it does not help, the same in every sampler."""

import numpy as np
import pytest
from laws import taken_as_true
from sklearn.base import clone

from skhamiltonian import IsingSampler, MADEHamiltonian, phase_curve
from skhamiltonian._made.calibration import N_FEATURES, N_NOISE, Calibration, features
from skhamiltonian._made.calibration_fit import Sample, _coefficients, _scales, drawn_sample, smooth_calibration
from skhamiltonian._made.fitting import calibrated
from skhamiltonian._made.network import log_prob, uncalibrated_log_prob
from skhamiltonian._utils.alphabet import enumerate_states

POOR = MADEHamiltonian(2.5, hidden_layer_sizes=(8,), max_iter=2, learning_rate_init=0.02, random_state=0)


@pytest.fixture(scope="module")
def states():
    return enumerate_states((-1, 1), 16).astype(np.int8)


def true_log_prob(ising, states):
    log_weight = -ising.energy(states) / ising.temperature
    return log_weight - np.logaddexp.reduce(log_weight)


def divergence(model, ising, states):
    """KL of the true law from the learned one, by enumeration."""
    log_q = true_log_prob(ising, states)
    return np.exp(log_q) @ (log_q - model.score_samples(states))


@pytest.mark.parametrize("coupling", [1.0, -1.0], ids=["ferromagnet", "antiferromagnet"])
def test_a_poor_network_is_mended(states, coupling):
    """The leading component is the magnetization of one system and the staggered one of the other."""
    ising = IsingSampler(lattice_shape=(4, 4), temperature=2.5, coupling=coupling, random_state=0)
    X = ising.sample(n_samples=5000)
    raw, model = clone(POOR).set_params(calibrate=False).fit(X), clone(POOR).fit(X)
    assert raw.calibration_ is None
    staggered = 1 - 2 * (np.indices((4, 4)).sum(axis=0).ravel() % 2)
    order = np.ones(16) if coupling > 0 else staggered
    assert abs(model.calibration_["direction"] @ order) / 4 > 0.99
    before, after = divergence(raw, ising, states), divergence(model, ising, states)
    assert after < 0.7 * before
    # The gain stated is the gain there is, but for the tenth of the rows the raw network saw in addition.
    assert model.calibration_["gain"] == pytest.approx(before - after, abs=0.15 * before)


def test_small_systems_are_normalised_to_the_last_digit(states):
    X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=2000)
    model = clone(POOR).fit(X)
    assert model.calibration_["log_normalizer_error"] == 0
    assert np.logaddexp.reduce(model.score_samples(states)) == pytest.approx(0, abs=1e-9)


def smooth(network, rows, log_p, even, seed):
    """The smooth calibration of codes with their log p, by draws of its own."""
    draw_seed, fit_seed = np.random.SeedSequence(seed).spawn(2)
    drawn = drawn_sample(network, len(rows), draw_seed)
    return smooth_calibration(network, Sample(rows, log_p), drawn, (None, even), fit_seed)[0]


def test_normaliser_from_draws_covers_the_enumerated_one(random_network, monkeypatch):
    """Over 40 independent calibrations, z-scores of ln <e^g> against enumeration have unit variance."""
    monkeypatch.setattr("skhamiltonian._made.calibration_fit._MAX_ENUMERATED", 0)
    monkeypatch.setattr("skhamiltonian._made.calibration_fit._MIN_DRAWS", 2000)
    network, target = (random_network(10, 2, (6,), activation="tanh", seed=s, scale=0.3) for s in (0, 1))
    codes = enumerate_states((0, 1), 10).astype(np.int8)
    p = np.exp(log_prob(target, codes))
    z = []
    for seed in range(40):
        rows = codes[np.random.default_rng(seed).choice(len(codes), 2000, p=p / p.sum())]
        numbers = smooth(network, rows, uncalibrated_log_prob(network, rows), False, seed)
        error_of_log_z = np.logaddexp.reduce(log_prob(calibrated(network, numbers), codes))
        z.append(error_of_log_z / numbers["log_normalizer_error"])
    # chi-square of 40: within 0.4 ... 1.9 but once in 10^4; draws also fit g, which lowers it a little.
    assert 0.4 < np.var(z) < 1.9
    assert abs(np.mean(z)) < 4 / np.sqrt(40)


@pytest.mark.parametrize("method", ["tempered", pytest.param("metropolis", marks=pytest.mark.slow)])
def test_every_sampler_draws_from_the_calibrated_law(states, method):
    X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=2000)
    model = clone(POOR).fit(X)
    temperatures = np.array([1.5, 2.5, 4.0])
    curves = [
        phase_curve(taken_as_true(model), temperatures, n_samples=10_000, method=method, random_state=i)
        for i in range(8)
    ]
    value, error = np.mean([curve["energy"] for curve in curves], axis=0)
    log_weight = model.score_samples(states) * 2.5 / temperatures[:, None]
    p = np.exp(log_weight - np.logaddexp.reduce(log_weight, axis=1, keepdims=True))
    assert np.all(np.abs(value - p @ model.energy(states) / 16) < 4 * error / np.sqrt(8))
    drawn = model.sample(n_samples=20_000)
    m2 = np.exp(model.score_samples(states)) @ states.mean(axis=1) ** 2
    assert np.mean(drawn.mean(axis=1) ** 2) == pytest.approx(m2, abs=4 * np.std(drawn.mean(axis=1) ** 2) / 120)


def test_noise_is_not_calibrated(random_network):
    """Rows drawn from the network itself: nothing to gain, and the correction stays within its error."""
    network = random_network(12, 2, (6,), activation="tanh", scale=0.3)
    codes = enumerate_states((0, 1), 12).astype(np.int8)
    log_p = uncalibrated_log_prob(network, codes)
    chosen = np.random.default_rng(0).choice(len(codes), 5000, p=np.exp(log_p))
    numbers = smooth(network, codes[chosen], log_p[chosen], True, 0)
    assert abs(numbers["gain"]) <= 3 * numbers["gain_error"]


def test_a_harmful_correction_is_refused(random_network, monkeypatch):
    """Without a penalty 30 rows of the network's own law are fitted by their noise, and the folds show it."""
    monkeypatch.setattr("skhamiltonian._made.calibration_fit._INVERSE_PENALTY", 1e4)
    monkeypatch.setattr("skhamiltonian._made.calibration_fit._MIN_DRAWS", 2000)
    network = random_network(12, 2, (6,), activation="tanh", scale=0.3)
    codes = enumerate_states((0, 1), 12).astype(np.int8)
    log_p = uncalibrated_log_prob(network, codes)
    results = []
    for seed in range(24):
        rows = np.random.default_rng(seed).choice(len(codes), 30, p=np.exp(log_p))
        results.append(smooth(network, codes[rows], log_p[rows], False, seed))
    refused = [numbers for numbers in results if numbers["gain"] == 0]
    assert refused
    for numbers in refused:
        assert not numbers["coef"].any()
        assert numbers["log_normalizer_error"] == 0
        assert np.ptp(calibrated(network, numbers).calibration.energy_errors(log_p, codes), axis=0).min() > 0


def test_user_names_the_order_parameter():
    X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=500)
    weights = np.arange(16)
    assert clone(POOR).set_params(order_parameter=weights).fit(X).calibration_["direction"].tolist() == weights.tolist()
    with pytest.raises(ValueError, match=r"the 16 finite weights of the sites, got \[1, 2\]"):
        clone(POOR).set_params(order_parameter=[1, 2]).fit(X)


def test_rows_that_the_network_remembers_do_not_calibrate():
    """Noise has nothing to be learned: 1000 rows of it are memorised, and only the 100 held back are used."""
    X = np.random.default_rng(0).choice([-1, 1], (1000, 40)).astype(np.int8)
    memorised = MADEHamiltonian(hidden_layer_sizes=(256,), max_iter=30, random_state=0).fit(X).calibration_
    assert memorised is None or memorised["n_rows"] == 100
    few = MADEHamiltonian(hidden_layer_sizes=(256,), max_iter=30, random_state=0).fit(X[:500])
    assert few.calibration_ is None
    X = IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=2000)
    assert clone(POOR).fit(X).calibration_["n_rows"] == 2000


def test_features_are_continuous_and_tame_beyond_the_data():
    scales = np.array([-3.0, 0.5, -2.0, 1.5, 0.2, 0.8, 2.0])
    log_p, order = np.linspace(-40, 20, 60_001), np.linspace(-5, 5, 60_001)
    values = np.stack(features(log_p, order, scales))
    assert values.shape[0] == N_FEATURES
    h = (log_p - scales[0]) * scales[1]
    inside = (h > -2) & (h < 1.5)
    np.testing.assert_allclose(values[1][inside], h[inside] ** 2, rtol=1e-12)
    slope = np.gradient(values[1], h)
    assert np.abs(np.diff(slope)).max() < 0.01
    assert slope.min() == pytest.approx(-4, abs=1e-3)
    assert slope.max() == pytest.approx(3, abs=1e-3)
    assert values[2].max() == 2.0


def test_a_calibration_is_its_formula():
    """Term by term, of states whose log p lies below, inside and above the data, and two beyond them in r^2."""
    scales, coef = np.array([-3.0, 0.5, -2.0, 1.5, 0.2, 0.8, 2.0]), np.array([0.4, 0.3, -0.6, 0.2, 0.7, 0.1, -0.3, 0.9])
    no_errors = np.zeros((N_NOISE, 0)), np.zeros(0)
    calibration = Calibration(np.array([1.0, -2.0]), np.array([-1.0, 0.5, 2.0]), scales, coef, *no_errors)
    codes, log_p = np.array([[0, 1], [2, 0], [1, 1], [0, 2]], np.int8), np.array([-9.0, -2.0, 1.0, -5.0])
    wanted = []
    for m, x in zip((-2.0, 4.0, -0.5, -5.0), log_p, strict=True):
        h, r = 0.5 * (x + 3), 0.8 * (m - 0.2)
        h2, q = h * h, min(2, r * r)
        if h < -2:
            h2 = 4 - 4 * (h + 2)
        if h > 1.5:
            h2 = 1.5**2 + 3 * (h - 1.5)
        wanted.append(0.4 * h + 0.3 * h2 - 0.6 * q + 0.2 * q * h + 0.7 * q**2 + 0.1 * r - 0.3 * r * h - 0.9)
    np.testing.assert_allclose(calibration(log_p, codes), wanted, rtol=1e-12)


@pytest.mark.parametrize("even", [False, True])
def test_scales_standardise_the_draws_and_end_with_the_data(even):
    rng = np.random.default_rng(0)
    log_p, drawn_log_p = rng.normal(-9, 2, (2, 5000))
    order, drawn_order = rng.normal(1, 3, (2, 5000))
    centre, inverse_width, low, high, offset, inverse_order_width, top = _scales(
        log_p, drawn_log_p, order, drawn_order, even
    )
    h = (drawn_log_p - centre) * inverse_width
    assert (h.mean(), h.std()) == pytest.approx((0, 1), abs=1e-12)
    every_h = (np.append(log_p, drawn_log_p) - centre) * inverse_width
    assert ((every_h < low).sum(), (every_h > high).sum()) == (10, 10)
    r = (np.append(order, drawn_order) - offset) * inverse_order_width
    assert offset == (0 if even else pytest.approx(np.append(order, drawn_order).mean()))
    assert ((r**2).mean(), (r**2).max()) == pytest.approx((1, top))
    assert np.isfinite(_scales(*np.zeros((4, 9)), even)).all()


def test_the_penalty_of_a_feature_does_not_depend_on_its_unit():
    rng = np.random.default_rng(0)
    x, y, unit = rng.normal(0.3, 1, (200, 3)), rng.normal(0, 1, (500, 3)), np.array([1.0, 1000.0, 0.01])
    x[:, 2] = y[:, 2] = 1.0
    coef = _coefficients(x, y)  # the last feature is constant, and in another unit but for rounding
    np.testing.assert_allclose(_coefficients(x * unit, y * unit)[:2], coef[:2] / unit[:2], rtol=1e-6)
    assert (abs(coef[:2]) > 0.1).all()
    assert coef[2] == pytest.approx(0, abs=1e-6)


def test_draws_at_the_temperature_of_the_data_are_independent_rows():
    """Neighbouring rows, and rows one round of chains apart, share nothing; hardly a row of 64 sites occurs twice."""
    X = IsingSampler(lattice_shape=(8, 8), temperature=3.5, random_state=0).sample(n_samples=20_000)
    model = MADEHamiltonian(3.5, hidden_layer_sizes=(32,), max_iter=5, random_state=0).fit(X)
    assert model.calibration_ is not None
    drawn = model.sample(n_samples=20_000)
    energy = model.energy(drawn)
    for lag in (1, 256):
        assert abs(np.corrcoef(energy[lag:], energy[:-lag])[0, 1]) < 4 / np.sqrt(20_000)
    assert len(np.unique(drawn, axis=0)) > 19_900
