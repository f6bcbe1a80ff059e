"""Kernels of a masked network, small enough to run without the compiler: every decision against full recomputation."""

from dataclasses import replace

import numpy as np
import pytest

from skhamiltonian._made.kernels.arithmetic import _act, _exp, _log
from skhamiltonian._made.kernels.sweep import _hopeless, _log_ratio
from skhamiltonian._made.network import log_prob, uncalibrated_log_prob
from skhamiltonian._made.sampling import sweeps as _metropolis
from skhamiltonian._made.sampling.sweeps import Chains

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),  # int32 that wraps, uncompiled
]


def generators(n_chains):
    return [np.random.default_rng(child) for child in np.random.SeedSequence(3).spawn(n_chains)]


def heat_bath(network, codes, exponent, tilt, rngs):
    """One sweep as its definition has it: log w of every proposal from the whole configuration, in float64."""
    n_choices, n_accepted = network.n_states - 1, 0
    uniform = np.stack([rng.random(network.n_sites) for rng in rngs]) * n_choices
    step = uniform.astype(np.int8)
    u = uniform - step
    for d, site in enumerate(network.ordering):
        new = codes.copy()
        new[:, site] = (codes[:, site] + 1 + step[:, d]) % network.n_states
        old_w, new_w = (exponent * log_prob(network, c) + tilt[c].sum(axis=1) for c in (codes, new))
        accepted = u[:, d] < 1 / (1 + np.exp(old_w - new_w))
        n_accepted += accepted.sum()
        codes = np.where(accepted[:, None], new, codes)
    return codes, n_accepted


def test_exponential_and_logarithm_have_six_digits():
    for x in np.append(-np.geomspace(1e-4, 87, 400), 0).astype(np.float32):
        assert _exp(x) == pytest.approx(np.exp(np.float64(x)), rel=3e-7 + 1e-7 * abs(float(x)))  # that of x / ln 2
        y = np.float32(np.exp(-np.float64(x) / 2))
        assert _log(y) == pytest.approx(np.log(np.float64(y)), rel=3e-7, abs=2e-7)
    assert _exp(np.float32(-1e30)) == pytest.approx(np.exp(-87), rel=1e-5)


@pytest.mark.parametrize("name", range(4))
def test_activations_have_six_digits(name):
    for x in np.append(np.geomspace(1e-3, 50, 100), 0).astype(np.float32):
        for a in (x, -x):
            y = np.float64(a)
            wanted = [max(y, 0), np.tanh(y), 1 / (1 + np.exp(-y)), y / (1 + np.exp(-y))][name]
            assert _act(a, name) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


def test_nothing_is_given_up_that_may_be_accepted():
    """Corrections bend log w up and down again: what rejects at the bound may accept below it."""
    rng, n_hopeless = np.random.default_rng(0), 0
    for _ in range(1000):
        scales = np.array([-3.0, 0.5, -2.0, 1.5, 0.2, 0.8, 2.0])
        coef, log_p, order, new_order = rng.normal(size=7), rng.uniform(-12, 2), rng.normal(), rng.normal()
        bound, tilt, logit = rng.uniform(0, 8), rng.normal(), rng.normal() + 3
        arrays = [np.array([x]) for x in (bound, new_order - order, tilt)]
        state = [np.array([x]) for x in (log_p, order)]
        if _hopeless(*arrays, np.array([logit]), *state, 1.3, scales, coef):
            n_hopeless += 1
            gain = np.linspace(-20, bound, 50)
            change = [_log_ratio(log_p + g, new_order, scales, coef) for g in gain]
            change += gain - _log_ratio(log_p, order, scales, coef)
            assert (1.3 * change + tilt <= logit + 1e-9).all()
    assert 100 < n_hopeless < 900


CASES = {
    "one chain": (34, 2, (37, 19), "relu", 1, 4, {}),
    "one chain of three states": (9, 3, (20, 17), "silu", 1, 20, {"calibrated": 1}),
    "one strongly calibrated chain": (9, 2, (20,), "tanh", 1, 40, {"calibrated": 10}),
    "strongly calibrated": (6, 2, (20,), "silu", 3, 4, {"calibrated": 10}),
    "three states": (6, 3, (17,), "logistic", 3, 2, {"calibrated": 3}),
    "no hidden units": (17, 2, (), "relu", 3, 2, {}),
    "no skips": (6, 4, (5,), "tanh", 3, 2, {"skip": False}),
    "one site": (1, 3, (4,), "relu", 3, 2, {}),
    "two tiles": (4, 2, (20, 18), "tanh", 18, 2, {}),
    "two blocks of sites": (18, 2, (37, 9), "relu", 3, 2, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_decision_is_that_of_full_recomputation(random_network, monkeypatch, case):
    """Halfway on from other states under another law, with a call for every site."""
    n_sites, n_states, hidden, activation, n_chains, n_sweeps, options = CASES[case]
    network = random_network(n_sites, n_states, hidden, activation=activation, scale=0.3, **options)
    if network.calibration:
        coef = options["calibrated"] * network.calibration.coef
        network = replace(network, calibration=replace(network.calibration, coef=coef))
    exponent, tilt, rng = 1.4, np.linspace(-0.4, 0.7, n_states), np.random.default_rng(0)
    codes, again = rng.integers(n_states, size=(2, n_chains, n_sites)).astype(np.int8)
    chains, rngs = Chains(network, codes, exponent, tilt, generators(n_chains)), generators(n_chains)
    n_accepted = 0
    for sweep in range(n_sweeps):
        if sweep == n_sweeps // 2:
            monkeypatch.setattr(_metropolis, "_CHUNK", 1)
            codes, exponent, tilt = again, 0.5 * exponent, -tilt
            chains.codes = codes
            chains.set_law(exponent, tilt)
        codes, n = heat_bath(network, codes, exponent, tilt, rngs)
        n_accepted += n
        chains.sweep()
        np.testing.assert_array_equal(chains.codes, codes)
        np.testing.assert_allclose(chains.log_prob, uncalibrated_log_prob(network, codes), rtol=3e-6, atol=3e-6)
    assert chains.n_accepted == n_accepted > 0
    assert chains.n_proposed == n_sweeps * n_chains * n_sites > n_accepted


def test_rounding_errors_are_forgotten(random_network, monkeypatch):
    """A wrong log p stays until as many proposals have been made as `_REFRESH` says."""
    monkeypatch.setattr(_metropolis, "_REFRESH", 20)
    network = random_network(10, 2, (7,), scale=0.3)
    chains = Chains(network, np.zeros((2, 10), np.int8), 1.0, np.zeros(2), generators(2))
    chains.sweep()
    chains.tiles[0].log_prob[:] += 1.0
    for right in (False, True):
        chains.sweep()
        assert np.allclose(chains.log_prob, log_prob(network, chains.codes), atol=1e-5) == right


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_nan_of_one_chain_is_refused(random_network):
    network = random_network(6, 2)
    network.biases[-1][3] = np.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        Chains(network, np.zeros((1, 6), np.int8), 1.0, np.zeros(2), generators(1)).sweep()
