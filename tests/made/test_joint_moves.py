"""Moves of windows: learned from configurations, exact laws on overlapping blocks, frozen chains diagnosed."""

import warnings
from unittest.mock import Mock

import numpy as np
import pytest
from laws import taken_as_true
from scipy import stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning

from skhamiltonian import BlockSpinTransformer, IsingSampler, MADEHamiltonian, phase_curve
from skhamiltonian._made.network import log_prob
from skhamiltonian._made.sampling import chains as sampling_chains
from skhamiltonian._made.sampling.chains import ChainPlan, burn_in_by_r_hat, chain_draws
from skhamiltonian._made.sampling.joint_moves import learn_moves
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.moves import Seeds, SiteChains
from skhamiltonian._made.sampling.sweeps import Chains, Moves
from skhamiltonian._made.sampling.tempered import equal_weight_codes
from skhamiltonian._utils.alphabet import enumerate_states

T0 = 2.5


def blocks_of(shape, boundary="open"):
    """Return a transformer to overlapping blocks of 2 x 2, the lattice of blocks, and codes of blocks at T0."""
    blocks = BlockSpinTransformer(block_size=2, stride=1, lattice_shape=shape, boundary=boundary)
    S = blocks.fit_transform(IsingSampler(shape, T0, random_state=0).sample(n_samples=8000))
    return blocks, blocks.lattice_shape_out_, codes_of(S)


def codes_of(S):
    return ((S + 4) // 2).astype(np.int8)


def learned(codes, shape, ordering=None, seed=0):
    ordering = np.arange(codes.shape[1]) if ordering is None else ordering
    return learn_moves(codes, shape, ordering, np.random.default_rng(seed))


def as_changes(moves, n_sites):
    """Return every (window, shift) as a change of the whole lattice, in drawing order."""
    changes = np.zeros((*moves.shifts.shape[:2], n_sites), np.int8)
    for change, positions, shifts in zip(changes, moves.positions, moves.shifts, strict=True):
        change[:, positions] = shifts
    return changes


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_flips_of_hidden_spins_are_learned_from_sums_of_blocks(boundary):
    blocks, shape, codes = blocks_of((6, 6), boundary)
    changes = {tuple(c) for c in as_changes(learned(codes, shape), codes.shape[1]).reshape(-1, codes.shape[1])}
    flips = blocks.transform(np.eye(36, dtype=np.int8))
    assert len(flips) == 36
    assert changes >= {tuple(flip) for flip in flips}


def test_every_shift_has_its_negative_with_the_same_chance():
    _, shape, codes = blocks_of((6, 6))
    moves = learned(codes, shape, np.random.default_rng(1).permutation(25))
    assert (np.diff(moves.positions, axis=1) > 0).all()
    for shifts in moves.shifts:
        there, back = (sorted(map(tuple, s)) for s in (shifts, -shifts))
        assert there == back
        assert shifts.any(axis=1).all()


def test_windows_connect_all_blocks_that_spins_can_have():
    blocks, shape, codes = blocks_of((4, 4))
    possible = np.unique(codes_of(blocks.transform(enumerate_states((-1, 1), 16).astype(np.int8))), axis=0)
    changes = np.unique(as_changes(learned(codes, shape), 9).reshape(-1, 9), axis=0)
    assert n_components(possible, changes) == 1


def n_components(states, changes):
    """Return into how many parts the states fall if each change leads from one to another."""
    power = 5 ** np.arange(states.shape[1])
    index = states @ power
    order = np.argsort(index)
    edges = []
    for change in changes:
        target = states + change
        inside = ((target >= 0) & (target < 5)).all(axis=1)
        place = np.minimum(np.searchsorted(index[order], target @ power), len(states) - 1)
        found = inside & (index[order][place] == target @ power)
        edges.append(np.stack([np.flatnonzero(found), order[place[found]]]))
    rows, columns = np.concatenate(edges, axis=1)
    return connected_components(csr_array((np.ones(len(rows)), (rows, columns)), shape=2 * (len(states),)))[0]


@pytest.mark.parametrize("n_chains", [pytest.param(1, marks=pytest.mark.kernel), 10])
@pytest.mark.parametrize("n_states", [2, 3, 5])
@pytest.mark.parametrize("hidden", [(), (31, 14), (8, 3, 17)])
def test_running_log_prob_equals_full_recomputation(random_network, n_states, hidden, n_chains):
    network, rng = random_network(40, n_states, hidden, scale=0.3, calibrated=True), np.random.default_rng(0)
    positions = np.sort([rng.choice(40, 4, replace=False) for _ in range(60)], axis=1)
    shifts = rng.integers(1 - n_states, n_states, size=(60, 8, 4)).astype(np.int8)
    generators = [np.random.default_rng(i) for i in range(n_chains)]
    start = rng.integers(n_states, size=(n_chains, 40)).astype(np.int8)
    chains = Chains(network, start, Law(0.5, np.linspace(0, 0.3, n_states)), generators)
    for _ in range(10):
        chains.sweep_windows(Moves(positions, np.concatenate([shifts, -shifts], axis=1)))
        law = random_network(40, n_states, hidden, scale=0.3)
        np.testing.assert_allclose(chains.log_prob, log_prob(law, chains.codes), atol=5e-4)
        order = network.calibration.order_parameter(chains.codes)
        np.testing.assert_allclose(np.squeeze(chains._walk._state.order), order, atol=1e-9)
        assert chains.codes.min() >= 0
        assert chains.codes.max() < n_states
    assert 0 < chains.n_accepted < chains.n_proposed


@pytest.fixture(scope="module")
def made():
    """A model of the 2 x 2 overlapping blocks of 3 x 3 spins."""
    blocks = BlockSpinTransformer(block_size=2, stride=1, lattice_shape=(3, 3))
    S = blocks.fit_transform(IsingSampler((3, 3), T0, random_state=0).sample(n_samples=8000))
    return MADEHamiltonian(T0, hidden_layer_sizes=(64,), lattice_shape=(2, 2), max_iter=10, random_state=0).fit(S)


@pytest.mark.parametrize("T", [1.8, 4.0])
def test_window_moves_alone_keep_the_tempered_law_of_blocks(made, T):
    """G-test of p^(T0/T) on all 625 configurations; chains start in the law, so that all it takes is to stay in it."""
    network, exponent = made._network(), T0 / T
    states = enumerate_states(np.arange(5), 4).astype(np.int8)
    log_weight = exponent * log_prob(network, states)
    p = np.exp(log_weight - np.logaddexp.reduce(log_weight))
    rng = np.random.default_rng(0)
    start = states[rng.choice(625, size=10_000, p=p)]
    moves = learned(states[rng.choice(625, size=4000, p=p)], (2, 2), network.ordering)
    counts = np.zeros(625)
    for first in range(0, len(start), 2000):
        generators = [np.random.default_rng(child) for child in np.random.SeedSequence(first).spawn(2000)]
        chains = Chains(network, start[first : first + 2000], Law(exponent), generators)
        for _ in range(4):
            chains.sweep_windows(moves)
        assert (chains.codes != start[first : first + 2000]).any(axis=1).mean() > 0.4
        np.add.at(counts, chains.codes @ 5 ** np.arange(4)[::-1], 1)
    enough = p * counts.sum() > 5
    observed = np.append(counts[enough], counts[~enough].sum())
    wanted = np.append(p[enough], p[~enough].sum()) * counts.sum()
    assert stats.power_divergence(observed, wanted, lambda_="log-likelihood").pvalue > 1e-3


@pytest.mark.parametrize("T", [1.8, 4.0])
def test_window_method_draws_blocks_as_enumerated(made, T):
    S = enumerate_states((-4, -2, 0, 2, 4), 4).astype(np.int8)
    weight = np.exp(T0 / T * made.score_samples(S))
    exact = weight @ np.abs(S.mean(axis=1) / 4) / weight.sum()
    curve = phase_curve(taken_as_true(made), [T], n_samples=8000, method="window", random_state=0)
    value, error = curve["abs_magnetization"]
    assert error[0] < 0.0053
    assert abs(value[0] - exact) < 4 * error[0]


@pytest.mark.slow
def test_windows_and_tempered_draws_agree_where_single_blocks_are_frozen():
    blocks = BlockSpinTransformer(block_size=2, stride=1, lattice_shape=(8, 8))
    S = blocks.fit_transform(IsingSampler((8, 8), T0, random_state=0).sample(n_samples=20_000))
    made = MADEHamiltonian(T0, hidden_layer_sizes=(128,), lattice_shape=(7, 7), max_iter=15, random_state=0).fit(S)
    T = [2.0, 3.0]
    made = taken_as_true(made)
    tempered = phase_curve(made, T, n_samples=20_000, random_state=0)
    windows = phase_curve(made, T, n_samples=2500, method="window", random_state=1)
    for name in ("abs_magnetization", "energy"):
        error = np.hypot(windows[name].error, tempered[name].error)
        assert (np.abs(windows[name].value - tempered[name].value) < 4 * error).all()
    assert (windows["abs_magnetization"].error < 0.02).all()
    assert chain_draws(made._network(), Law(1.25), ChainPlan(64, 5, 20), np.random.SeedSequence(0)).frozen


def changed(X):
    """Share of sites that differ between the first and the seventh draw of 256 chains."""
    return (X[:256] != X[6 * 256 : 7 * 256]).mean()


@pytest.fixture(scope="module")
def twins():
    """A model of eight spins of a chain, each seen twice: single sites are frozen, windows of two are not."""
    X = np.repeat(IsingSampler((8,), T0, random_state=0).sample(n_samples=10_000), 2, axis=1)
    return MADEHamiltonian(T0, hidden_layer_sizes=(32,), max_iter=20, random_state=0).fit(X)


def test_frozen_chains_say_so_once_and_name_the_way_out(twins):
    with pytest.warns(ConvergenceWarning) as caught:
        X = twins.sample(1.5, n_samples=2000, burn_in=20, random_state=0)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "temperature=1.5 are frozen: method='metropolis' accepts" in message
    assert "choose method='window' or 'tempered'" in message
    assert caught[0].filename == __file__
    assert changed(X) < 0.1
    with pytest.warns(ConvergenceWarning) as caught:
        phase_curve(twins, [0.8, 1.0, 10 * T0], n_samples=2000, method="metropolis", random_state=0)
    assert len(caught) == 1
    assert "chains at 2 of 3 temperatures (T = 0.8, 1) are frozen" in str(caught[0].message)


def test_burn_in_ends_early_only_where_no_sweeps_would_help(twins, monkeypatch):
    """With chains of single sites that nothing satisfies: frozen for good at T = 1, on the way at T = 3."""
    monkeypatch.setattr(sampling_chains, "R_HAT_LIMIT", 0.0)
    n_sweeps = {}
    for temperature in (1.0, 3.0):
        network, exponent, seeds = twins._network(), T0 / temperature, np.random.SeedSequence(0).spawn(66)
        start = equal_weight_codes(network, 64, Law(exponent), seeds[0])
        chains = SiteChains(network, start, Law(exponent), Seeds(seeds[1:65], seeds[65]))
        chains.sweep = Mock(wraps=chains.sweep)
        burn_in_by_r_hat(chains)
        n_sweeps[temperature] = chains.sweep.call_count
    assert n_sweeps[1.0] < 100
    assert n_sweeps[3.0] == 2550


def test_windows_move_what_single_sites_cannot(twins):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = twins.sample(1.5, n_samples=2000, method="window", burn_in=20, random_state=0)
        curve = phase_curve(twins, [1.5], n_samples=5000, method="window", random_state=0)
    assert (X[:, ::2] == X[:, 1::2]).mean() > 0.99
    assert changed(X) > 0.3
    s = enumerate_states((-1, 1), 16).astype(np.int8)
    weight = np.exp(T0 / 1.5 * twins.score_samples(s))
    exact = weight @ np.abs(s.mean(axis=1)) / weight.sum()
    value, error = curve["abs_magnetization"]
    assert curve.acceptance[0] > 0.04
    assert abs(value[0] - exact) < 4 * error[0]


def test_window_needs_the_lattice_of_the_data(made):
    other = MADEHamiltonian()
    vars(other).update(vars(made), lattice_shape=(3, 3))
    with pytest.raises(ValueError, match=r"lattice_shape=\(3, 3\) has 9 sites, but X has 4 features"):
        other.sample(2.0, method="window")


def test_moves_that_nothing_has_shown_are_not_offered(random_network):
    """All configurations alike: no windows, and chains of single sites remain."""
    moves = learned(np.zeros((100, 9), np.int8), (3, 3))
    assert moves.positions.shape == (0, 1)
    network = random_network(9, 2)
    network.biases[-1][:] = 1e3
    draws = chain_draws(network, Law(0.5), ChainPlan(4, 3, 2, 1, "window"), np.random.SeedSequence(0))
    assert (draws.codes == 1).all()
