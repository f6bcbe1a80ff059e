r"""
Many-body interactions without a network
========================================

Spins with three couplings: nearest neighbours (0.83), diagonals (-0.21) and plaquettes
of four (0.37). ``LocalHamiltonian`` is told none of them. It finds which of all the 44
interactions that fit into a window of 3 x 3 spins are in the data, and how strong they
are. ``InteractionExpansion`` does the same with a list of operators. Both take seconds.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    InteractionExpansion,
    IsingSampler,
    LocalHamiltonian,
    PhaseCurveDisplay,
    phase_curve,
)

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
# Two fits
# --------
# The rows are whole tori (``boundary="periodic"``). Clusters are named by their sites
# in the window, operators by distances; symmetric ones share their coupling.

symmetries = ("point-group", "spin-flip")
names = {
    ((1, 1, 0), (0, 0, 0), (0, 0, 0)): "nearest",
    ((0, 1, 0), (1, 0, 0), (0, 0, 0)): "diagonal",
    ((1, 1, 0), (1, 1, 0), (0, 0, 0)): "plaquette",
    "pair (0, 1)": "nearest",
    "pair (1, 1)": "diagonal",
}


def by_local_hamiltonian(X):
    """Return coupling and error of each cluster that is kept, by name."""
    local = LocalHamiltonian(
        T0,
        lattice_shape=shape,
        boundary="periodic",
        symmetries=symmetries,
        random_state=0,
    ).fit(X)
    patterns = [tuple(map(tuple, cluster)) for cluster in local.clusters_.tolist()]
    errors = np.sqrt(np.diag(local.covariance_))
    kept = zip(patterns, local.couplings_, errors, strict=True)
    found = {names.get(pattern, str(pattern)): (J, std) for pattern, J, std in kept}
    return found, local


def by_expansion(X):
    """Return coupling and error of each operator that is kept, by name."""
    expansion = InteractionExpansion(
        lattice_shape=shape,
        method="pseudolikelihood",
        symmetries=("translation", *symmetries),
        temperature=T0,
    ).fit(X)
    kept = zip(expansion.operators_, expansion.coef_, expansion.coef_std_, strict=True)
    found = {names.get(op.name, op.name): (J, std) for op, J, std in kept if J}
    return found, expansion


numbers = [500, 5000, 60_000]
fits = {"LocalHamiltonian": [], "InteractionExpansion": []}
for n in numbers:
    for label, fit in zip(fits, (by_local_hamiltonian, by_expansion), strict=True):
        start = time.process_time()
        found, model = fit(X[:n])
        print(f"{label}, {n} rows, {time.process_time() - start:.1f} s:")
        fits[label].append((found, model))
        for name, (J, error) in found.items():
            off = (J - true.get(name, 0)) / error
            print(f"  {name} {J:+.4f} +- {error:.4f}, {off:+.1f} errors off")

# %%
# The curve that follows
# ----------------------
# From the last fit, at other temperatures, beside the true system.

T = np.array([2.0, 2.5, 2.75, 3.0, 3.3, 3.75, 4.5, 6.0])
local = fits["LocalHamiltonian"][-1][1]
curves = {
    "from 60 000 rows": phase_curve(
        local.to_sampler(), T, n_samples=2000, entropy=False, random_state=0
    ),
    "truth": phase_curve(system, T, n_samples=2000, random_state=1),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for row, of_method in enumerate(fits.values()):
    for k, name in enumerate(true):
        points = [
            (n * 1.15 ** (2 * k - 2.5 + row), *np.divide(found[name], abs(true[name])))
            for n, (found, _) in zip(numbers, of_method, strict=True)
            if name in found
        ]
        if points:
            n, J, error = np.transpose(points)
            left.errorbar(
                n,
                np.abs(J),
                error,
                fmt="osD"[k],
                color=f"C{k}",
                markerfacecolor=f"C{k}" if row == 0 else "white",
                capsize=2,
                label=name if row == 0 else None,
            )
left.plot([], [], "o", color="0.4", label="LocalHamiltonian")
left.plot([], [], "o", color="0.4", mfc="white", label="InteractionExpansion")
left.axhline(1, color="black", linewidth=0.8)
left.set(xscale="log", xlabel="configurations", ylabel="coupling found / true")
left.set_xticks(numbers, map(str, numbers))
left.minorticks_off()
left.legend(fontsize="small")
PhaseCurveDisplay.from_curves(curves, ax=right)
