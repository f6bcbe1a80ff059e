r"""
From windows to the critical temperature
========================================

Windows of 16 x 16 spins are cut out of a much larger Ising sample, all at
:math:`T_0 = 2.5`, above its critical temperature. From them follows the critical
temperature, :math:`T_c = 2 / \ln(1 + \sqrt 2) \approx 2.269`, by way of two lattices
that nobody has measured. It takes a minute on one core.
"""

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    IsingSampler,
    LocalHamiltonian,
    MADEHamiltonian,
    PhaseCurveDisplay,
    crossing_temperature,
    extract_windows,
    phase_curve,
)

T0, T_c = 2.5, 2 / np.log(1 + np.sqrt(2))
sample = IsingSampler((128, 128), T0, random_state=0).sample(n_samples=100)
sample = sample.reshape(-1, 128, 128)

# %%
# The energy
# ----------
# 6400 windows. The probability of a spin, given its neighbours, does not depend on
# what is outside, so one energy for all places is learned without any boundary.

X, _ = extract_windows(sample, 16)
symmetries = ("point-group", "spin-flip")
local = LocalHamiltonian(
    T0, lattice_shape=(16, 16), symmetries=symmetries, random_state=0
).fit(X)
J, J_error = local.couplings_[0], local.covariance_[0, 0] ** 0.5
print(f"{len(local.couplings_)} interaction is found, J = {J:.4f} +- {J_error:.4f}")

# %%
# Two sizes
# ---------
# The energy goes to lattices of every size. Binder cumulants of two sizes cross at the
# critical temperature. Its error holds that of the simulation and that of the energy,
# which moves both curves together: all temperatures are proportional to J here, so T_c
# has at least the relative error of J.

T = np.linspace(2.18, 2.36, 9)
curves = {
    f"{L} x {L}": phase_curve(
        local.to_sampler((L, L)), T, n_samples=1600, entropy=False, random_state=L
    )
    for L in (16, 32)
}
crossing, error = crossing_temperature(*curves.values())
print(
    f"T_c = {crossing:.4f} +- {error:.4f}, by J alone {crossing * J_error / J:.4f}\n"
    f"exact {T_c:.4f}: {(crossing - T_c) / error:+.1f} errors off"
)

# %%
# Why not the network?
# --------------------
# ``MADEHamiltonian`` learns the probability of *whole* windows, and its power
# :math:`T_0/T` is the law of a closed lattice at T. A window is not closed: spins that
# it does not hold were summed over at :math:`T_0`, and that sum does not scale with the
# temperature. So the curve bends, with small error bars, and with data behind most of
# its points. The warning names this.


def windows_at(sampler, temperature):
    """Return the mean and error of |m| in windows 8 x 8 of a larger sample."""
    s = sampler.sample(temperature, n_samples=32, random_state=1).reshape(-1, 64, 64)
    windows, image = extract_windows(s, 8)
    m = np.bincount(image, np.abs(windows.mean(axis=1))) / np.bincount(image)
    return m.mean(), m.std() / len(m) ** 0.5


X8, _ = extract_windows(sample[:40], 8)
made = MADEHamiltonian(
    T0,
    hidden_layer_sizes=(256,),
    lattice_shape=(8, 8),
    symmetries=symmetries,
    max_iter=12,
    random_state=0,
).fit(X8)
T8 = np.array([1.5, 1.75, 2.0, 2.15, 2.3, 2.4, 2.5, 2.75, 3.25])
by_made = phase_curve(made, T8, n_samples=2000, random_state=0)
samplers = {
    "truth": IsingSampler((64, 64), T0),
    "LocalHamiltonian": local.to_sampler((64, 64)),
}
in_windows = {
    label: np.array([windows_at(sampler, t) for t in T8])
    for label, sampler in samplers.items()
}
rows = zip(
    T8, in_windows["truth"], *by_made["abs_magnetization"], by_made.support, strict=True
)
for t, (true_m, _), m, m_error, support in rows:
    print(
        f"T = {t:.2f}: network {m:.3f} +- {m_error:.3f}, true {true_m:.3f}, "
        f"support {support:.0f} of {len(X8)}"
    )

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
PhaseCurveDisplay.from_curves(curves, observable="binder_cumulant", ax=left)
left.axvline(T_c, color="black", linewidth=0.8, label="exact $T_c$")
left.axvspan(
    crossing - error, crossing + error, color="0.85", zorder=0, label="crossing"
)
left.set_title("sizes never measured")
left.legend(fontsize="small")
PhaseCurveDisplay.from_curves({"MADEHamiltonian": by_made}, ax=right)
right.errorbar(T8, *in_windows["truth"].T, color="black", capsize=2, label="truth")
right.errorbar(
    T8,
    *in_windows["LocalHamiltonian"].T,
    fmt="s",
    color="C1",
    markersize=4,
    capsize=2,
    label="LocalHamiltonian",
)
right.set(title="windows of 8 x 8", ylabel=r"$\langle |m| \rangle$ of a window")
right.legend(fontsize="small")
