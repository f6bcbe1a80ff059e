r"""
Temperature is a length
=======================

A quantum system in equilibrium is a classical lattice with one more axis, imaginary
time, whose length is 1/T. From trajectories of a chain at T = 1/2 a local energy is
learned; lattices with more or fewer time slices are the chain at other temperatures.
It takes about a minute on one core.
"""

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    IsingSampler,
    LocalHamiltonian,
    Worldlines,
    action_couplings,
    phase_curve,
    quantum_couplings,
    trotter_extrapolate,
)

T0, n_sites = 0.5, 16
T = np.array([0.25, 0.5, 1.0, 2.0])

# %%
# The chain is :math:`H = -J \sum_i s^z_i s^z_{i+1} - \Gamma \sum_i s^x_i` with
# :math:`J = \Gamma = 1`. Its partition sum is that of free fermions, an even number of
# them with one set of momenta and an odd number with the other; the derivatives of
# :math:`\ln Z` are the averages.


def log_partition(T, coupling, field, n_sites):
    """Return ln Z of the periodic chain."""
    parts = []
    for odd in (0, 1):
        k = (2 * np.arange(n_sites) + 1 - odd) * np.pi / n_sites
        energy = 2 * abs(coupling * np.exp(1j * k) - field)
        energy[0] *= 1 if field >= coupling or not odd else -1
        both = np.log(2 * np.cosh(energy / (2 * T))).sum()
        sign = (-1) ** odd * np.prod(np.tanh(energy / (2 * T)))
        parts.append(both + np.log((1 + sign) / 2))
    return np.logaddexp(*parts)


def exact(T, n_sites, coupling=1.0, field=1.0, step=1e-4):
    """Return <s^z s^z> of neighbours and <s^x> at one temperature."""

    def slope(up, down):
        return T * (up - down) / (2 * step * n_sites)

    def ln_z(dJ, dG):
        return log_partition(T, coupling + dJ, field + dG, n_sites)

    return slope(ln_z(step, 0), ln_z(-step, 0)), slope(ln_z(0, step), ln_z(0, -step))


# %%
# The trajectories are drawn from the classical lattice of Trotter and Suzuki, whose
# error is proportional to the square of the time step; two time steps give the limit.
# Five parts of the trajectories are learned from separately: their scatter is the
# error of a prediction, the noise of the data included.

names = ("bond_correlation", "transverse_magnetization")
rng = np.random.default_rng(0)
predicted = []
for n_per_unit in (4, 8):
    step = 1 / n_per_unit
    lines = Worldlines((round(n_per_unit / T0), n_sites), step, field=1.0)
    shape = lines.lattice_shape
    ising = IsingSampler(shape, 1.0, coupling=lines.action_couplings)
    X = ising.sample(n_samples=20_000, random_state=rng)
    values = []
    for part in np.split(X, 5):
        action = LocalHamiltonian(
            1.0, lattice_shape=shape, boundary="periodic", symmetries="spin-flip"
        ).fit(part)
        J, G = quantum_couplings(*action_couplings(action), time_step=step)
        print(f"J = {J.value:.3f} +- {J.error:.3f}, G = {G.value:.3f} +- {G.error:.3f}")
        learned = Worldlines(shape, step, G.value, J.value)
        curves = [
            phase_curve(
                action.to_sampler((n_slices, n_sites)),
                [1.0],
                observables=learned.with_slices(n_slices).observables,
                n_samples=4000,
                entropy=False,
                random_state=rng,
            )
            for n_slices in np.rint(n_per_unit / T).astype(int).tolist()
        ]
        values.append([[curve[name].value[0] for curve in curves] for name in names])
    mean, error = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(5)
    predicted.append((mean, error))

# %%
# Raising the probability of trajectories to the power :math:`T_0/T`, that is sampling
# the last action at the classical temperature :math:`T/T_0` with as many slices as
# before, is wrong: the action does not scale with 1/T, it is a sum over more slices.
# It even says that :math:`\langle s^x \rangle` is above 1, which no quantum state has.
# Below are the errors of the right way; the grey line is the temperature of the data.

curve = phase_curve(
    action.to_sampler(shape),
    T / T0,
    observables=learned.observables,
    entropy=False,
    random_state=rng,
)

value, error = trotter_extrapolate(*predicted)
expected = np.transpose([exact(t, n_sites) for t in T])
fine_T = np.geomspace(0.22, 2.3, 60)
smooth = np.transpose([exact(t, n_sites) for t in fine_T])
figure, axes = plt.subplots(
    2, 2, figsize=(9, 6), sharex=True, height_ratios=(2, 1), layout="constrained"
)
labels = (r"$\langle s^z_i s^z_{i+1} \rangle$", r"$\langle s^x \rangle$")
for i, (ax, below) in enumerate(axes.T):
    ax.plot(fine_T, smooth[i], color="black", label="exact, free fermions")
    ax.errorbar(T, value[i], error[i], fmt="o", label="learned, other sizes")
    ax.errorbar(T, *curve[names[i]], fmt="x--", label="power $T_0/T$")
    ax.set(ylabel=labels[i])
    below.axhline(0, color="black")
    below.errorbar(T, value[i] - expected[i], error[i], fmt="o")
    below.set(xscale="log", xlabel="T", ylabel="learned - exact", ylim=(-0.03, 0.03))
    below.set_xticks(T, [f"{t:g}" for t in T])
    below.minorticks_off()
    for each in (ax, below):
        each.axvline(T0, color="gray", linewidth=0.8)
axes[0, 0].legend()
for i, name in enumerate(names):
    print(name)
    for t, v, e, x in zip(T, value[i], error[i], expected[i], strict=True):
        print(f"  T = {t}: {v:.4f} +- {e:.4f}, exact {x:.4f}")
