"""Monte Carlo on a masked network: incremental energies, exact stationary laws, independence of neighbours."""

import numpy as np
import pytest
from laws import all_codes, enumerated_law, g_test
from scipy import sparse, stats

from skhamiltonian._made.network import log_prob
from skhamiltonian._made.sampling.acceptance import LAZINESS, RULES
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.sweeps import Chains
from skhamiltonian._made.sampling.tempered import tempered_draws


def generators(n_chains, seed=0):
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n_chains)]


def start(n_chains, network, seed=1):
    return np.random.default_rng(seed).integers(network.n_states, size=(n_chains, network.n_sites)).astype(np.int8)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "silu"])
@pytest.mark.parametrize("n_states", [2, 3, 5])
@pytest.mark.parametrize("hidden", [(), (9,), (31, 14), (8, 3, 17)])
def test_running_log_prob_equals_full_recomputation(random_network, n_states, hidden, activation):
    network = random_network(13, n_states, hidden, activation=activation, scale=0.5)
    chains = Chains(network, start(10, network), Law(0.7, np.linspace(0, 0.3, n_states)), generators(10))
    for _ in range(30):
        chains.sweep()
        np.testing.assert_allclose(chains.log_prob, log_prob(network, chains.codes), atol=2e-4)
    assert 0 < chains.n_accepted < chains.n_proposed


def test_log_prob_stays_exact_after_many_proposals(random_network):
    network = random_network(64, 2, (60, 40), scale=0.15)
    chains = Chains(network, start(4, network), Law(1.0), generators(4))
    chains.sweep(100_000 // 64 + 1)
    np.testing.assert_allclose(chains.log_prob, log_prob(network, chains.codes), atol=1e-3)


@pytest.mark.parametrize(
    ("rule", "n_sites", "n_states", "exponent"), [("metropolis", 4, 3, 0.4), ("heat-bath", 6, 2, 2.0)]
)
def test_long_chains_visit_states_as_enumerated(random_network, rule, n_sites, n_states, exponent):
    """G-test of draws thinned by ten sweeps, from one fixed start."""
    network = random_network(n_sites, n_states, (7, 5), scale=0.5, calibrated=True)
    law = Law(exponent, np.linspace(-0.2, 0.3, n_states))
    chains = Chains(network, np.zeros((64, n_sites), np.int8), law, generators(64), rule)
    chains.sweep(50)
    draws = []
    for _ in range(250):
        chains.sweep(10)
        draws.append(chains.codes)
    assert g_test(np.concatenate(draws), network, enumerated_law(network, law)[0]) > 1e-4


def site_matrix(network, p, site, rule):
    """Return the transition matrix of a visit of one site, as the definition of the rule has it."""
    codes, n_states = all_codes(network), network.n_states
    power = n_states ** np.arange(network.n_sites)[::-1]
    matrix = sparse.csr_array((len(codes), len(codes)))
    for shift in range(1, n_states):
        new = codes.copy()
        new[:, site] = (codes[:, site] + shift) % n_states
        target = new @ power
        ratio = p[target] / p
        chance = ratio / (1 + ratio) if rule == "heat-bath" else (1 - LAZINESS) * np.minimum(1, ratio)
        matrix = matrix + sparse.csr_array((chance / (n_states - 1), (np.arange(len(codes)), target)))
    return matrix + sparse.diags_array(1 - matrix.sum(axis=1))


def swept(start, network, p, rule):
    """Return the laws (n, n_configurations) of one sweep later."""
    for site in network.ordering:
        start = start @ site_matrix(network, p, site, rule)
    return start


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n_sites", "n_states"), [(4, 2), (9, 2), (16, 2), (4, 3)])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 3.0])
def test_one_sweep_reaches_every_state_and_keeps_the_law(random_network, n_sites, n_states, exponent, rule):
    """A positive matrix is irreducible and aperiodic; exponent 0 is infinite temperature."""
    network = random_network(n_sites, n_states, scale=0.4)
    p = enumerated_law(network, Law(exponent))[0]
    states = np.arange(len(p)) if len(p) <= 512 else np.array([0, len(p) // 3, len(p) - 1])
    start = (np.arange(len(p)) == states[:, None]).astype(float)
    assert swept(start, network, p, rule).min() > 0
    np.testing.assert_allclose(swept(p[None], network, p, rule)[0], p, rtol=1e-9)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("n_states", "exponent", "field", "calibrated"),
    [(2, 0.0, 0.0, False), (2, 2.0, 0.2, True), (3, 2.0, 0.0, False), (3, 0.4, 0.2, True)],
)
def test_sweeps_follow_the_transition_matrix_of_their_rule(random_network, n_states, exponent, field, calibrated, rule):
    """Chains from one state, one sweep: the row of the matrix."""
    network = random_network(4, n_states, scale=0.4, calibrated=calibrated)
    law = Law(exponent, field * np.arange(n_states))
    p = enumerated_law(network, law)[0]
    expected = swept(np.eye(1, len(p)), network, p, rule)[0]
    chains = Chains(network, np.zeros((10_000, 4), np.int8), law, generators(10_000), rule)
    chains.sweep()
    assert g_test(chains.codes, network, expected) > 1e-4


def test_a_chain_does_not_depend_on_its_neighbours(random_network):
    network = random_network(12, 3, (9, 8), scale=0.5)
    codes = start(20, network)
    together = Chains(network, codes, Law(1.3), generators(20))
    alone = Chains(network, codes[7:8], Law(1.3), generators(20)[7:8])
    together.sweep(20)
    alone.sweep(20)
    np.testing.assert_array_equal(together.codes[7], alone.codes[0])


def test_nan_energy_is_refused(random_network):
    network = random_network(6, 2)
    network.biases[-1][3] = np.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        Chains(network, start(3, network), Law(1.0), generators(3)).sweep()


class Backwards(Chains):
    """The same moves in reverse order of sites: what the chains look like when time runs backwards."""

    def sweep(self, n_sweeps=1):
        for _ in range(n_sweeps):
            self._offer(np.arange(self.network.n_sites)[::-1, None].copy(), *self._site_proposals(), wraps=True)


def ranks(network, law, rule, n_chains, n_moves):
    """Ranks of log p of exact draws among the moves before and after them, as many chains for each place.

    Gandy and Scott, arXiv:2001.06465: they are uniform where the chain leaves the law of the draws.
    """
    rng, found = np.random.default_rng(0), []
    for place in range(n_moves + 1):
        codes = tempered_draws(network, n_chains, Law(1.0), rng).codes
        first, rank, tie = log_prob(network, codes), np.zeros(n_chains, np.intp), rng.random(n_chains)
        for direction, n in ((Backwards, place), (Chains, n_moves - place)):
            chains = direction(network, codes, law, generators(n_chains, rng.integers(2**32)), rule)
            for _ in range(n):
                chains.sweep()
                log_p = log_prob(network, chains.codes)
                same = np.all(chains.codes == codes, axis=1)
                rank += np.where(same, rng.random(n_chains) < tie, log_p < first)
        found.append(rank)
    return np.concatenate(found)


def test_backwards_chains_are_other_chains(random_network):
    network = random_network(20, 2, (9,), scale=0.5)
    there, back = (c(network, start(4, network), Law(1.0), generators(4)) for c in (Chains, Backwards))
    there.sweep()
    back.sweep()
    assert (there.codes != back.codes).any()


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "n_states"), [("metropolis", 2), ("heat-bath", 3)])
def test_ranks_of_exact_draws_along_a_chain_are_uniform(random_network, rule, n_states):
    """For twenty sites no enumeration is needed; an exponent that is 10 % too large is rejected."""
    network = random_network(20, n_states, (9,), scale=0.5)
    p = {}
    for exponent in (1.0, 1.1):
        counts = np.bincount(ranks(network, Law(exponent), rule, 400, 9), minlength=10)
        p[exponent] = stats.chisquare(counts).pvalue
    assert p[1.0] > 1e-4
    assert p[1.1] < 1e-6
