"""Chains on small networks against enumeration: every way to draw, with a field, at several temperatures."""

import contextlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from laws import enumerated_law, g_test, taken_as_true
from sklearn.exceptions import ConvergenceWarning

from skhamiltonian import IsingSampler, MADEHamiltonian, phase_curve
from skhamiltonian._made.sampling.chains import R_HAT_LIMIT, ChainPlan, burn_in_by_r_hat, chain_draws, parted_codes
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.moves import LadderChains, Seeds, SiteChains, exponents
from skhamiltonian._made.sampling.tempered import tempered_draws
from skhamiltonian._utils.alphabet import enumerate_states

METHODS = ["metropolis", "heat-bath", "window", "independence", "parallel-tempering", "tempered"]


@pytest.mark.parametrize(
    ("method", "n_sites", "n_states", "exponent"),
    [
        ("metropolis", 9, 2, 2.0),
        ("metropolis", 6, 3, 0.6),
        ("metropolis", 16, 2, 0.6),
        ("heat-bath", 9, 2, 0.6),
        ("heat-bath", 6, 3, 2.0),
        ("window", 9, 2, 0.6),
        ("window", 6, 3, 2.0),
        ("independence", 9, 2, 2.0),
        ("independence", 6, 3, 0.6),
        ("parallel-tempering", 9, 2, 2.0),
        ("parallel-tempering", 6, 3, 0.6),
        ("tempered", 9, 2, 0.6),
        ("tempered", 6, 3, 2.0),
        ("tempered", 16, 2, 2.0),
    ],
)
def test_every_method_draws_from_the_tempered_law_in_a_field(random_network, n_sites, n_states, exponent, method):
    """Six to sixteen sites; draws of a chain are five sweeps apart."""
    network = random_network(n_sites, n_states, scale=0.4, calibrated=n_states == 2)
    law, seed = Law(exponent, exponent * np.linspace(-0.2, 0.3, n_states)), np.random.SeedSequence(1)
    if method == "tempered":
        # A hundred rows of 2048 draws: more would share ancestors.
        codes = np.concatenate([parted_codes(network, 100, law, child) for child in seed.spawn(60)])
    else:
        codes = chain_draws(network, law, ChainPlan(64, 100, 20, 5, method), seed).codes.reshape(-1, n_sites)
    assert g_test(codes, network, enumerated_law(network, law)[0]) > 1e-4


@pytest.mark.parametrize(("n_sites", "n_states"), [(9, 2), (9, 3), (16, 2)])
@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 2.0, 5.0])
def test_partition_sum_of_tempered_draws(random_network, n_sites, n_states, exponent):
    network = random_network(n_sites, n_states, scale=0.4, calibrated=True)
    law = Law(exponent, np.linspace(-0.2, 0.3, n_states))
    log_z = [tempered_draws(network, 500, law, np.random.default_rng(i)).log_partition for i in range(40)]
    z = np.exp(log_z - enumerated_law(network, law)[1])
    assert abs(z.mean() - 1) < 4 * z.std() / np.sqrt(40) + 1e-5


def test_exchanges_carry_replicas_out_of_a_valley():
    """Two valleys that single sites at the target never leave: ladders visit both, from a start in one."""
    made = MADEHamiltonian(2.5, hidden_layer_sizes=(16,), max_iter=10, random_state=0)
    made.fit(IsingSampler(lattice_shape=(4, 4), temperature=2.5, random_state=0).sample(n_samples=5000))
    network, up = made._network(), np.ones((16, 16), np.int8)
    seeds = np.random.SeedSequence(0).spawn(17)
    magnetization = {}
    for run in (SiteChains, LadderChains):
        chains = run(network, up, Law(2.5), Seeds(seeds[:-1], np.random.SeedSequence(1)))
        trace = []
        for _ in range(100):
            chains.sweep()
            trace.append(2 * chains.codes.mean(axis=1) - 1)
        magnetization[run] = np.mean(trace[20:])
    assert magnetization[SiteChains] > 0.9
    assert abs(magnetization[LadderChains]) < 0.3


def test_ladder_ends_where_it_should(random_network):
    network = random_network(16, 2, scale=0.4)
    for exponent, hottest in ((25.0, 0.5), (2.0, 0.5), (1.0, 0.5), (0.4, 0.2)):
        ladder = exponents(network, Law(exponent, exponent * np.array([-0.1, 0.1])), np.random.default_rng(0))
        assert (ladder[0], ladder[-1]) == (exponent, hottest)
        assert np.all(np.diff(ladder) < 0)


def test_adaptive_burn_in_waits_for_slow_chains(random_network):
    """Weakly coupled chains agree at once; those in two valleys of unlike energy never do, and say so."""
    quick = SiteChains(random_network(16, 2, scale=0.1), *frozen_start(16))
    assert burn_in_by_r_hat(quick) <= R_HAT_LIMIT
    slow = SiteChains(random_network(16, 2, scale=0.4), *frozen_start(16, exponent=60.0))
    assert burn_in_by_r_hat(slow) > R_HAT_LIMIT


def free_network(random_network, n_sites=6, n_states=2):
    """Make a network of free sites, whose states are all equally likely."""
    network = random_network(n_sites, n_states, scale=0.0)
    return replace(network, ordering=np.arange(n_sites))


def test_a_given_burn_in_is_made(random_network):
    """Three sweeps and five more are seven and one more, for chains that draw from their own streams."""
    network, law = random_network(6, 3, scale=0.5), Law(1.7)
    one, other = (
        chain_draws(network, law, ChainPlan(8, 1, burn_in, n_sweeps, "heat-bath"), np.random.SeedSequence(0)).codes
        for burn_in, n_sweeps in ((3, 5), (7, 1))
    )
    np.testing.assert_array_equal(one, other)


def test_chains_of_different_tiles_have_different_streams(random_network):
    """The changes of free spins between two draws are their random numbers."""
    network = free_network(random_network, 40)
    codes = chain_draws(network, Law(2.0), ChainPlan(130, 2, 1, 1, "heat-bath"), np.random.SeedSequence(0)).codes
    changes = codes[:, 0] ^ codes[:, 1]
    assert len(np.unique(changes, axis=0)) == 130


def test_the_worst_tile_speaks_for_all_chains(random_network, monkeypatch):
    found = iter([1.02, 1.3, np.nan])
    monkeypatch.setattr("skhamiltonian._made.sampling.chains.burn_in_by_r_hat", lambda chains: next(found))
    plan = ChainPlan(130, 1, "auto", 1, "heat-bath")
    assert chain_draws(free_network(random_network), Law(2.0), plan, np.random.SeedSequence(0)).r_hat == 1.3


@pytest.mark.parametrize("n_sweeps", [1, 2, 7])
def test_all_exchanges_of_equal_energies_are_accepted(random_network, monkeypatch, n_sweeps):
    """Of three rungs or four, pairs (0, 1), (2, 3) and (1, 2) are offered in turn."""
    seeds = np.random.SeedSequence(0).spawn(5)
    for n_rungs in (3, 4):
        rungs = np.linspace(2.0, 0.5, n_rungs)
        monkeypatch.setattr("skhamiltonian._made.sampling.moves.exponents", lambda *_, rungs=rungs: rungs)
        chains = LadderChains(
            free_network(random_network), np.zeros((4, 6), np.int8), Law(2.0), Seeds(seeds[1:], seeds[0])
        )
        chains.sweep(n_sweeps)
        assert chains.move() == 1.0
        pairs = [n_rungs // 2, (n_rungs - 1) // 2]
        assert chains.n_offered == 4 * sum(pairs[t % 2] for t in range(n_sweeps))


def test_burn_in_ends_when_energy_and_order_agree(random_network, monkeypatch):
    """One of the two is enough to go on."""
    wanted = iter([1.0, 3.0, 3.0, 1.0, 1.01, 1.02])
    monkeypatch.setattr("skhamiltonian._made.sampling.chains.r_hat", lambda values, weight: next(wanted))
    assert burn_in_by_r_hat(SiteChains(free_network(random_network, 16), *frozen_start(16))) == 1.02
    assert next(wanted, None) is None


def frozen_start(n_sites, exponent=1.0):
    codes = np.random.default_rng(0).integers(2, size=(16, n_sites)).astype(np.int8)
    *seeds, tile_seed = np.random.SeedSequence(2).spawn(17)
    return codes, Law(exponent), Seeds(seeds, tile_seed)


@pytest.fixture(scope="module")
def made():
    X = IsingSampler(lattice_shape=(3, 3), temperature=2.5, random_state=0).sample(n_samples=5000)
    return taken_as_true(MADEHamiltonian(2.5, hidden_layer_sizes=(16,), max_iter=20, random_state=0).fit(X))


def enumerated(made, T, field):
    states = enumerate_states((-1, 1), 9).astype(np.int8)
    log_p = made.score_samples(states)
    log_weight = 2.5 / T * log_p + field / T * states.sum(axis=1)
    log_z = np.logaddexp.reduce(log_weight)
    p, m = np.exp(log_weight - log_z), states.mean(axis=1)
    energy = -2.5 * log_p - field * states.sum(axis=1)
    return {
        "magnetization": p @ m,
        "abs_magnetization": p @ np.abs(m),
        "energy": p @ energy / 9,
        "free_energy": -T * log_z / 9,
    }


EXTREMES = [
    *((0.1, 0.0, method) for method in METHODS),
    *((np.inf, 0.0, method) for method in METHODS),
    *((2.5, 0.0, method) for method in ("metropolis", "tempered")),
    *((2.5, 1e3, method) for method in ("heat-bath", "tempered")),
    *((2.5, -1e3, method) for method in ("metropolis", "independence")),
    *((0.1, 1e3, method) for method in ("window", "tempered")),
    *((0.1, -1e3, method) for method in ("heat-bath", "parallel-tempering")),
    *((np.inf, 1e3, method) for method in ("window", "parallel-tempering")),
]


@pytest.mark.parametrize(("temperature", "field", "method"), EXTREMES)
def test_extremes_agree_with_enumeration_or_warn(made, temperature, field, method):
    exact = enumerated(made, temperature, field)
    frozen = (
        method in ("metropolis", "heat-bath", "window") and temperature == 0.1 and not field
    )  # in one of two ground states
    warns = partial(pytest.warns, ConvergenceWarning, match="frozen") if frozen else contextlib.nullcontext
    with warns():
        X = made.sample(temperature, n_samples=1000, field=field, method=method, random_state=0)
    assert np.abs(X.mean(axis=1)).mean() == pytest.approx(exact["abs_magnetization"], abs=0.05)
    with warns():
        curve = phase_curve(made, [temperature], n_samples=2048, field=field, method=method, random_state=0)
    for name in ("abs_magnetization", "energy"):
        value, error = curve[name]
        assert abs(value[0] - exact[name]) < 5 * error[0] + 1e-5 * max(1, abs(exact[name]))


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("metropolis", ["abs_magnetization", "energy"]),
        pytest.param("parallel-tempering", ["abs_magnetization", "energy"], marks=pytest.mark.slow),
        ("tempered", ["abs_magnetization", "energy", "free_energy"]),
    ],
)
def test_errors_are_those_of_repetition(made, method, names):
    """z-scores over 20 seeds have variance 1 +- 0.5, and mean 0."""
    z = []
    for seed in range(20):
        curve = phase_curve(made, [1.8, 3.5], n_samples=1280, field=0.05, method=method, random_state=seed)
        for i, T in enumerate(curve.temperatures):
            exact = enumerated(made, T, 0.05)
            z += [(curve[name].value[i] - exact[name]) / curve[name].error[i] for name in names]
    assert 0.5 < np.var(z) < 1.5
    assert abs(np.mean(z)) < 4 / np.sqrt(20)


def test_metropolis_too_short_for_an_error_bar_has_none(made):
    with pytest.warns(ConvergenceWarning, match="draw more than n_samples=8"):
        curve = phase_curve(made, [2.0], n_samples=8, method="metropolis", random_state=0)
    assert np.isnan(curve["abs_magnetization"].error[0])
    assert np.isfinite(curve["abs_magnetization"].value[0])


@pytest.mark.filterwarnings("ignore")  # the chains do not move
def test_consecutive_rows_come_from_different_chains():
    X = np.repeat(np.random.default_rng(0).choice([-1, 1], (400, 1)), 12, axis=1)
    made = MADEHamiltonian(1.0, hidden_layer_sizes=(8,), max_iter=20, random_state=0).fit(X)
    rows = made.sample(0.9, n_samples=64, n_chains=8, burn_in=0, n_sweeps=1, random_state=0)
    signs = np.sign(rows.sum(axis=1)).reshape(8, 8)
    assert set(signs[0]) == {-1, 1}
    assert (signs == signs[0]).all()
