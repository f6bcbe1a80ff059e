r"""
Ten lines
=========

Learn the Hamiltonian of the 16 x 16 Ising model from configurations at one temperature,
look at it, and ask for the magnetization at other temperatures. (The figure of the
paper, with all that belongs to it, is in
:ref:`sphx_glr_auto_examples_plot_phase_curve.py`.)
"""

import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skhamiltonian import (
    BlockSpinTransformer,
    EnergyDisplay,
    IsingSampler,
    MADEHamiltonian,
    PhaseCurveDisplay,
    phase_curve,
)

# %%
# Configurations at T = 2.5 are all that the model will see.

ising = IsingSampler(lattice_shape=(16, 16), temperature=2.5, random_state=0)
X = ising.sample(n_samples=60_000)
print(X.shape, X.dtype)

# %%
# ``fit`` is maximum likelihood. ``score`` is the mean log-likelihood in nats per
# configuration; what is normalised can be compared: no model of these data can stay
# above -109.38 on new ones (minus the entropy of the finite lattice), but for noise.

made = MADEHamiltonian(
    temperature=2.5,
    lattice_shape=(16, 16),
    symmetries=("translation", "point-group", "spin-flip"),
    max_iter=12,
    random_state=0,
).fit(X)
X_new = ising.sample(n_samples=5000, random_state=1)
print(f"score on new configurations {made.score(X_new):.2f}")

# %%
# The learned energy is -T log p. It lies on a line of slope 1 over the true one, up to
# the free energy.

EnergyDisplay.from_estimator(made, X_new, ising.energy)

# %%
# The Hamiltonian is good at other temperatures, too.

X_cold = made.sample(2.0, n_samples=1000)
print(f"|m| at T = 2.0: {np.abs(X_cold.mean(axis=1)).mean():.3f}")

T = np.array([1.0, 1.5, 1.75, 2.0, 2.2, 2.4, 2.5, 2.7, 3.0, 4.0])
PhaseCurveDisplay.from_curves(
    {
        "MADE": phase_curve(made, T, random_state=0),
        "Ising": phase_curve(ising, T, random_state=0),
    }
)

# %%
# A coarser look at the same system is a step in a pipeline: blocks of 2 x 2 spins,
# which have five states. What comes out at other temperatures is the law of the blocks
# raised to a power, which is not the law of blocks at that temperature, but resembles
# it.

coarse = make_pipeline(
    BlockSpinTransformer(block_size=2, stride=2, lattice_shape=(16, 16)),
    MADEHamiltonian(
        temperature=2.5, hidden_layer_sizes=(128,), max_iter=5, random_state=0
    ),
)
print(
    "held-out log-likelihood of the blocks",
    cross_val_score(coarse, X[:10_000], cv=3).round(2),
)

PhaseCurveDisplay.from_curves(
    {
        "blocks": phase_curve(coarse.fit(X[:30_000]), T, random_state=0),
        "Ising": phase_curve(ising, T, random_state=0),
    }
)
