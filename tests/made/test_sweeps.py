"""Monte Carlo on a masked network: incremental energies, exact stationary laws, independence of neighbours."""

import numpy as np
import pytest
from scipy import stats

from skhamiltonian._made.kernels.sweep import sweep
from skhamiltonian._made.network import log_prob
from skhamiltonian._made.sampling.sweeps import LANES, Chains
from skhamiltonian._made.sampling.tempered import tempered_draws
from skhamiltonian._utils.alphabet import enumerate_states


def generators(n_chains, seed=0):
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n_chains)]


def start(n_chains, network, seed=1):
    return np.random.default_rng(seed).integers(network.n_states, size=(n_chains, network.n_sites)).astype(np.int8)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "silu"])
@pytest.mark.parametrize("n_states", [2, 3, 5])
@pytest.mark.parametrize("hidden", [(), (9,), (31, 14), (8, 3, 17)])
def test_running_log_prob_equals_full_recomputation(random_network, n_states, hidden, activation):
    network = random_network(13, n_states, hidden, activation=activation, scale=0.5)
    chains = Chains(network, start(10, network), 0.7, np.linspace(0, 0.3, n_states), generators(10))
    for _ in range(30):
        chains.sweep()
        np.testing.assert_allclose(chains.log_prob, log_prob(network, chains.codes), atol=2e-4)
    assert 0 < chains.n_accepted < chains.n_proposed


def test_log_prob_stays_exact_after_many_proposals(random_network):
    network = random_network(64, 2, (60, 40), scale=0.15)
    chains = Chains(network, start(4, network), 1.0, np.zeros(2), generators(4))
    chains.sweep(100_000 // 64 + 1)
    np.testing.assert_allclose(chains.log_prob, log_prob(network, chains.codes), atol=1e-3)


@pytest.mark.parametrize(("n_sites", "n_states"), [(6, 2), (4, 3)])
@pytest.mark.parametrize(
    ("exponent", "calibrated"), [(0.4, False), (1.0, False), (2.0, False), (0.4, True), (2.0, True)]
)
def test_one_long_chain_visits_states_as_enumerated(random_network, n_sites, n_states, exponent, calibrated):
    """G-test of p^exponent * exp(tilt) against draws thinned by ten sweeps, from one fixed start."""
    network = random_network(n_sites, n_states, (7, 5), scale=0.5, calibrated=calibrated)
    tilt = np.linspace(-0.2, 0.3, n_states)
    states = enumerate_states(np.arange(n_states), n_sites).astype(np.int8)
    log_weight = exponent * log_prob(network, states) + tilt[states].sum(1)
    expected = np.exp(log_weight - np.logaddexp.reduce(log_weight))
    chains = Chains(network, np.zeros((LANES, n_sites), np.int8), exponent, tilt, generators(LANES))
    counts = np.zeros(len(states))
    index = n_states ** np.arange(n_sites)[::-1]
    chains.sweep(50)
    for _ in range(600):
        chains.sweep(10)
        np.add.at(counts, chains.codes @ index, 1)
    enough = expected * counts.sum() > 5
    observed = np.append(counts[enough], counts[~enough].sum())
    wanted = np.append(expected[enough], expected[~enough].sum()) * counts.sum()
    keep = wanted > 0
    assert stats.power_divergence(observed[keep], wanted[keep], lambda_="log-likelihood").pvalue > 1e-4


def test_a_chain_does_not_depend_on_its_neighbours(random_network):
    network = random_network(12, 3, (9, 8), scale=0.5)
    codes = start(20, network)
    together = Chains(network, codes, 1.3, np.zeros(3), generators(20))
    alone = Chains(network, codes[7:8], 1.3, np.zeros(3), generators(20)[7:8])
    together.sweep(20)
    alone.sweep(20)
    np.testing.assert_array_equal(together.codes[7], alone.codes[0])


def test_nan_energy_is_refused(random_network):
    network = random_network(6, 2)
    network.biases[-1][3] = np.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        Chains(network, start(3, network), 1.0, np.zeros(2), generators(3)).sweep()


class Backwards(Chains):
    """The same moves in reverse order of sites: what the chains look like when time runs backwards."""

    def _sweep_tile(self, tile, step, logit, lane):
        sweep(np.arange(self.network.n_sites)[::-1].copy(), step, logit, self.layers, self.law, tile)


def ranks(network, exponent, n_chains, n_moves):
    """Ranks of log p of exact draws among the moves before and after them, as many chains for each place.

    Gandy and Scott, arXiv:2001.06465: they are uniform where the chain leaves the law of the draws.
    """
    rng, tilt, found = np.random.default_rng(0), np.zeros(network.n_states), []
    for place in range(n_moves + 1):
        codes = tempered_draws(network, n_chains, 1.0, tilt, rng).codes
        first, rank, tie = log_prob(network, codes), np.zeros(n_chains, np.intp), rng.random(n_chains)
        for direction, n in ((Backwards, place), (Chains, n_moves - place)):
            chains = direction(network, codes, exponent, tilt, generators(n_chains, rng.integers(2**32)))
            for _ in range(n):
                chains.sweep()
                log_p = log_prob(network, chains.codes)
                same = np.all(chains.codes == codes, axis=1)
                rank += np.where(same, rng.random(n_chains) < tie, log_p < first)
        found.append(rank)
    return np.concatenate(found)


@pytest.mark.parametrize("n_states", [2, 3])
def test_ranks_of_exact_draws_along_a_chain_are_uniform(random_network, n_states):
    """For twenty sites no enumeration is needed; an exponent that is 10 % too large is rejected."""
    network = random_network(20, n_states, (9,), scale=0.5)
    p = {}
    for exponent in (1.0, 1.1):
        counts = np.bincount(ranks(network, exponent, 400, 9), minlength=10)
        p[exponent] = stats.chisquare(counts).pvalue
    assert p[1.0] > 1e-4
    assert p[1.1] < 1e-6
