"""Metropolis on a network against JAX and NetKet: processor time, one thread each, in one run."""

import os
import statistics
import time

import numpy as np
import pytest

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
jax = pytest.importorskip("jax")

from skhamiltonian._made.network import encode, log_prob  # noqa: E402
from skhamiltonian._made.sampling.chains import TILE  # noqa: E402
from skhamiltonian._made.sampling.law import Law  # noqa: E402
from skhamiltonian._made.sampling.sweeps import Chains  # noqa: E402

pytestmark = [pytest.mark.benchmark, pytest.mark.filterwarnings("default")]

N_CHAINS, N_SITES, ROUNDS = 1024, 256, 3


def processor_time(function):
    started = time.process_time()
    function()
    return time.process_time() - started


def proposals_per_second(ours, theirs, n_theirs):
    """Rates of a sweep of ours and of `n_theirs` proposals to every chain, measured in turn."""
    ours(), theirs()
    times = [(processor_time(ours), processor_time(theirs)) for _ in range(ROUNDS)]
    t_ours, t_theirs = map(statistics.median, zip(*times, strict=True))
    return N_CHAINS * N_SITES / t_ours, N_CHAINS * n_theirs / t_theirs


@pytest.fixture
def network(random_network):
    return random_network(N_SITES, 2, (180, 120), scale=0.05)


@pytest.fixture
def codes():
    return np.random.default_rng(0).integers(2, size=(N_CHAINS, N_SITES)).astype(np.int8)


@pytest.fixture
def ours(network, codes):
    tiles = [
        Chains(network, tile, Law(1.0), [np.random.default_rng(j) for j in range(TILE)])
        for tile in np.split(codes, N_CHAINS // TILE)
    ]
    return lambda: [tile.sweep() for tile in tiles]


def test_metropolis_against_jax(network, codes, ours, report):
    """A jitted loop over sites that computes log p of every proposal by a forward pass."""
    jnp, n_theirs = jax.numpy, 16
    weights = [jnp.asarray(w, jnp.float32) for w in network.weights]
    biases = [jnp.asarray(b, jnp.float32) for b in network.biases]
    skip = jnp.asarray(network.skip, jnp.float32)

    def log_p(x):
        h = x
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            h = jax.nn.relu(h @ w + b)
        return jax.nn.log_sigmoid(x * (h @ weights[-1] + biases[-1] + x @ skip)).sum(axis=1)

    @jax.jit
    def sweep(x, key):
        def visit(state, step):
            x, old = state
            site, key = step
            proposal = x.at[:, site].multiply(-1)
            new = log_p(proposal)
            accepted = jnp.log(jax.random.uniform(key, (len(x),))) < new - old
            return (jnp.where(accepted[:, None], proposal, x), jnp.where(accepted, new, old)), None

        steps = jnp.arange(0, N_SITES, N_SITES // n_theirs), jax.random.split(key, n_theirs)
        return jax.lax.scan(visit, (x, log_p(x)), steps)[0][0]

    x = jnp.asarray(encode(codes, network, np.float32))
    np.testing.assert_allclose(log_p(x), log_prob(network, codes), atol=1e-3)
    key = jax.random.key(0)
    fast, slow = proposals_per_second(ours, lambda: sweep(x, key).block_until_ready(), n_theirs)
    report("Metropolis, 1024 chains", fast / 1e6, "M proposals/s", f"{fast / slow:.1f} times JAX's forward passes")
    assert fast > slow


def test_metropolis_against_netket(ours, report):
    """MetropolisLocal on an ARNNDense of three layers and one feature, 256-256-256-512, the nearest to ours."""
    netket, n_theirs = pytest.importorskip("netket"), 16
    hilbert = netket.hilbert.Spin(0.5, N_SITES)
    model = netket.models.ARNNDense(hilbert, layers=3, features=1, param_dtype=np.float32, activation=jax.nn.relu)
    sampler = netket.sampler.MetropolisLocal(hilbert, n_chains=N_CHAINS, sweep_size=n_theirs, dtype=np.int8)
    parameters = model.init(jax.random.key(0), hilbert.random_state(jax.random.key(1), 2))
    state = sampler.reset(model, parameters, sampler.init_state(model, parameters, seed=0))

    def theirs():
        jax.block_until_ready(sampler.sample(model, parameters, state=state, chain_length=1)[0])

    fast, slow = proposals_per_second(ours, theirs, n_theirs)
    report("Metropolis, 1024 chains", fast / 1e6, "M proposals/s", f"{fast / slow:.1f} times NetKet's MetropolisLocal")
    assert fast > slow
