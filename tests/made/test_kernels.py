"""Kernels of a masked network, small enough to run without the compiler: every decision against full recomputation."""

from dataclasses import replace

import numpy as np
import pytest

from skhamiltonian._made.network import log_prob, uncalibrated_log_prob
from skhamiltonian._made.sampling import sweeps
from skhamiltonian._made.sampling.acceptance import LAZINESS, RULES
from skhamiltonian._made.sampling.kernels import activation, exp
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.sweeps import Chains

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),  # int32 that wraps, uncompiled
]


def generators(n_chains):
    return [np.random.default_rng(child) for child in np.random.SeedSequence(3).spawn(n_chains)]


def one_sweep(network, codes, law, rule, rngs):
    """One sweep as its definition has it: log w of every proposal from the whole configuration, in float64."""
    n_choices, n_accepted, n_proposed = network.n_states - 1, 0, 0
    uniform = np.stack([rng.random(network.n_sites) for rng in rngs]) * n_choices
    step = uniform.astype(np.int8)
    u = uniform - step
    for d, site in enumerate(network.ordering):
        new = codes.copy()
        new[:, site] = (codes[:, site] + 1 + step[:, d]) % network.n_states
        old_w, new_w = (law.log_weight(log_prob(network, c), c) for c in (codes, new))
        offered = np.full(len(codes), True) if rule == "heat-bath" else u[:, d] >= LAZINESS
        if rule == "heat-bath":
            accepted = u[:, d] < 1 / (1 + np.exp(old_w - new_w))
        else:
            accepted = offered & ((u[:, d] - LAZINESS) / (1 - LAZINESS) < np.exp(new_w - old_w))
        n_accepted += accepted.sum()
        n_proposed += offered.sum()
        codes = np.where(accepted[:, None], new, codes)
    return codes, n_accepted, n_proposed


def test_the_exponential_has_six_digits():
    for x in np.append(-np.geomspace(1e-4, 87, 400), 0).astype(np.float32):
        assert exp(x) == pytest.approx(np.exp(np.float64(x)), rel=3e-7 + 1e-7 * abs(float(x)))  # that of x / ln 2
    assert exp(np.float32(-1e30)) == pytest.approx(np.exp(-87), rel=1e-5)


@pytest.mark.parametrize("name", range(4))
def test_activations_have_six_digits(name):
    for x in np.append(np.geomspace(1e-3, 50, 100), 0).astype(np.float32):
        for a in (x, -x):
            y = np.float64(a)
            wanted = [max(y, 0), np.tanh(y), 1 / (1 + np.exp(-y)), y / (1 + np.exp(-y))][name]
            assert activation(a, name) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


CASES = {
    "one chain": (34, 2, (37, 19), "relu", 1, 4, {}),
    "one chain of three states": (9, 3, (20, 17), "silu", 1, 20, {"calibrated": 1}),
    "one strongly calibrated chain": (9, 2, (20,), "tanh", 1, 40, {"calibrated": 10}),
    "strongly calibrated": (6, 2, (20,), "silu", 3, 4, {"calibrated": 10}),
    "three states": (6, 3, (17,), "logistic", 3, 2, {"calibrated": 3}),
    "no hidden units": (17, 2, (), "relu", 3, 2, {}),
    "no skips": (6, 4, (5,), "tanh", 3, 2, {"skip": False}),
    "one site": (1, 3, (4,), "relu", 3, 8, {}),
    "two tiles": (4, 2, (20, 18), "tanh", 18, 2, {}),
    "two blocks of sites": (18, 2, (37, 9), "relu", 3, 2, {}),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", CASES)
def test_every_decision_is_that_of_full_recomputation(random_network, monkeypatch, case, rule):
    """Halfway on from other states, with a call for every site."""
    n_sites, n_states, hidden, activation, n_chains, n_sweeps, options = CASES[case]
    network = random_network(n_sites, n_states, hidden, activation=activation, scale=0.3, **options)
    if network.calibration:
        coef = options["calibrated"] * network.calibration.coef
        network = replace(network, calibration=replace(network.calibration, coef=coef))
    rng, field = np.random.default_rng(0), np.linspace(-0.4, 0.7, n_sites)[:, None]
    law = Law(1.4, field * np.linspace(-1, 1, n_states))
    codes, again = rng.integers(n_states, size=(2, n_chains, n_sites)).astype(np.int8)
    chains, rngs = Chains(network, codes, law, generators(n_chains), rule), generators(n_chains)
    n_accepted = n_proposed = 0
    for sweep in range(n_sweeps):
        if sweep == n_sweeps // 2:
            monkeypatch.setattr(sweeps, "_CHUNK", 1)
            chains.codes = codes = again
        codes, accepted, proposed = one_sweep(network, codes, law, rule, rngs)
        n_accepted, n_proposed = n_accepted + accepted, n_proposed + proposed
        chains.sweep()
        np.testing.assert_array_equal(chains.codes, codes)
        np.testing.assert_allclose(chains.log_prob, uncalibrated_log_prob(network, codes), rtol=3e-6, atol=3e-6)
    assert chains.n_accepted == n_accepted > 0
    assert chains.n_proposed == n_proposed > n_accepted


def test_rounding_errors_are_forgotten(random_network, monkeypatch):
    """A wrong log p stays until as many proposals have been made as `_REFRESH` says."""
    monkeypatch.setattr(sweeps, "_REFRESH", 20)
    network = random_network(10, 2, (7,), scale=0.3)
    chains = Chains(network, np.zeros((2, 10), np.int8), Law(1.0), generators(2))
    chains.sweep()
    chains._walk._state.log_prob[:] += 1.0
    for right in (False, True):
        chains.sweep()
        assert np.allclose(chains.log_prob, log_prob(network, chains.codes), atol=1e-5) == right


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_nan_of_one_chain_is_refused(random_network):
    network = random_network(6, 2)
    network.biases[-1][3] = np.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        Chains(network, np.zeros((1, 6), np.int8), Law(1.0), generators(1)).sweep()
