"""Kernels of +-1 spins: brute force, exact transition matrices, and G-tests that reject every planted fault."""

import inspect
import itertools
import math
import types

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from scipy.stats import chi2

from skhamiltonian._ising import chain_groups as _chain_groups
from skhamiltonian._ising import kernels as _spin_kernels
from skhamiltonian._ising import multispin as _multispin
from skhamiltonian._ising.chain_groups import ClusterGroup, HeatBathGroup, MultiSpinGroup
from skhamiltonian._ising.kernels import energies, swendsen_wang
from skhamiltonian._ising.multispin import multispin_heat_bath, probability_bits, uniform_couplings
from skhamiltonian._ising.terms import spin_system
from skhamiltonian._lattice.bonds import nearest_neighbours
from skhamiltonian._montecarlo.kernels import new_streams, next_word

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # unsigned words, uncompiled

TEMPERATURES = (1.0, 2.5, 10.0, math.inf)
LATTICES = ((2, 2), (2, 3), (3, 3))


def all_states(n_sites):
    return np.array(list(itertools.product((-1, 1), repeat=n_sites)), dtype=np.int8)


def ising(shape, coupling=1.0, field=0.0, periodic=True):
    n_sites = math.prod(shape)
    bonds = nearest_neighbours(shape, (periodic,) * len(shape))
    return spin_system(n_sites, [(coupling, bonds), (field, np.arange(n_sites)[:, None])])


def many_body(n_sites=6, seed=0):
    """Terms of one to four spins of random strengths on random sites."""
    rng = np.random.default_rng(seed)
    terms = [(rng.normal(), rng.permutation(n_sites)[None, :order]) for order in (1, 2, 3, 4) for _ in range(4)]
    return spin_system(n_sites, terms)


def boltzmann(system, temperature):
    H = energies(all_states(system.n_sites), system)
    w = np.exp(-(H - H.min()) / temperature)
    return w / w.sum()


# ------------------------------------------------------------------ energies


@pytest.mark.kernel
def test_energies_of_any_terms_are_sums_of_products():
    system = many_body()
    terms = np.split(system.term_sites, system.term_start[1:-1])
    s = np.tile(all_states(6), (2, 1))[:100]  # more rows than a kernel takes at a time
    H = -sum(J * s[:, sites].prod(axis=1) for J, sites in zip(system.strength, terms, strict=True))
    np.testing.assert_allclose(energies(s, system), H, rtol=1e-13, atol=1e-13)


# ------------------------------------------------------------------ random words


@pytest.mark.kernel
def test_random_words_are_those_of_sfc64():
    streams = new_streams(np.random.SeedSequence(3), 5)
    peers = []
    for a, b, c, counter in streams.T:
        bits = np.random.SFC64()
        bits.state = {**bits.state, "state": {"state": np.array([a, b, c, counter])}}
        peers.append(bits)
    words = [[next_word(streams, j) for _ in range(20)] for j in range(5)]
    assert words == [bits.random_raw(20).tolist() for bits in peers]


# ------------------------------------------------------------------ transition matrices


def is_stationary(pi, P, tolerance):
    """pi P = pi; every state reaches every other; P^n has no zero for some n (a state that may stay is enough)."""
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-13)
    np.testing.assert_allclose(pi @ P, pi, rtol=0, atol=tolerance)
    assert connected_components(P > 0, connection="strong", return_labels=False) == 1
    assert np.diag(P).max() > 0


def sweep_matrix(up, n_sites):
    """The matrix of a sweep in site order, from up[i], the probability of +1 at site i in each state."""
    P = np.eye(2**n_sites)
    states = np.arange(2**n_sites)
    for i in range(n_sites):
        bit = 1 << (n_sites - 1 - i)
        step = np.zeros_like(P)
        step[states, states | bit] = up[i]
        step[states, states & ~bit] = 1 - up[i]
        P = P @ step
    return P


def heat_bath_probability(system, i, temperature):
    """The share of the 2^31 random numbers with which the kernel sets site i to +1, in each state (by bisection)."""
    s = np.ascontiguousarray(all_states(system.n_sites).T)
    n = s.shape[1]
    x, product = np.empty(n, np.float32), np.empty(n, np.int8)
    slope = np.full(n, 2.0 / temperature, np.float32)
    _spin_kernels._local_field(x, product, s, i, system, system.strength.astype(np.float32), slope)
    exponent = np.empty(n, np.int32)

    def up(random):
        new, work = s.copy(), x.copy()
        _spin_kernels._draw_spins(new, i, work, exponent, exponent.view(np.float32), random.astype(np.int32))
        return new[i] == 1

    at_zero = up(np.zeros(n, np.int64))
    low, high = np.zeros(n, np.int64), np.full(n, 2**31)  # outcome of zero below `low`, another from `high` on
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = up(np.minimum(middle, 2**31 - 1)) == at_zero
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    share = high / 2**31
    return np.where(at_zero, share, 1 - share)


@pytest.mark.parametrize("shape", LATTICES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("field", [0.0, 0.3])
def test_heat_bath_leaves_the_boltzmann_law(shape, temperature, field):
    system = ising(shape, field=field)
    up = [heat_bath_probability(system, i, temperature) for i in range(system.n_sites)]
    is_stationary(boltzmann(system, temperature), sweep_matrix(up, system.n_sites), 1e-7)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_heat_bath_leaves_the_boltzmann_law_of_many_body_terms(temperature):
    system = many_body()
    up = [heat_bath_probability(system, i, temperature) for i in range(6)]
    is_stationary(boltzmann(system, temperature), sweep_matrix(up, 6), 1e-7)


@pytest.mark.kernel
@pytest.mark.parametrize("T", [0.3, 1.0, 7.0])
def test_heat_bath_probabilities_have_six_digits(T):
    system = spin_system(2, [(1.0, np.array([[0, 1]])), (0.25, np.array([[0]]))])
    x = 2 / T * (0.25 + all_states(2)[:, 1])
    small = np.minimum(heat_bath_probability(system, 0, T), 1 - heat_bath_probability(system, 0, T))
    np.testing.assert_allclose(small, expit(-np.abs(x)), rtol=1e-6 * (1 + np.abs(x).max()), atol=2**-31)


def digits_to_probability(digits):
    """Invert `probability_bits` for one number of neighbours z."""
    digits = np.bitwise_xor.accumulate(digits > 0, axis=0)
    return digits @ 0.5 ** np.arange(1, 65)


@pytest.mark.parametrize("shape", LATTICES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize(("J", "h"), [(1.0, 0.0), (-0.7, 0.3)])
def test_multispin_probabilities_leave_the_boltzmann_law(shape, temperature, J, h):
    system = ising(shape, J, h, periodic=shape != (3, 3))  # sites of degree 2, 3 and 4
    couplings = uniform_couplings(system)
    degree = np.diff(couplings.start)
    digits = probability_bits(degree.max(), couplings.coupling, couplings.field, temperature)
    s, up = all_states(system.n_sites), []
    for i in range(system.n_sites):
        entries = slice(couplings.start[i], couplings.start[i + 1])
        wanted_up = (s[:, couplings.neighbours[entries]] > 0) ^ (couplings.inverted[entries] > 0)
        up.append(digits_to_probability(digits[degree[i]])[wanted_up.sum(axis=1)])
    is_stationary(boltzmann(system, temperature), sweep_matrix(up, system.n_sites), 1e-13)


@pytest.mark.kernel
@pytest.mark.parametrize(("J", "h", "periodic"), [(1.0, 0.0, True), (-0.7, 0.3, False)])
def test_multispin_kernel_compares_a_number_of_each_chain_with_its_probability(J, h, periodic):
    """Bit for bit against integers u and p of 64 digits, drawn from the same streams."""
    couplings = uniform_couplings(ising((3, 3), J, h, periodic))
    degree = np.diff(couplings.start)
    digits = probability_bits(degree.max(), couplings.coupling, couplings.field, 2.5)
    n_words, n_sweeps = 2, 20  # some chains are undecided after 12 digits
    streams = new_streams(np.random.SeedSequence(0), n_words)
    words = new_streams(np.random.SeedSequence(1), 9).reshape(-1)[: 9 * n_words].reshape(9, n_words).copy()
    s = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(int)
    peer = streams.copy()
    for i in list(range(9)) * n_sweeps:
        entries = slice(couplings.start[i], couplings.start[i + 1])
        a = (s[couplings.neighbours[entries]] ^ (couplings.inverted[entries, None] > 0)).sum(axis=0)
        p = np.array([int(q * 2**64) for q in digits_to_probability(digits[degree[i]])], dtype=object)[a]
        u, n = np.zeros(64 * n_words, dtype=object), 0  # digits drawn so far
        while n < 12 or (n < 64 and (u >> (64 - n) == p >> (64 - n)).any()):
            for _ in range(4 if n else 12):
                n += 1
                bits = np.array([next_word(peer, w) for w in range(n_words)], dtype=np.uint64)
                u += np.unpackbits(bits.view(np.uint8), bitorder="little").astype(object) << (64 - n)
        s[i] = u < p
    multispin_heat_bath(words, n_sweeps, couplings.start, couplings.neighbours, couplings.inverted, digits, streams)
    np.testing.assert_array_equal(np.unpackbits(words.view(np.uint8), axis=1, bitorder="little"), s)
    np.testing.assert_array_equal(streams, peer)


@pytest.mark.kernel
@pytest.mark.parametrize("temperature", [1.0, 2.5, math.inf])
@pytest.mark.parametrize(
    ("n_sites", "bonds"),
    [
        (2, [(0, 1, 1.0), (0, 1, 1.0)]),
        (3, [(0, 1, 1.0), (1, 2, 1.0), (2, 0, -0.5)]),
        (4, [(0, 1, 1.0), (2, 3, 1.0), (0, 2, 0.5), (1, 3, 0.5)]),
    ],
)
def test_swendsen_wang_leaves_the_boltzmann_law(monkeypatch, n_sites, bonds, temperature):
    """Every pattern of joined bonds and turned clusters, each with its probability."""
    system = spin_system(n_sites, [(J, np.array([[a, b]])) for a, b, J in bonds])
    pairs, n_bonds = np.array([b[:2] for b in bonds], dtype=np.int32), len(bonds)
    joins = 1 - np.exp(-2 * np.abs(system.strength) / temperature)
    kernel = getattr(swendsen_wang, "py_func", swendsen_wang)
    states, P = all_states(n_sites), np.zeros((2**n_sites, 2**n_sites))
    streams = np.zeros((4, 1), dtype=np.uint64)
    for joined, turned in itertools.product(
        itertools.product((0, 1), repeat=n_bonds), itertools.product((0, 1), repeat=n_sites)
    ):
        script = [0 if join else 2**64 - 1 for join in joined] + [turn << 63 for turn in turned]
        scripted = np.array(script, dtype=np.uint64)
        monkeypatch.setattr(_spin_kernels, "fill_words", lambda words, streams, new=scripted: np.copyto(words, new))
        new = states.copy()
        kernel(new, 1, pairs, system.strength, temperature, streams)
        probability = np.prod(np.where(joined, joins, 1 - joins)) / 2**n_sites
        P[np.arange(len(states)), (new > 0) @ (1 << np.arange(n_sites)[::-1])] += probability
    is_stationary(boltzmann(system, temperature), P, 1e-13)


# ------------------------------------------------------------------ G-tests and mutants

N_CHAINS, N_DRAWS = 1024, 500
THINNING = {HeatBathGroup: 25, MultiSpinGroup: 25, ClusterGroup: 5}
GROUPS = {"heat-bath": HeatBathGroup, "multispin": MultiSpinGroup, "swendsen-wang": ClusterGroup}


def mutant(module, old, new):
    """The module with a fault planted in its source."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{source.count(old)} places read {old!r}"
    copy = types.ModuleType(f"skhamiltonian.mutant_of{module.__name__.rpartition('.')[2]}")
    copy.__package__ = module.__package__
    exec(compile(source.replace(old, new), f"mutant of {module.__name__}", "exec"), vars(copy))
    return copy


def g_test(group_class, system, temperature, *, truth=None, n_draws=N_DRAWS):
    """The p-value of the counts of all states against the Boltzmann law; all chains start with all spins up.

    `truth` is the system that the chains should have, and (system, temperature) what they do have.
    """
    target, T = (system, temperature) if truth is None else truth
    group = group_class(np.ones((N_CHAINS, system.n_sites), np.int8), system, np.random.SeedSequence(7))
    group.advance(200, temperature)
    counts = np.zeros(2**system.n_sites)
    bits = 1 << np.arange(system.n_sites)[::-1]
    for _ in range(n_draws):
        group.advance(THINNING[type(group)], temperature)
        counts += np.bincount((group.states() > 0) @ bits, minlength=len(counts))
    expected = boltzmann(target, T) * counts.sum()
    assert expected.min() > 5
    seen = counts > 0
    G = 2 * np.sum(counts[seen] * np.log(counts[seen] / expected[seen]))
    return chi2.sf(G, len(counts) - 1)


SYSTEM = ising((2, 3), field=0.1)


@pytest.mark.parametrize("kind", GROUPS)
def test_counts_of_all_states_follow_the_boltzmann_law(kind):
    assert g_test(GROUPS[kind], SYSTEM, 2.5) > 1e-4


def test_counts_of_all_states_follow_the_law_of_many_body_terms():
    assert g_test(HeatBathGroup, many_body(), 3.5) > 1e-4


@pytest.mark.parametrize("kind", GROUPS)
def test_a_beta_that_is_one_percent_too_large_is_rejected(kind):
    assert g_test(GROUPS[kind], SYSTEM, 2.5 / 1.01, truth=(SYSTEM, 2.5)) < 1e-6


@pytest.mark.parametrize("kind", ["heat-bath", "swendsen-wang"])
def test_a_missing_bond_is_rejected(kind):
    bonds = nearest_neighbours((2, 3), (True, True))
    faulty = spin_system(6, [(1.0, bonds[1:]), (0.1, np.arange(6)[:, None])])
    assert g_test(GROUPS[kind], faulty, 2.5, truth=(SYSTEM, 2.5)) < 1e-6


ALL_SITES, BUT_THE_FIRST = "for i in range(len(s)):\n            ", "for i in range(1, len(s)):\n            "
JOINS = "_ULP_53 < joins[k]"
FAULTS = {
    "heat-bath: site never drawn": ("heat_bath", ALL_SITES, BUT_THE_FIRST),
    "heat-bath: probability x 0.9": ("heat_bath", "power_of_two[c]) < _F(1.0)", "power_of_two[c]) < _F(0.9)"),
    "heat-bath: factor 2 missing": ("heat_bath", "np.minimum(2.0 * beta", "np.minimum(1.0 * beta"),
    "heat-bath: shared random numbers": ("heat_bath", "_F(random[c] &", "_F(random[0] &"),
    "multispin: site never drawn": ("multispin_heat_bath", ALL_SITES, BUT_THE_FIRST),
    "multispin: probability x 0.9": ("probability_bits", "p = expit(", "p = 0.9 * expit("),
    "multispin: neighbour not counted": ("multispin_heat_bath", "for n in range(z):", "for n in range(1, z):"),
    "swendsen-wang: bonds join x 0.9": ("swendsen_wang", JOINS, "_ULP_53 < 0.9 * joins[k]"),
    "swendsen-wang: factor 2 missing": ("swendsen_wang", "np.expm1(-2.0 *", "np.expm1(-1.0 *"),
    "swendsen-wang: site never turned": ("swendsen_wang", "*= turn[parent[i]]", "*= turn[parent[i]] if i != 1 else 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_kernels_are_rejected(monkeypatch, fault):
    name, old, new = FAULTS[fault]
    module = _multispin if fault.startswith("multispin") else _spin_kernels
    monkeypatch.setattr(_chain_groups, name, getattr(mutant(module, old, new), name))
    p = g_test(GROUPS[fault.partition(":")[0]], SYSTEM, 2.5, n_draws=200)
    assert p < 1e-6


# ------------------------------------------------------------------ groups


@pytest.mark.parametrize("kind", ["heat-bath", "multispin"])  # cluster chains take turns with the words
def test_calls_may_be_cut_anywhere(kind):
    start = np.ones((70, 6), np.int8)
    one, two = (GROUPS[kind](start, SYSTEM, np.random.SeedSequence(0)) for _ in range(2))
    one.advance(9, 2.5)
    for n in (2, 3, 4):
        two.advance(n, 2.5)
    np.testing.assert_array_equal(one.states(), two.states())


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("n_chains", [1, 3, 64, 65])
def test_states_pass_through_a_group_unchanged(kind, n_chains):
    s = np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.int8), (n_chains, 6))
    group = GROUPS[kind](s, SYSTEM, np.random.SeedSequence(0))
    np.testing.assert_array_equal(group.states(), s)


@pytest.mark.parametrize("kind", GROUPS)
def test_chains_of_a_group_are_uncorrelated(kind):
    """Pairs of chains, neighbours and far ones, at T = inf where every overlap is a sum of fair coins."""
    group = GROUPS[kind](np.ones((128, 6), np.int8), ising((2, 3)), np.random.SeedSequence(5))
    overlap = np.zeros((128, 128))
    for _ in range(400):
        group.advance(1, math.inf)
        s = group.states().astype(float)
        overlap += s @ s.T
    z = overlap[np.triu_indices(128, 1)] / math.sqrt(400 * 6)
    assert abs(z.mean()) < 5 / math.sqrt(len(z))
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / len(z))
    assert np.abs(z).max() < 6
