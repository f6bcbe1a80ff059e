"""Parallel tempering: ladders by brute force, exact exchange matrices, and G-tests that reject planted faults."""

import inspect
import itertools
import math
import types

import numpy as np
import pytest
from scipy.stats import chi2

from skhamiltonian._ising import chain_groups as _chain_groups
from skhamiltonian._ising import tempering as _tempering
from skhamiltonian._ising.chain_groups import TemperedGroup
from skhamiltonian._ising.kernels import column_energies, energies, heat_bath
from skhamiltonian._ising.tempering import Replicas, ladder, temper
from skhamiltonian._ising.terms import spin_system
from skhamiltonian._lattice.bonds import nearest_neighbours
from skhamiltonian._montecarlo import kernels as _kernels
from skhamiltonian._montecarlo.kernels import exchange, new_streams

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # unsigned words, uncompiled


def glass(n_sites=6, seed=3):
    """Pairs and triples of random strengths that compete."""
    rng = np.random.default_rng(seed)
    pairs = [(rng.normal(), np.array([pair])) for pair in itertools.combinations(range(n_sites), 2)]
    return spin_system(n_sites, [*pairs, (0.4, np.array([[0, 1, 2], [1, 3, 5]]))])


def square(length, coupling=1.0):
    return spin_system(length**2, [(coupling, nearest_neighbours((length, length), (True, True)))])


def all_states(n_sites):
    return np.array(list(itertools.product((-1, 1), repeat=n_sites)), dtype=np.int8)


def boltzmann(energy, beta):
    w = np.exp(-beta * (energy - energy.min()))
    return w / w.sum()


# ------------------------------------------------------------------ the ladder


@pytest.mark.parametrize("coupling", [1.0, -1e-200, 1e200])
def test_ladder_of_a_square_lattice_by_hand(coupling):
    """From 4 tanh(beta J) = 1 in steps of one standard deviation, sqrt(2 N) J / cosh(beta J), down to T."""
    J = abs(coupling)
    betas = ladder(square(8, coupling), 2.0 * J) * J
    assert betas[0] == pytest.approx(0.5)
    assert betas[-1] == pytest.approx(math.atanh(0.25), rel=1e-5)
    steps, longest = -np.diff(betas), np.cosh(betas[1:]) / math.sqrt(128)
    np.testing.assert_allclose(steps[1:], longest[1:], rtol=1e-10)
    assert 0 < steps[0] <= longest[0]


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e-3, 1.0, 4.0, math.inf])
def test_ladders_end_at_the_temperature_asked_for(temperature):
    betas = ladder(glass(), temperature)
    assert (np.diff(betas) < 0).all()
    largest = np.abs(glass().strength).max()
    assert betas[0] == pytest.approx(min(1 / max(temperature, 1e-300), 1e30 / largest))
    assert len(betas) < 40


def test_the_hottest_rung_is_where_single_spins_forget_each_other():
    """What all others can do to the law of one spin, by brute force over their states, sums to 1 or less."""
    system = glass()
    n, s = system.n_sites, all_states(system.n_sites)
    p_up = np.empty((n, len(s)))
    H = energies(s, system)
    index = np.arange(len(s))
    for i in range(n):
        bit = 1 << (n - 1 - i)
        p_up[i] = 1 / (1 + np.exp(ladder(system, 0.1)[-1] * (H[index | bit] - H[index & ~bit])))
    heard = [
        sum(np.abs(p_up[i] - p_up[i][index ^ (1 << (n - 1 - j))]).max() for j in range(n) if j != i) for i in range(n)
    ]
    assert 0.3 < max(heard) <= 1


@pytest.mark.parametrize(
    "system",
    [square(4), spin_system(3, []), spin_system(3, [(2.0, np.arange(3)[:, None])])],
    ids=["hot", "no", "field"],
)
def test_one_rung_is_left_where_chains_forget_anyhow(system):
    assert ladder(system, 4.0).tolist() == [0.25]


# ------------------------------------------------------------------ exchanges


@pytest.mark.kernel
@pytest.mark.parametrize("first", [0, 1])
def test_exchanges_leave_the_product_of_boltzmann_laws(monkeypatch, first):
    """All 4^3 states of three replicas of two spins; acceptance by bisection over the 2^53 random numbers."""
    s = all_states(2)
    H = energies(s, spin_system(2, [(-1.0, np.array([[0, 1]])), (0.3, np.array([[0]]))]))
    betas = np.array([2.0, 0.7, 0.1])
    states = np.array(list(itertools.product(range(4), repeat=3)))
    pi = np.prod([boltzmann(H, beta)[states[:, rung]] for rung, beta in enumerate(betas)], axis=0)
    start = np.arange(3 * 64).reshape(64, 3)
    kernel = getattr(exchange, "py_func", exchange)

    def exchanged(random):
        monkeypatch.setattr(_kernels, "next_word", lambda streams, chain: np.uint64(int(random[chain]) << 11))
        column = start.copy()
        kernel(column, H[states].ravel(), betas, first, np.zeros((4, 64), np.uint64))
        return column

    low, high = np.zeros(64, np.int64), np.full(64, 2**53)  # all below `low` are accepted, none from `high` on
    after = exchanged(low)
    assert (after[:, [first, first + 1]] == start[:, [first + 1, first]]).all()
    while (high - low > 1).any():
        middle = (low + high) // 2
        accepted = (exchanged(np.minimum(middle, 2**53 - 1)) == after).all(axis=1)
        low, high = np.where(accepted, middle, low), np.where(accepted, high, middle)
    acceptance = high / 2**53
    P = np.diag(1 - acceptance)
    new = states.ravel()[after]
    np.add.at(P, (np.arange(64), new @ [16, 4, 1]), acceptance)
    np.testing.assert_allclose(pi @ P, pi, rtol=0, atol=1e-13)
    assert acceptance.min() < 0.3


@pytest.mark.kernel
def test_tempering_is_sweeps_and_exchanges_in_turn():
    """Step by step from the same streams; arrivals are counted from the whole history of every replica."""
    system, n_chains, n_sweeps = glass(), 3, 12
    betas = ladder(system, 1.2)
    n_rungs = len(betas)
    assert n_rungs >= 3
    streams = new_streams(np.random.SeedSequence(4), (n_chains * n_rungs + 1) // 2)
    s = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (6, n_chains * n_rungs))
    column = np.arange(n_chains * n_rungs).reshape(n_chains, n_rungs)
    from_hot = np.zeros(n_chains * n_rungs, dtype=bool)
    peer, peer_streams, peer_column, history = s.copy(), streams.copy(), column.copy(), []
    for t in range(n_sweeps):
        beta = np.empty(n_chains * n_rungs)
        beta[peer_column] = betas
        heat_bath(peer, 1, system, beta, peer_streams)
        np.testing.assert_allclose(column_energies(peer, system), energies(np.ascontiguousarray(peer.T), system))
        exchange(peer_column, column_energies(peer, system), betas, t % 2, peer_streams)
        history.append(np.argsort(peer_column.ravel()) % n_rungs)
    replicas = Replicas(betas, column, from_hot)
    arrivals = temper(s, 5, system, replicas, 0, streams)
    arrivals += temper(s, n_sweeps - 5, system, replicas, 5, streams)
    np.testing.assert_array_equal(s, peer)
    np.testing.assert_array_equal(column, peer_column)
    wanted = 0
    for rungs in np.transpose(history):
        visits = [rung for rung in rungs if rung in (0, n_rungs - 1)]
        wanted += sum(a == n_rungs - 1 and b == 0 for a, b in itertools.pairwise(visits))
    assert arrivals == wanted > 0


def test_about_half_of_the_exchanges_are_accepted():
    """On a spin glass of 12 x 12 sites; the time for a renewal is at least one way down the ladder."""
    bonds = nearest_neighbours((12, 12), (True, True))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], len(bonds))
    system = spin_system(144, list(zip(signs, bonds[:, None], strict=True)))
    group = TemperedGroup(np.ones((16, 144), np.int8), system, np.random.SeedSequence(0), ladder(system, 1.0))
    group.advance(300, 1.0)
    n_rungs, accepted, n = len(group.ladder), 0, 0
    for _ in range(200):
        before = group.replicas.column.copy()
        group.advance(1, 1.0)
        accepted += (group.replicas.column != before).sum() / 2
        n += 16 * (n_rungs - 1) / 2
    assert 0.3 < accepted / n < 0.8
    assert n_rungs < group.renewal_time() < 20 * n_rungs**2


# ------------------------------------------------------------------ G-tests and mutants


def g_test():
    """The p-value of the states at the coldest rung against the Boltzmann law; all replicas start with all spins up."""
    system, T = glass(), 0.8
    betas = ladder(system, T)
    assert len(betas) >= 4
    group = TemperedGroup(np.ones((512, 6), np.int8), system, np.random.SeedSequence(11), betas)
    group.advance(300, T)
    counts = np.zeros(64)
    for _ in range(300):
        group.advance(30, T)
        counts += np.bincount((group.states() > 0) @ (1 << np.arange(6)[::-1]), minlength=64)
    expected = boltzmann(energies(all_states(6), system), 1 / T) * counts.sum()
    common = expected > 10
    seen, wanted = (np.append(x[common], x[~common].sum()) for x in (counts, expected))
    G = 2 * np.sum(seen * np.log(np.maximum(seen, 1e-300) / wanted))
    return chi2.sf(G, common.sum())


def test_states_at_the_coldest_rung_follow_the_boltzmann_law():
    assert g_test() > 1e-4


FAULTS = {
    "every exchange accepted": ("np.exp(min(exponent, 0.0))", "1.0"),
    "sign of the exchange": ("(energy[a] - energy[b])", "(energy[b] - energy[a])"),
    "exchange 10 % too cold": ("exponent = (", "exponent = 1.1 * ("),
    "coldest rung too hot": ("] = ladder[rung]\n", "] = ladder[max(rung, 1)]\n"),
    "energies of other replicas": ("column_energies(s, system)", "column_energies(s[:, ::-1], system)"),
}  # fmt: skip


def mutant(module, old, new, **names):
    """The module with a fault planted in its source, and other names in it replaced first."""
    source = inspect.getsource(module)
    assert source.count(old) == (1 if old else source.count(old))
    copy = types.ModuleType("skhamiltonian.mutants.mutant")
    copy.__package__ = module.__package__
    exec(compile(source.replace(old, new) if old else source, "mutant", "exec"), vars(copy))
    vars(copy).update(names)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_tempering_is_rejected(monkeypatch, fault):
    old, new = FAULTS[fault]
    if old in inspect.getsource(_kernels):
        faulty = mutant(_tempering, "", "", exchange=mutant(_kernels, old, new).exchange)
    else:
        faulty = mutant(_tempering, old, new)
    monkeypatch.setattr(_chain_groups, "temper", faulty.temper)
    assert g_test() < 1e-6
