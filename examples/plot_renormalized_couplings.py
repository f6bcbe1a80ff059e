r"""
Couplings of blocks
===================

Kadanoff's blocks of 2 x 2 Ising spins, by majority, interact again, and no longer through nearest neighbours alone. A
network learns the law of the blocks from configurations, and its couplings are read off at three temperatures: above
the critical one, blocks are more weakly coupled than the spins they are made of. It takes about a minute.
"""

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import BlockSpinTransformer, InteractionExpansion, IsingSampler, MADEHamiltonian

symmetries = ("translation", "point-group", "spin-flip")
blocks = BlockSpinTransformer(block_size=2, lattice_shape=(16, 16), boundary="periodic", rule="majority")
shown = ["pair (0, 1)", "pair (1, 1)", "pair (0, 2)", "plaquette"]

# %%
# Energies of blocks have no unit of their own, so the model's temperature is 1 and couplings are :math:`K = J/T`.

table = {}
for T in [2.4, 2.7, 3.2]:
    X = IsingSampler(lattice_shape=(16, 16), temperature=T, random_state=0).sample(n_samples=30_000)
    S = blocks.fit_transform(X)
    made = MADEHamiltonian(
        hidden_layer_sizes=(512,), lattice_shape=(8, 8), symmetries=symmetries, max_iter=20, random_state=0
    ).fit(S)
    expansion = InteractionExpansion(lattice_shape=(8, 8), symmetries=symmetries, method="contrastive").fit(S, made)
    table[T] = {
        o.name: (K, e) for o, K, e in zip(expansion.operators_, expansion.coef_, expansion.coef_std_, strict=True)
    }
    row = ", ".join(f"{name} {table[T][name][0]:+.4f}({table[T][name][1]:.4f})" for name in shown)
    print(f"T = {T}: spins K = {1 / T:.3f}; blocks {row}")

# %%
# The critical coupling of the spins is 0.4407. Below it, :math:`K' < K`: the flow goes to the high-temperature fixed
# point, the faster the further away it starts.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for k, (T, couplings) in enumerate(table.items()):
    K, error = np.transpose([couplings[name] for name in shown])
    position = np.arange(len(shown)) + 0.25 * (k - 1)
    ax.bar(position, K, 0.22, yerr=error, capsize=3, label=f"blocks at T = {T}")
    ax.hlines(1 / T, -0.5, 0.5, color=f"C{k}", linestyle="--", label=f"spins: K = {1 / T:.3f}")
ax.axhline(0, color="black", linewidth=0.8)
ax.set(ylabel="coupling K' = J' / T", xticks=range(len(shown)), xticklabels=shown)
ax.legend(fontsize="small")
