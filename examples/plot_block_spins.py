r"""
Coarse degrees of freedom
=========================

Fig. 4 of the paper, on a lattice of 8 x 8: a measurement that sees no single spins,
only sums over blocks of 2 x 2, still predicts the phase curve. Blocks that tile the
lattice (stride 2) lose a part of it; blocks at every site (stride 1) keep nearly all,
but are hard to learn. It takes about a minute on one core.
"""

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    BlockSpinTransformer,
    IsingSampler,
    MADEHamiltonian,
    PhaseCurveDisplay,
    ising_exact,
    phase_curve,
)

T0, shape = 2.5, (8, 8)
T = np.array([1.25, 1.5, 1.75, 2.0, 2.2, 2.4, 2.5, 2.7, 3.0, 4.0])
ising = IsingSampler(lattice_shape=shape, temperature=T0, random_state=0)
X, X_new = ising.sample(n_samples=20_000), ising.sample(n_samples=5000, random_state=1)

# %%
# Spins are on a torus and have all its symmetries; here they are blocks of one. Tiles
# have them, too; the overlapping blocks that fit inside the lattice are 7 x 7 on a
# square with edges. A block has five states, and for more than two states training sees
# innovations too (:ref:`block_spins` in the user guide).

square = ("point-group", "spin-flip")
torus = ("translation", *square)
curves = {"Ising model": phase_curve(ising, T, random_state=0)}
for name, block_size, stride, symmetries, max_iter in [
    ("spins", 1, 1, torus, 10),
    ("stride 2", 2, 2, torus, 10),
    ("stride 1", 2, 1, square, 20),
]:
    blocks = BlockSpinTransformer(
        block_size=block_size, stride=stride, lattice_shape=shape
    ).fit(X)
    made = MADEHamiltonian(
        temperature=T0,
        hidden_layer_sizes=(256,),
        lattice_shape=blocks.lattice_shape_out_,
        symmetries=symmetries,
        max_iter=max_iter,
        random_state=0,
    ).fit(blocks.transform(X))
    curves[name] = phase_curve(made, T, n_samples=3000, random_state=0)
    nats = -made.score(blocks.transform(X_new))
    print(
        f"{name}: {nats:.2f} nats on new configurations",
        curves[name],
        sep="\n",
    )
print(f"entropy of the spins: {ising_exact(shape, T0).entropy:.2f} nats")

# %%
# The law of the tiles at :math:`T_0`, raised to the power :math:`T_0/T`, is not their
# law at T: what a tile leaves open has an entropy that does not scale with the
# temperature. Its curve is therefore another one, however good the fit. Overlapping
# blocks leave all but nothing open; their curve would be the true one, if they were
# learned perfectly.

PhaseCurveDisplay.from_curves(curves)

# %%
# On 4 x 4 spins the laws of the blocks can be enumerated and raised to any power: the
# lines are exact. Far above :math:`T_0` the points of stride 1 fall below their line:
# the network leaves a little probability on blocks that no spins can have, and the
# power :math:`T_0/T < 1` makes more of it.

figure, ax = plt.subplots(layout="constrained")
small = IsingSampler(lattice_shape=(4, 4), temperature=T0, random_state=0)
s = np.array(np.meshgrid(*[[-1, 1]] * 16, indexing="ij"), dtype=np.int8)
s = s.reshape(16, -1).T
weight = np.exp(-small.energy(s) / T0)
X = small.sample(n_samples=20_000)
some_T, fine_T = np.array([1.5, 2.0, 2.5, 3.0, 4.0]), np.linspace(1.25, 4.1, 60)
for stride, colour in [(2, "C2"), (1, "C3")]:
    blocks = BlockSpinTransformer(
        block_size=2, stride=stride, lattice_shape=(4, 4)
    ).fit(X)
    S, index = np.unique(blocks.transform(s), axis=0, return_inverse=True)
    p = np.bincount(index, weights=weight / weight.sum())
    tempered = p ** (T0 / fine_T[:, None])
    exact = tempered @ np.abs(S.mean(axis=1) / 4) / tempered.sum(axis=1)
    ax.plot(fine_T, exact, color=colour, label=f"stride {stride}, exact")
    made = MADEHamiltonian(
        temperature=T0,
        hidden_layer_sizes=(64,),
        lattice_shape=blocks.lattice_shape_out_,
        symmetries=square,
        max_iter=20,
        random_state=0,
    ).fit(blocks.transform(X))
    value, error = phase_curve(made, some_T, random_state=0)["abs_magnetization"]
    ax.errorbar(
        some_T, value, error, fmt="o", color=colour, label=f"stride {stride}, learned"
    )
ax.set(xlabel="T", ylabel=r"$\langle |m| \rangle$ of the blocks, 4 x 4 spins")
ax.legend()
