r"""
Couplings of blocks
===================

Kadanoff's blocks of 2 x 2 Ising spins, by majority, interact again, and no longer
through nearest neighbours alone. A network learns the law of the blocks from
configurations, and its couplings are read off at three temperatures: above the critical
one, blocks are more weakly coupled than the spins they are made of. Then the phase
curves of Hamiltonians learned at three scales show the flow as a whole. It takes about
a minute.
"""

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    BlockSpinTransformer,
    InteractionExpansion,
    IsingSampler,
    MADEHamiltonian,
    phase_curve,
)

symmetries = ("translation", "point-group", "spin-flip")
blocks = BlockSpinTransformer(
    block_size=2, lattice_shape=(16, 16), boundary="periodic", rule="majority"
)
shown = ["pair (0, 1)", "pair (1, 1)", "pair (0, 2)", "plaquette"]

# %%
# Energies of blocks have no unit of their own, so the model's temperature is 1 and
# couplings are :math:`K = J/T`.

table = {}
for T in [2.4, 2.7, 3.2]:
    spins = IsingSampler(lattice_shape=(16, 16), temperature=T, random_state=0)
    X = spins.sample(n_samples=20_000)
    S = blocks.fit_transform(X)
    made = MADEHamiltonian(
        hidden_layer_sizes=(256,),
        lattice_shape=(8, 8),
        symmetries=symmetries,
        max_iter=12,
        random_state=0,
    ).fit(S)
    expansion = InteractionExpansion(
        lattice_shape=(8, 8), symmetries=symmetries, method="contrastive"
    ).fit(S, made)
    table[T] = {
        o.name: (K, e)
        for o, K, e in zip(
            expansion.operators_, expansion.coef_, expansion.coef_std_, strict=True
        )
    }
    row = ", ".join(
        f"{name} {table[T][name][0]:+.4f}({table[T][name][1]:.4f})" for name in shown
    )
    print(f"T = {T}: spins K = {1 / T:.3f}; blocks {row}")

# %%
# The critical coupling of the spins is 0.4407. Below it, :math:`K' < K`: the flow goes
# to the high-temperature fixed point, the faster the further away it starts.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for k, (T, couplings) in enumerate(table.items()):
    K, error = np.transpose([couplings[name] for name in shown])
    position = np.arange(len(shown)) + 0.25 * (k - 1)
    ax.bar(position, K, 0.22, yerr=error, capsize=3, label=f"blocks at T = {T}")
    ax.hlines(
        1 / T, -0.5, 0.5, color=f"C{k}", linestyle="--", label=f"spins: K = {1 / T:.3f}"
    )
ax.axhline(0, color="black", linewidth=0.8)
ax.set(ylabel="coupling K' = J' / T", xticks=range(len(shown)), xticklabels=shown)
ax.legend(fontsize="small")

# %%
# The flow as a whole: lattices of 8, 16 and 32 spins a side, blocked until 8 x 8 are
# left, so that Hamiltonians at three scales live on the same lattice. Their phase
# curves are functions of :math:`T/T_0`. At the critical temperature the Hamiltonian is
# near a fixed point, and the curves of all scales nearly coincide. Above it, every step
# turns the curve into that of a hotter system: what flows is the ratio :math:`T_c/T_0`,
# the coupling.

T_c, t = 2 / np.log(1 + np.sqrt(2)), np.linspace(0.5, 1.5, 7)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, T0 in zip(axes, [T_c, 2.6], strict=True):
    for length in [8, 16, 32]:
        side = length
        S = IsingSampler((side, side), T0, random_state=0).sample(n_samples=20_000)
        while side > 8:
            step = BlockSpinTransformer(
                2, lattice_shape=(side, side), boundary="periodic", rule="majority"
            )
            S, side = step.fit_transform(S), side // 2
        made = MADEHamiltonian(
            temperature=T0,
            hidden_layer_sizes=(128,),
            lattice_shape=(8, 8),
            symmetries=symmetries,
            max_iter=12,
            random_state=0,
        ).fit(S)
        curve = phase_curve(made, T0 * t, n_samples=2000, random_state=0)
        value, error = curve["abs_magnetization"]
        ax.errorbar(
            t, value, error, fmt="o-", markersize=3, label=f"{length} x {length} spins"
        )
        print(f"T0 = {T0:.3f}, {length} x {length} spins on 8 x 8:", np.round(value, 3))
    ax.set(xlabel=r"$T / T_0$", title=rf"$T_0$ = {T0:.3f}")
axes[0].set(ylabel=r"$\langle |m| \rangle$ of 8 x 8 blocks")
axes[0].legend()
