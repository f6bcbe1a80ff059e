r"""
Many-body interactions without a network
========================================

Spins with three couplings: nearest neighbours (0.83), diagonals (-0.21) and plaquettes
of four (0.37). ``LocalHamiltonian`` knows none of them. It asks which of all the 44
interactions that fit into a window of 3 x 3 spins the data show, and how strong they
are. It takes seconds.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import IsingSampler, LocalHamiltonian, PhaseCurveDisplay, phase_curve

T0, shape = 3.3, (8, 8)
true = {"nearest": 0.83, "diagonal": -0.21, "plaquette": 0.37}
system = IsingSampler(
    shape,
    T0,
    coupling=true["nearest"],
    next_nearest_coupling=true["diagonal"],
    plaquette_coupling=true["plaquette"],
    random_state=0,
)
X = system.sample(n_samples=60_000)

# %%
# Fit
# ---
# The rows are whole tori (``boundary="periodic"``). A cluster is named by its sites in
# the window; symmetric clusters share their coupling.

names = {
    ((1, 1, 0), (0, 0, 0), (0, 0, 0)): "nearest",
    ((0, 1, 0), (1, 0, 0), (0, 0, 0)): "diagonal",
    ((1, 1, 0), (1, 1, 0), (0, 0, 0)): "plaquette",
}


def found(local):
    """Return coupling and error of each cluster that was kept, by name."""
    patterns = [tuple(map(tuple, cluster)) for cluster in local.clusters_.tolist()]
    errors = np.sqrt(np.diag(local.covariance_))
    kept = zip(patterns, local.couplings_, errors, strict=True)
    return {names.get(pattern, str(pattern)): (J, error) for pattern, J, error in kept}


numbers = [500, 5000, 60_000]
couplings = []
for n in numbers:
    start = time.process_time()
    local = LocalHamiltonian(
        T0,
        lattice_shape=shape,
        boundary="periodic",
        symmetries=("point-group", "spin-flip"),
        random_state=0,
    ).fit(X[:n])
    couplings.append(found(local))
    print(f"{n} configurations, {time.process_time() - start:.1f} s:")
    for name, (J, error) in couplings[-1].items():
        z = (J - true.get(name, 0)) / error
        print(f"  {name} {J:+.4f} +- {error:.4f}, {z:+.1f} errors from the truth")

# %%
# The curve that follows
# ----------------------
# The last fit, at the temperatures around the one of the data and on the same lattice,
# beside the true system.

T = np.array([2.0, 2.5, 2.75, 3.0, 3.3, 3.75, 4.5, 6.0])
curves = {
    "from 60 000 configurations": phase_curve(
        local.to_sampler(), T, n_samples=2000, entropy=False, random_state=0
    ),
    "truth": phase_curve(system, T, n_samples=2000, random_state=1),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for k, name in enumerate(true):
    ratio = [np.divide(fit[name], true[name]) for fit in couplings if name in fit]
    n = [n * 1.15 ** (k - 1) for n, fit in zip(numbers, couplings) if name in fit]
    J, error = np.transpose(ratio)
    left.errorbar(n, J, np.abs(error), fmt="osD"[k], capsize=2, label=name)
left.axhline(1, color="black", linewidth=0.8)
left.set(xscale="log", xlabel="configurations", ylabel="coupling found / true")
left.legend(fontsize="small")
PhaseCurveDisplay.from_curves(curves, ax=right)
