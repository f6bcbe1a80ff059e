"""Training and Monte Carlo on a network against plain PyTorch: both sides in turn, on equally many threads."""

import statistics
import time

import numpy as np
import pytest
import torch
from laws import numbers
from torch.nn import functional

from skhamiltonian._made.network import encode, log_prob, masks
from skhamiltonian._made.sampling.chains import TILE
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.sweeps import Chains
from skhamiltonian._made.training import MaskedNetwork, _step

pytestmark = pytest.mark.benchmark

ROUNDS = 5


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def processor_time(function):
    started = time.process_time()
    function()
    return time.process_time() - started


def wall_time(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def alternating_medians(ours, theirs, measure=processor_time):
    """Time two functions in turn, so that both meet the same machine."""
    ours(), theirs()
    times = [(measure(ours), measure(theirs)) for _ in range(ROUNDS)]
    return map(statistics.median, zip(*times, strict=True))


class PlainTorch:
    """A masked network as it is written first: masks multiplied in at every pass."""

    def __init__(self, network):
        self.activation = getattr(torch, network.activation)
        self.masks = [torch.from_numpy(m.T.astype(np.float32)) for m in network_masks(network)]
        self.weights = [torch.from_numpy(np.ascontiguousarray(w.T, np.float32)) for w in network.weights]
        self.biases = [torch.from_numpy(b.astype(np.float32)) for b in network.biases]
        self.skip = None if network.skip is None else torch.from_numpy(np.ascontiguousarray(network.skip.T, np.float32))
        self.parameters = [*self.weights, *self.biases, *([] if self.skip is None else [self.skip])]

    def log_prob(self, x):
        h = x
        for w, b, mask in zip(self.weights[:-1], self.biases[:-1], self.masks[:-2], strict=True):
            h = self.activation(functional.linear(h, w * mask, b))
        z = functional.linear(h, self.weights[-1] * self.masks[-2], self.biases[-1])
        if self.skip is not None:
            z = z + functional.linear(x, self.skip * self.masks[-1])
        return -functional.binary_cross_entropy_with_logits(z, (x + 1) / 2, reduction="none").sum(dim=1)


def network_masks(network):
    return masks(network.n_sites, 1, 1, [len(b) for b in network.biases[:-1]])


@pytest.mark.parametrize("n_chains", [1, 128, 1024])
@pytest.mark.parametrize(("activation", "skip"), [("relu", False), ("tanh", True)], ids=["paper", "default"])
def test_metropolis_against_a_forward_pass_a_proposal(random_network, report, n_chains, activation, skip):
    """256-180-120-256. PyTorch proposes one site to every chain and computes log p anew."""
    network = random_network(256, 2, (180, 120), skip=skip, activation=activation, scale=0.05)
    rng = np.random.default_rng(0)
    codes = rng.integers(2, size=(n_chains, 256)).astype(np.int8)
    tiles = [codes[start : start + TILE] for start in range(0, n_chains, TILE)]
    tiles = [Chains(network, tile, Law(1.0), [np.random.default_rng(j) for j in range(len(tile))]) for tile in tiles]
    plain = PlainTorch(network)
    x = torch.from_numpy(encode(codes, network, np.float32))
    np.testing.assert_allclose(plain.log_prob(x).numpy(), log_prob(network, codes), atol=1e-3)

    def ours():
        for chains in tiles:
            chains.sweep()

    def theirs():
        with torch.no_grad():
            log_p = plain.log_prob(x)
            for site in range(0, 256, 16):
                proposal = x.clone()
                proposal[:, site] *= -1
                new = plain.log_prob(proposal)
                accepted = torch.rand(n_chains) < torch.exp(new - log_p)
                x[accepted], log_p[accepted] = proposal[accepted], new[accepted]

    t_ours, t_theirs = alternating_medians(ours, theirs)
    ours_rate, theirs_rate = 256 * n_chains / t_ours, 16 * n_chains / t_theirs
    what = f"Metropolis, {n_chains} chains, {activation}{', skip connections' if skip else ''}"
    report(what, ours_rate / 1e6, "M proposals/s", f"{ours_rate / theirs_rate:.1f} times PyTorch's forward passes")
    assert ours_rate > theirs_rate


@pytest.mark.parametrize(("n_sites", "hidden"), [(256, (180, 120)), (256, (512,)), (64, (1024,)), (1024, (512,))])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_training_against_a_plain_loop(report, n_sites, hidden, n_threads):
    """One epoch of 60 000 rows in minibatches of 469 by fused Adam, extrapolated from 20 steps.

    Ours has a schedule and a soft threshold besides. One thread by processor time, two by the clock on the wall.
    """
    torch.set_num_threads(n_threads)
    codes = np.random.default_rng(0).integers(2, size=(469, n_sites)).astype(np.int8)
    ours_network = MaskedNetwork(n_sites, numbers(2), hidden, "tanh", True, 0)
    plain = PlainTorch(ours_network.to_numpy(np.arange(n_sites)))
    for parameter in plain.parameters:
        parameter.requires_grad_()
    ours_adam = torch.optim.AdamW(ours_network.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(ours_adam, 1e-3, 1000)
    theirs_adam = torch.optim.Adam(plain.parameters, fused=True)

    def ours():
        for _ in range(20):
            _step(ours_network, codes, ours_adam, schedule, 1e-3)

    def theirs():
        for _ in range(20):
            x = torch.from_numpy(numbers(2).show(codes, np.float32))
            loss = -plain.log_prob(x).mean()
            theirs_adam.zero_grad()
            loss.backward()
            theirs_adam.step()

    measure = processor_time if n_threads == 1 else wall_time
    t_ours, t_theirs = (t * 128 / 20 for t in alternating_medians(ours, theirs, measure))
    what = f"training {n_sites}-{hidden}, {n_threads} thread{'s'[: n_threads - 1]}"
    report(what, t_ours, "s/epoch", f"{t_theirs / t_ours:.2f} times the speed of a plain loop")
    assert t_ours < 1.2 * t_theirs
