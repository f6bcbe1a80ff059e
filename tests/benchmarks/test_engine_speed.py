"""Effective draws a second of trained networks: tempered populations against Metropolis chains, processor time."""

import time

import numpy as np
import pytest

from skhamiltonian import IsingSampler, MADEHamiltonian
from skhamiltonian._metropolis import LANES, Chains
from skhamiltonian._sampling import equal_weight_codes, populations
from skhamiltonian._statistics import autocorrelation_time, jackknife

pytestmark = pytest.mark.benchmark

T0, T = 2.5, 2.3
N_POPULATIONS, POPULATION = 32, 1024


def trained(L, n_samples=5000):
    """A network that is good enough to be slow where the Ising model is: few rows, few epochs."""
    X = IsingSampler(lattice_shape=(L, L), temperature=T0, random_state=0).sample(n_samples=n_samples)
    width = {8: (64, 48), 16: (180, 120), 32: (360, 240), 64: (256, 128)}[L]
    symmetries = ("translation", "point-group", "spin-flip")
    return MADEHamiltonian(
        T0, hidden_layer_sizes=width, lattice_shape=(L, L), symmetries=symmetries, calibrate=False,
        max_iter=60 if L < 32 else 12 if L < 64 else 3, batch_size=250, random_state=0,
    ).fit(X)  # fmt: skip


def order(codes):
    return np.abs(2 * codes.mean(axis=-1) - 1)


def tempered_rate(network, exponent, n_populations=N_POPULATIONS):
    """Effective draws a second: var(m) over the squared error that independent populations show."""
    started = time.process_time()
    blocks = populations(network, POPULATION, exponent, np.zeros(2), np.random.SeedSequence(0).spawn(n_populations))
    seconds = time.process_time() - started
    z = np.exp(np.array([b.log_partition for b in blocks]) - max(b.log_partition for b in blocks))
    w = [np.exp(b.log_weight - np.logaddexp.reduce(b.log_weight)) for b in blocks]
    mean = np.array([wi @ order(b.codes) for wi, b in zip(w, blocks, strict=True)])
    square = np.array([wi @ order(b.codes) ** 2 for wi, b in zip(w, blocks, strict=True)])
    value, error = jackknife(np.append(z @ mean, (z @ mean - z * mean) / (z.sum() - z) * z.sum()) / z.sum())
    variance = z @ square / z.sum() - value**2
    return min(variance / error**2, n_populations * POPULATION) / seconds


def metropolis_rate(network, exponent, n_sweeps):
    """n / tau a second of long chains in equilibrium, whose independent starts do not count."""
    start = equal_weight_codes(network, LANES, exponent, np.zeros(2), np.random.SeedSequence(1))
    generators = [np.random.default_rng(seed) for seed in np.random.SeedSequence(2).spawn(LANES)]
    chains = Chains(network, start, exponent, np.zeros(2), generators)
    trace = np.empty((LANES, n_sweeps))
    chains.sweep()
    started = time.process_time()
    for t in range(n_sweeps):
        chains.sweep()
        trace[:, t] = order(chains.codes)
    seconds = time.process_time() - started
    tau = autocorrelation_time(trace)
    return LANES * n_sweeps / tau / seconds, tau


@pytest.mark.parametrize(("L", "n_sweeps"), [(8, 1000), (16, 400), (32, 200), (64, 12)])
def test_seconds_per_effective_draw(report, L, n_sweeps):
    made = trained(L)
    network, exponent = made._network(), T0 / T
    tempered = tempered_rate(network, exponent, N_POPULATIONS if L < 64 else 8)
    metropolis, tau = metropolis_rate(network, exponent, n_sweeps)
    what = f"{L} x {L}, T = {T}: an effective draw"
    ratio = f"{tempered / metropolis:.0f} times Metropolis'"
    report(f"{what}, tempered", 1e3 / tempered, "ms", f"speed {ratio}")
    note = f"tau = {tau:.0f} sweeps, chains of {n_sweeps / tau:.1f} tau"
    report(f"{what}, Metropolis", 1e3 / metropolis, "ms", note if n_sweeps > 10 * tau else f"{note}: a lower bound")
    assert tempered > metropolis
