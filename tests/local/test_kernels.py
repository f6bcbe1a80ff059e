"""Moves of local energies: exact transition matrices, exact changes, and G-tests that reject every planted fault."""

import inspect
import itertools
import math
import sys
import types

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2

from skhamiltonian._local import chain_groups as _chain_groups
from skhamiltonian._local import kernels as _kernels
from skhamiltonian._local import swendsen_wang as _clusters
from skhamiltonian._local.chain_groups import ClusterGroup, HeatBathGroup, MetropolisGroup
from skhamiltonian._local.energy import LocalEnergy, windows_of
from skhamiltonian._local.kernels import (
    Lanes,
    accept,
    draw_step,
    energy_change,
    lane_energies,
    new_lanes,
    pattern_numbers,
    propose,
    single_site_sweeps,
)
from skhamiltonian._local.swendsen_wang import pair_terms, satisfiable
from skhamiltonian._local.system import LocalSystem
from skhamiltonian._montecarlo.kernels import new_streams, next_word

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # unsigned words, uncompiled

TEMPERATURES = (1.0, 2.5, 10.0, math.inf)


def random_system(shape, n_states=2, window=(2, 2), seed=0, scale=0.5, field=0.0, periodic=None):
    table = scale * np.random.default_rng(seed).normal(size=n_states ** math.prod(window))
    periodic = (True,) * len(shape) if periodic is None else periodic
    return LocalSystem(LocalEnergy(np.arange(n_states), window, table), shape, periodic, field)


def all_codes(system):
    return np.array(list(itertools.product(range(system.n_states), repeat=system.n_sites)), dtype=np.int8)


def boltzmann(system, temperature):
    H = system.energies(all_codes(system))
    w = np.exp(-(H - H.min()) / temperature)
    return w / w.sum()


# ------------------------------------------------------------------ transition matrices


def share_below(outcome, n):
    """The share of the 2^53 random numbers for which `outcome(words)`, true up to some number, is true."""
    low, high = np.zeros(n, np.int64), np.full(n, 2**53)  # true below `low`, false from `high` on
    first = outcome(np.zeros(n, np.uint64))
    while (high - low > 1).any():
        middle = (low + high) // 2
        true = outcome(np.minimum(middle, 2**53 - 1).astype(np.uint64) << np.uint64(11))
        low, high = np.where(true, middle, low), np.where(true, high, middle)
    return np.where(first, high / 2**53, 0.0)


def step_matrix(system, i, temperature, metropolis):
    """The matrix of an update of site i, from the kernels' own decisions in every state."""
    codes = np.ascontiguousarray(all_codes(system).T)
    windows, terms, K, n = system.windows(), system.terms, system.n_states, codes.shape[1]
    number, beta = pattern_numbers(codes, windows), np.full(n, 1 / temperature)
    here, place = np.arange(n), K ** (system.n_sites - 1 - i)
    P = np.zeros((n, n))
    if metropolis or K == 2:
        for choice in range(K - 1):
            step, x = np.empty(n, np.int32), np.empty(n)
            words = np.full(n, int((choice + 0.5) / (K - 1) * 2**53) << 11, np.uint64)
            propose(step, words, codes[i], K)
            energy_change(x, step, codes[i], number, i, windows, terms)
            exponent = np.empty(n, np.int64)

            def accepted(words, step=step, x=x, exponent=exponent):
                new = step.copy()
                accept(new, x.copy(), beta, metropolis, words, exponent, exponent.view(np.float64))
                return new != 0

            P[here, here + step * place] += share_below(accepted, n) / (K - 1)
        P[here, here] += 1 - P.sum(axis=1)
        return P
    x = np.empty((K, n))
    for code in range(K):
        energy_change(x[code], (code - codes[i]).astype(np.int32), codes[i], number, i, windows, terms)

    def new_code(words):
        step = np.empty(n, np.int32)
        draw_step(step, x.copy(), codes[i], beta, words)
        return codes[i] + step

    below = [share_below(lambda words, a=a: new_code(words) <= a, n) for a in range(K)]
    for code, share in enumerate(np.diff(below, axis=0, prepend=0.0)):
        P[here, here + (code - codes[i]) * place] += share
    return P


LATTICES = [((2, 2), 2), ((2, 3), 2), ((3, 3), 2), ((2, 2), 3), ((1, 4), 3)]


@pytest.mark.parametrize(("shape", "n_states"), LATTICES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("metropolis", [False, True])
def test_a_sweep_leaves_the_boltzmann_law(shape, n_states, temperature, metropolis):
    """pi P = pi; every state reaches every other, and may stay: irreducible and aperiodic."""
    window = (3, 3) if n_states == 2 else (2, 2)
    system = random_system(shape, n_states, window, field=0.1, scale=0.2)
    pi, P = boltzmann(system, temperature), 1.0
    for i in range(system.n_sites):
        step = step_matrix(system, i, temperature, metropolis)
        np.testing.assert_allclose(pi @ step, pi, rtol=0, atol=1e-13)
        P = step if i == 0 else P @ step
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(pi @ P, pi, rtol=0, atol=1e-13)
    assert connected_components(P > 0, connection="strong", return_labels=False) == 1
    assert np.diag(P).max() > 0


@pytest.mark.kernel
def test_acceptance_is_exact_to_rounding():
    x = np.concatenate([np.linspace(-750, 750, 301), np.linspace(-3, 3, 101), [0.0]])
    for metropolis in (False, True):
        exponent = np.empty(len(x), np.int64)

        def accepted(words, metropolis=metropolis, exponent=exponent):
            step = np.ones(len(x), np.int32)
            accept(step, x.copy(), np.ones(len(x)), metropolis, words, exponent, exponent.view(np.float64))
            return step != 0

        with np.errstate(over="ignore"):
            wanted = 15 / 16 * np.minimum(1, np.exp(-x)) if metropolis else 1 / (1 + np.exp(x))
        np.testing.assert_allclose(share_below(accepted, len(x)), wanted, rtol=1e-14, atol=2**-52)


def test_a_zero_temperature_moves_downhill_only():
    system = random_system((4, 4), 2, (2, 2))
    for group_class in (HeatBathGroup, MetropolisGroup, ClusterGroup):
        group = group_class(np.ones((3, 16), np.int8), system, np.random.SeedSequence(0))
        H = system.energies(np.ascontiguousarray(group.states()))
        for _ in range(50):
            group.advance(1, 5e-324)
            H, before = system.energies(np.ascontiguousarray(group.states())), H
            assert group_class is ClusterGroup or np.all(before + 1e-12 >= H)


# ------------------------------------------------------------------ changes of the energy


CASES = [
    ((6,), (True,), (3,), 2, 2),
    ((7,), (False,), (3,), 3, 1),
    ((2, 3), (True, True), (3, 3), 2, 1),
    ((1, 5), (True, True), (2, 2), 3, 1),
    ((8, 5), (True, True), (2, 3), 2, 4),
    ((8, 5), (False, True), (2, 3), 3, 4),
    ((3, 4, 2), (True, False, True), (2, 2, 2), 2, 1),
]


@pytest.mark.parametrize(("shape", "periodic", "window", "n_states", "n_strips"), CASES)
def test_kept_patterns_are_those_of_the_configuration(shape, periodic, window, n_states, n_strips):
    """After 1e5 moves and more; and a change of the energy is the difference of two energies."""
    system = random_system(shape, n_states, window, field=0.2, periodic=periodic)
    windows, terms = system.windows(0, n_strips), system.terms
    n_lanes = 4 * n_strips
    codes = np.zeros((system.n_sites // n_strips, n_lanes), np.int8)
    number = pattern_numbers(codes, windows)
    streams, beta = new_streams(np.random.SeedSequence(0), n_lanes), np.full(n_lanes, 0.3)
    for metropolis in (False, True):
        single_site_sweeps(Lanes(codes, number), 200_000 // codes.size, windows, terms, beta, metropolis, streams)
        np.testing.assert_array_equal(number, pattern_numbers(codes, windows))
    for i in range(len(codes)):
        step = np.where(codes[i] == n_states - 1, -codes[i], 1).astype(np.int32)
        x = np.empty(n_lanes)
        energy_change(x, step, codes[i], number, i, windows, terms)
        for lane in range(n_lanes):  # strips one at a time: all of them together are not independent of each other
            new = codes.copy()
            new[i, lane] += step[lane]
            H = [lane_energies(new_lanes(c, windows), windows, terms).sum() for c in (codes, new)]
            assert x[lane] == pytest.approx(H[1] - H[0], abs=1e-11)


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_clusters_keep_patterns_and_ratios(shape):
    """Odds of turning a cluster over and back are exp(-dH / T) of all but the pair terms."""
    system = random_system(shape, 2, (3,) if len(shape) == 1 else (2, 2), field=0.3)
    windows, rng = system.windows(), np.random.default_rng(0)
    pairs = pair_terms(system.energy, windows.sites)
    rest = _kernels.Terms(pairs.rest, system.site_energy)
    for _ in range(10):
        codes = rng.integers(0, 2, system.n_sites).astype(np.int8)
        sites = np.flatnonzero(rng.random(system.n_sites) < 0.5).astype(np.int32)
        new = codes.copy()
        new[sites] = 1 - new[sites]
        number = pattern_numbers(codes[:, None], windows)[:, 0].copy()
        n = len(number)

        def turned(u, codes=codes, number=number, sites=sites, n=n):
            s, m, step = codes.copy(), number.copy(), np.zeros(n, np.int32)
            touched = _clusters.Touched(np.empty(n + 1, np.int32), step)
            n_touched, x = _clusters._rest_change(sites, s, m, touched, windows, rest)
            _clusters._flip(u * (1 + math.exp(0.7 * x)) < 1, sites, s, m, touched, n_touched)
            np.testing.assert_array_equal(m, pattern_numbers(s[:, None], windows)[:, 0])
            assert not step.any()
            return not np.array_equal(s, codes)

        sigma = 2.0 * np.stack([codes, new]) - 1
        pair_energy = (sigma[:, pairs.bonds[:, 0]] * sigma[:, pairs.bonds[:, 1]]) @ pairs.strength
        H = system.energies(np.stack([codes, new])) - pair_energy
        p = 1 / (1 + math.exp(0.7 * (H[1] - H[0])))
        if len(sites):
            assert turned(p * (1 - 1e-9))
            assert not turned(p * (1 + 1e-9))


def test_pair_terms_of_an_ising_table_are_its_bonds():
    pattern = 2 * ((np.arange(512)[:, None] >> np.arange(9)) & 1).reshape(-1, 3, 3) - 1.0
    table = -(pattern[:, 1, 1:] * pattern[:, 1, :-1]).sum(axis=1) / 2 - 0.7 * pattern[:, 0, 0] * pattern[:, 1, 0]
    energy = LocalEnergy(np.array([-1, 1]), (3, 3), table)
    pairs = pair_terms(energy, windows_of((4, 5), (True, True), energy).sites)
    assert len(pairs.bonds) == 40
    along = np.isin(pairs.bonds[:, 1] - pairs.bonds[:, 0], (1, 4)) & (pairs.bonds[:, 0] // 5 == pairs.bonds[:, 1] // 5)
    np.testing.assert_allclose(pairs.strength, np.where(along, -1.0, -0.7), rtol=1e-12)
    np.testing.assert_allclose(pairs.rest, 0, atol=1e-12)
    assert not pairs.compete


@pytest.mark.kernel
@pytest.mark.parametrize(("signs", "possible"), [((-1, -1, -1), True), ((-1, 1, 1), True), ((-1, -1, 1), False)])
def test_bonds_of_a_triangle_compete_if_their_product_does(signs, possible):
    bonds = np.array([[0, 1], [1, 2], [0, 2]], np.int32)
    assert satisfiable(bonds, np.array(signs, float)) == possible


# ------------------------------------------------------------------ G-tests and mutants

N_CHAINS, N_DRAWS = 1024, 400
THINNING = {HeatBathGroup: 12, MetropolisGroup: 12, ClusterGroup: 4}
GROUPS = {"heat-bath": HeatBathGroup, "metropolis": MetropolisGroup, "cluster": ClusterGroup}


def mutant(monkeypatch, module, old, new):
    """The module with a fault planted in its source."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{source.count(old)} places read {old!r}"
    copy = types.ModuleType(f"skhamiltonian._local.mutant_of_{module.__name__.rpartition('.')[2]}")
    copy.__package__ = "skhamiltonian._local"
    monkeypatch.setitem(sys.modules, copy.__name__, copy)  # its dataclasses look for it there
    exec(compile(source.replace(old, new), f"mutant of {module.__name__}", "exec"), vars(copy))
    return copy


def g_test(group_class, system, temperature, *, true_temperature=None):
    """The p-value of the counts of all states against the Boltzmann law; all chains start in the same state."""
    group = group_class(np.ones((N_CHAINS, system.n_sites), np.int8), system, np.random.SeedSequence(7))
    group.advance(100, temperature)
    counts = np.zeros(system.n_states**system.n_sites)
    place = system.n_states ** np.arange(system.n_sites)[::-1]
    for _ in range(N_DRAWS):
        group.advance(THINNING[group_class], temperature)
        counts += np.bincount(group.states() @ place, minlength=len(counts))
    expected = boltzmann(system, true_temperature or temperature) * counts.sum()
    assert expected.min() > 5
    seen = counts > 0
    G = 2 * np.sum(counts[seen] * np.log(counts[seen] / expected[seen]))
    return chi2.sf(G, len(counts) - 1)


SYSTEM = random_system((2, 3), window=(2, 2), scale=0.6, field=0.1)
THREE = random_system((1, 4), 3, window=(1, 2), scale=0.6, field=0.1)


@pytest.mark.parametrize("kind", GROUPS)
def test_counts_of_all_states_follow_the_law(kind):
    assert g_test(GROUPS[kind], SYSTEM, 1.5) > 1e-4


@pytest.mark.parametrize("kind", ["heat-bath", "metropolis"])
def test_counts_of_three_states_follow_the_law(kind):
    assert g_test(GROUPS[kind], THREE, 1.5) > 1e-4


@pytest.mark.parametrize("kind", GROUPS)
def test_a_beta_two_percent_too_large_is_rejected(kind):
    assert g_test(GROUPS[kind], SYSTEM, 1.5 / 1.02, true_temperature=1.5) < 1e-6


ALL_SITES = "for i in range(len(codes)):\n            for lane"
BUT_THE_FIRST = ALL_SITES.replace("range(", "range(1, ")
FAULTS = {
    "heat-bath: site never drawn": ("single_site_sweeps", ALL_SITES, BUT_THE_FIRST),
    "heat-bath: odds off": ("single_site_sweeps", "u * (1.0 + x[lane]", "u * (1.05 + x[lane]"),
    "heat-bath: field forgotten": ("single_site_sweeps", "terms.site_energy[codes[lane] + step[lane]] -", "0.0 *"),
    "metropolis: slope": ("single_site_sweeps", "max(x[lane] * beta[lane],", "max(1.03 * x[lane] * beta[lane],"),
    "cluster: bonds join x 0.9": ("cluster_sweeps", "_ULP_53 < joins[k]", "_ULP_53 < 0.9 * joins[k]"),
    "cluster: factor 2 missing": ("cluster_sweeps", "np.expm1(-2.0 *", "np.expm1(-1.0 *"),
    "cluster: the rest ignored": ("cluster_sweeps", "x += rest.table", "x += 0.0 * rest.table"),
    "cluster: field ignored": ("cluster_sweeps", "x += sign * (rest", "x += 0.0 * sign * (rest"),
}  # fmt: skip


@pytest.mark.slow  # each fault is compiled
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_kernels_are_rejected(monkeypatch, fault):
    name, old, new = FAULTS[fault]
    module = _clusters if fault.startswith("cluster") else _kernels
    monkeypatch.setattr(_chain_groups, name, getattr(mutant(monkeypatch, module, old, new), name))
    assert g_test(GROUPS[fault.partition(":")[0]], SYSTEM, 1.5) < 1e-6


# ------------------------------------------------------------------ groups


def replayed(codes, system, n_strips, metropolis, beta, streams, n_sweeps):
    """Move one site after the other by energies of the whole lattice, with the words that the kernels take."""
    n_chains, K, cell = len(codes), system.n_states, system.n_sites // n_strips
    chain, states = np.tile(np.arange(n_chains), n_strips), np.arange(K, dtype=np.int8)
    for i in np.tile(np.arange(cell), n_sweeps):
        site = np.repeat(np.arange(n_strips) * cell, n_chains) + i
        n_words = 2 if metropolis and K > 2 else 1
        u = [[(int(next_word(streams, lane)) >> 11) / 2**53 for lane in range(len(chain))] for _ in range(n_words)]
        trials = np.repeat(codes[chain][:, None], K, axis=1)
        trials[np.arange(len(chain))[:, None], states, site[:, None]] = states
        H = system.energies(trials.reshape(-1, system.n_sites)).reshape(-1, K) * beta
        for lane, (c, k) in enumerate(zip(chain, site, strict=True)):
            old, rise = codes[c, k], H[lane] - H[lane, codes[c, k]]
            if metropolis:
                others = np.delete(states, old)
                new = others[int(u[-1][lane] * (K - 1)) if K > 2 else 0]
                codes[c, k] = new if u[0][lane] < 15 / 16 * min(1, math.exp(-rise[new])) else old
            elif K == 2:
                codes[c, k] = 1 - old if u[0][lane] < 1 / (1 + math.exp(rise[1 - old])) else old
            else:
                share = np.cumsum(np.exp(-rise))
                codes[c, k] = np.searchsorted(share, u[0][lane] * share[-1], side="right")


@pytest.mark.kernel
@pytest.mark.parametrize("kind", ["heat-bath", "metropolis"])
@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize(
    ("shape", "window", "periodic"), [((6, 2), (2, 3), (True, True)), ((4, 3), (2, 2), (False, True))]
)
def test_sweeps_are_those_of_one_site_after_the_other(kind, n_states, shape, window, periodic):
    """Two strips or three side by side; the patterns and energies of all lanes are those of the configurations."""
    system = random_system(shape, n_states, window, field=0.3, scale=0.8, periodic=periodic)
    codes = np.random.default_rng(1).integers(0, n_states, (3, system.n_sites)).astype(np.int8)
    group = GROUPS[kind](codes, system, np.random.SeedSequence(0))
    n_strips = shape[0] // 2
    assert group.n_strips == n_strips
    streams = group.streams.copy()
    group.advance(3, 1.3)
    replayed(codes, system, n_strips, kind == "metropolis", 1 / 1.3, streams, 3)
    np.testing.assert_array_equal(group.states(), codes)
    np.testing.assert_array_equal(group.streams, streams)
    np.testing.assert_array_equal(group.lanes.number, pattern_numbers(group.lanes.codes, group.windows))
    H = lane_energies(group.lanes, group.windows, system.terms).reshape(n_strips, 3).sum(axis=0)
    np.testing.assert_allclose(H, system.energies(codes))


@pytest.mark.kernel
@pytest.mark.parametrize("beta", [1.0, 1e300])
def test_a_state_far_below_the_others_is_drawn(beta):
    """Whichever it is: weights are relative to that of the lowest state."""
    x = np.full((3, 6), 800.0)
    x[np.arange(6) % 3, np.arange(6)] = -800.0
    step = np.empty(6, np.int32)
    words = np.repeat(np.array([0, 2**64 - 1], np.uint64), 3)
    draw_step(step, x, np.ones(6, np.int8), np.full(6, beta), words)
    assert step.tolist() == [-1, 0, 1] * 2


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("n_chains", [1, 3, 65])
def test_states_pass_through_a_group_unchanged(kind, n_chains):
    system = random_system((4, 16), window=(2, 2))
    codes = np.random.default_rng(0).integers(0, 2, (n_chains, 64)).astype(np.int8)
    group = GROUPS[kind](codes, system, np.random.SeedSequence(0))
    np.testing.assert_array_equal(group.states(), codes)


@pytest.mark.parametrize("kind", ["heat-bath", "metropolis"])  # cluster chains take turns with the words
def test_calls_may_be_cut_anywhere(kind):
    one, two = (GROUPS[kind](np.ones((70, 6), np.int8), SYSTEM, np.random.SeedSequence(0)) for _ in range(2))
    one.advance(9, 2.5)
    for n in (2, 3, 4):
        two.advance(n, 2.5)
    np.testing.assert_array_equal(one.states(), two.states())
