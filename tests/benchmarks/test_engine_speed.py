"""Effective draws a second of trained networks: tempered populations against Metropolis chains, processor time."""

import time

import numpy as np
import pytest

from skhamiltonian import IsingSampler, MADEHamiltonian
from skhamiltonian._made.sampling.chains import TILE
from skhamiltonian._made.sampling.law import Law
from skhamiltonian._made.sampling.sweeps import Chains
from skhamiltonian._made.sampling.tempered import equal_weight_codes, populations
from skhamiltonian._montecarlo.statistics import autocorrelation_time, jackknife
from skhamiltonian._utils.compile import kernel

pytestmark = pytest.mark.benchmark

T0, T = 2.5, 2.3
N_POPULATIONS, POPULATION = 32, 1024
N_EPOCHS = {8: 40, 16: 20, 32: 12, 64: 6}


def trained(L):
    """A network that is good enough to be slow where the Ising model is."""
    X = IsingSampler(lattice_shape=(L, L), temperature=T0, random_state=0).sample(n_samples=20_000)
    symmetries = ("translation", "point-group", "spin-flip")
    return MADEHamiltonian(
        T0,
        lattice_shape=(L, L),
        symmetries=symmetries,
        calibrate=False,
        max_iter=N_EPOCHS[L],
        batch_size=128,
        random_state=0,
    ).fit(X)


def order(codes):
    return np.abs(2 * codes.mean(axis=-1) - 1)


def tempered_rate(network, exponent, n_populations=N_POPULATIONS):
    """Effective draws a second: var(m) over the squared error that independent populations show."""
    started = time.process_time()
    blocks = populations(network, POPULATION, Law(exponent), np.random.SeedSequence(0).spawn(n_populations))
    seconds = time.process_time() - started
    z = np.exp(np.array([b.log_partition for b in blocks]) - max(b.log_partition for b in blocks))
    w = [np.exp(b.log_weight - np.logaddexp.reduce(b.log_weight)) for b in blocks]
    mean = np.array([wi @ order(b.codes) for wi, b in zip(w, blocks, strict=True)])
    square = np.array([wi @ order(b.codes) ** 2 for wi, b in zip(w, blocks, strict=True)])
    value, error = jackknife(np.append(z @ mean, (z @ mean - z * mean) / (z.sum() - z) * z.sum()) / z.sum())
    variance = z @ square / z.sum() - value**2
    return min(variance / error**2, n_populations * POPULATION) / seconds


def sweep_seconds(network, exponent, n_sweeps=5):
    """Seconds of one sweep of one chain, side by side with others, in equilibrium."""
    start = equal_weight_codes(network, TILE, Law(exponent), np.random.SeedSequence(1))
    generators = [np.random.default_rng(seed) for seed in np.random.SeedSequence(2).spawn(TILE)]
    chains = Chains(network, start, Law(exponent), generators, "heat-bath")
    chains.sweep()
    started = time.process_time()
    for _ in range(n_sweeps):
        chains.sweep()
    return (time.process_time() - started) / n_sweeps / TILE


@kernel
def heat_bath(spins, temperature, trace, rng):
    """Sweep site after site over a torus and record |m| after every sweep."""
    rows, columns = spins.shape
    for t in range(len(trace)):
        for i in range(rows):
            for j in range(columns):
                field = spins[(i + 1) % rows, j] + spins[i - 1, j] + spins[i, (j + 1) % columns] + spins[i, j - 1]
                spins[i, j] = 1 if rng.random() * (1 + np.exp(-2 * field / temperature)) < 1 else -1
        trace[t] = abs(spins.mean())


def sweeps_per_draw(L, n_chains=16):
    """The autocorrelation time of |m| of the Ising model itself, by heat bath in the same order of sites.

    Networks have the same one, as far as they are right; theirs would take hours to measure.
    """
    spins = IsingSampler(lattice_shape=(L, L), temperature=T, random_state=0).sample(n_samples=n_chains)
    trace = np.empty((n_chains, 300 * L))
    for chain, start in enumerate(spins.reshape(n_chains, L, L).astype(np.int64)):
        heat_bath(start, T, trace[chain], np.random.default_rng(chain))
    return autocorrelation_time(trace)


def test_seconds_per_effective_draw(report):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    sites, tempered, metropolis = np.array([L * L for L in N_EPOCHS]), [], []
    for L in N_EPOCHS:
        network, exponent, tau = trained(L)._network(), T0 / T, sweeps_per_draw(L)
        tempered.append(1 / tempered_rate(network, exponent))
        metropolis.append(tau * sweep_seconds(network, exponent))
        what = f"{L} x {L}, T = {T}: an effective draw"
        report(
            f"{what}, tempered",
            1e3 * tempered[-1],
            "ms",
            f"speed {metropolis[-1] / tempered[-1]:.0f} times Metropolis'",
        )
        report(f"{what}, Metropolis", 1e3 * metropolis[-1], "ms", f"tau = {tau:.0f} sweeps")
    fig, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    ax.loglog(sites, metropolis, "s--", label="Metropolis, site after site")
    ax.loglog(sites, tempered, "o-", label="tempered populations")
    ax.set(xlabel="sites", ylabel="processor seconds per effective draw", title=f"$T_0 = {T0}$, $T = {T}$")
    ax.set_xticks(sites, [str(n) for n in sites])
    ax.minorticks_off()
    ax.legend()
    fig.savefig("scaling.png", dpi=150)
    assert np.all(np.array(tempered) < metropolis)
