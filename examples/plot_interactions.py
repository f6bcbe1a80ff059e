r"""
Read the interactions
=====================

A network that was fitted to configurations at one temperature has learned an energy.
``InteractionExpansion`` writes it in the terms of a Hamiltonian: couplings with error
bars. Four systems on which pair models fail, or have to work hard:

- a square lattice with nearest neighbours (J = 1) and four-spin plaquettes (K = 0.5);
- Baxter and Wu's three-spin model on the triangular lattice;
- competing nearest and next-nearest neighbours (J1 = 1, J2 = -0.3);
- a spin glass of 64 spins on a random graph.

From the couplings follows a phase curve in seconds, without any network. The example
takes about two minutes on one core.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    InteractionDisplay,
    InteractionExpansion,
    IsingSampler,
    MADEHamiltonian,
    PhaseCurveDisplay,
    PseudolikelihoodIsing,
    phase_curve,
    pseudo_log_likelihood,
)

started = time.perf_counter()


def report(text):
    print(f"[{time.perf_counter() - started:3.0f} s] {text}", flush=True)


# %%
# Four systems
# ------------
# Each with the temperature of its data, the symmetries that are claimed, and the
# temperatures to predict.

rng = np.random.default_rng(7)
square = ("translation", "point-group", "spin-flip")

x, y = np.indices((9, 9)).reshape(2, -1)
right, down, across = (
    x * 9 + (y + 1) % 9,
    (x + 1) % 9 * 9 + y,
    (x + 1) % 9 * 9 + (y + 1) % 9,
)
triangles = np.concatenate([np.c_[x * 9 + y, right, down], np.c_[right, down, across]])

pairs = np.transpose(np.triu_indices(64, 1))
bonds = pairs[np.sort(rng.choice(len(pairs), 96, replace=False))]
glass = list(zip(rng.normal(size=96).tolist(), bonds, strict=True))

systems = {
    "J = 1, K = 0.5": (
        IsingSampler((8, 8), 4.0, plaquette_coupling=0.5),
        square,
        [2, 2.5, 3, 3.25, 3.5, 4, 5],
    ),
    "Baxter-Wu": (
        IsingSampler((9, 9), 3.0, coupling=0.0, couplings=[(1.0, triangles)]),
        ("translation",),
        [2.4, 2.5, 2.75, 3, 3.5, 4],
    ),
    "J1 = 1, J2 = -0.3": (
        IsingSampler((8, 8), 2.0, next_nearest_coupling=-0.3),
        square,
        [1, 1.25, 1.5, 1.75, 2, 2.5, 3],
    ),
    "glass": (
        IsingSampler((64,), 1.5, coupling=0.0, couplings=glass),
        ("spin-flip",),
        [0.75, 1, 1.25, 1.5, 2, 3],
    ),
}

# %%
# Learn, and read
# ---------------
# First the projection: least squares on the energy of the model, which says what the
# model believes: on lattices a local energy, which calibrates the network, and for the
# glass the network alone. Then the rows are asked: ``method="pseudolikelihood"`` fits
# the law of each site given all others, without the network. Its errors are
# statistical, and absent interactions come out as zero. For the three-spin coupling the
# library warns that twelve epochs were too few for the network: its draws must not be
# used, and its couplings are those of the local energy.


def couplings(expansion):
    kept = zip(expansion.operators_, expansion.coef_, expansion.coef_std_, strict=True)
    return ", ".join(
        f"{operator.name}: {J:.4f} +- {error:.4f}" for operator, J, error in kept if J
    )


data, expansions, curves = {}, {}, {}
for label, (system, symmetries, temperatures) in systems.items():
    system.set_params(random_state=0, n_jobs=2)
    T0, on_lattice = system.temperature, label != "glass"
    data[label] = X = system.sample(n_samples=30_000)
    shape = system.lattice_shape if on_lattice else None
    hidden = (512,) if on_lattice else (180, 120)  # many-body terms need width
    made = MADEHamiltonian(
        T0,
        lattice_shape=shape,
        symmetries=symmetries,
        hidden_layer_sizes=hidden,
        max_iter=12,
        random_state=0,
    ).fit(X)

    options = {"lattice_shape": shape, "symmetries": symmetries}
    projection = InteractionExpansion(**options).fit(X[:10_000], made)
    if (
        not on_lattice
    ):  # of all 2016 pairs, only those that the network shows at all are asked for
        shown = np.flatnonzero(projection.coef_)
        options = {"operators": [projection.operators_[k][:2] for k in shown]}
    expansions[label] = expansion = InteractionExpansion(
        **options, method="pseudolikelihood", temperature=T0
    ).fit(X)
    explained = projection.score(X[:5000], made)
    report(f"{label}: the operators explain {explained:.3f} of the model's energy")
    if on_lattice:
        print(f"  projection: {couplings(projection)}")
        print(f"  from rows:  {couplings(expansion)}")

    curves[label] = {
        "true": phase_curve(system, temperatures, n_samples=5000, random_state=1),
        "from couplings": phase_curve(
            expansion.to_sampler(temperature=T0),
            temperatures,
            n_samples=5000,
            random_state=2,
        ),
    }
    report(f"{label}: curves")

# %%
# Pairs are not enough
# --------------------
# The same data through a fit of pair couplings: it has to put the four-spin coupling
# into the pairs. Its 2016 couplings are averaged over the symmetries of the lattice by
# an expansion, as those of a network are.

label = "J = 1, K = 0.5"
system, _, temperatures = systems[label]
pair_model = PseudolikelihoodIsing(system.temperature, random_state=0).fit(
    data[label][:10_000]
)
averaged = InteractionExpansion(["pairs"], lattice_shape=(8, 8)).fit(
    data[label][:10_000], pair_model
)
pair_sampler = averaged.to_sampler(temperature=system.temperature)
curves[label]["pair model"] = phase_curve(
    pair_sampler, temperatures, n_samples=5000, random_state=3
)
X_new = system.sample(n_samples=500, random_state=4)
for name, model in {"true system": system, "pair model": pair_model}.items():
    score = pseudo_log_likelihood(model, X_new)
    print(f"log pseudo-likelihood of the {name}: {score:.2f}")
print(f"couplings of the pair model: {couplings(averaged)}")
true = curves[label]["true"]["abs_magnetization"].value
for name, curve in list(curves[label].items())[1:]:
    off = np.abs(curve["abs_magnetization"].value - true).max()
    print(f"largest error of <|m|>, {name}: {off:.4f}")
report("pair model")

# %%
# The glass, bond by bond
# -----------------------

found, error, true_J = np.zeros((3, 64, 64))
expansion = expansions["glass"]
for operator, J, std in zip(
    expansion.operators_, expansion.coef_, expansion.coef_std_, strict=True
):
    found[tuple(operator.sites[0])], error[tuple(operator.sites[0])] = J, std
true_J[tuple(bonds.T)] = [J for J, _ in glass]
upper = np.triu_indices(64, 1)
correlation = np.corrcoef(found[upper], true_J[upper])[0, 1]
invented = np.sum((found != 0) & (true_J == 0))
missed = np.sum((found == 0) & (true_J != 0))
print(f"correlation of found and true couplings: {correlation:.5f}")
print(f"{invented} bonds found that do not exist, {missed} bonds missed")

# %%
# The figure
# ----------
# Crosses are the true couplings. Absent interactions are exactly zero, with the error
# of finding them so. If a fit has printed a ``ConvergenceWarning``, draws of its
# network are not those of the data; couplings from rows do not need them.

figure, axes = plt.subplots(2, 4, figsize=(16, 7.5), layout="constrained")
truth = {
    "J = 1, K = 0.5": {"pair (0, 1)": 1.0, "plaquette": 0.5},
    "J1 = 1, J2 = -0.3": {"pair (0, 1)": 1.0, "pair (1, 1)": -0.3},
    "Baxter-Wu": {"triple (-1, 1) (0, 1)": 1.0, "triple (1, 0) (0, 1)": 1.0},
}
for (top, bottom), (label, expansion) in zip(axes.T, expansions.items(), strict=True):
    top.set_title(f"{label}, data at $T_0$ = {systems[label][0].temperature:g}")
    if label == "glass":
        top.errorbar(
            true_J[upper],
            found[upper],
            error[upper],
            fmt="o",
            markersize=3,
            elinewidth=1,
        )
        top.axline((0, 0), slope=1, color="black", linewidth=0.8)
        top.set(xlabel="true $J_{ij}$", ylabel="found $J_{ij}$")
    else:
        InteractionDisplay.from_estimator(expansion, ax=top, color="lightsteelblue")
        names = [tick.get_text() for tick in top.get_yticklabels()]
        top.plot(
            [truth[label].get(name, 0) for name in names],
            np.arange(len(names)),
            "kx",
            markersize=5,
        )
    observable = (
        "abs_magnetization"
        if label in ("J = 1, K = 0.5", "J1 = 1, J2 = -0.3")
        else "energy"
    )
    PhaseCurveDisplay.from_curves(curves[label], observable=observable, ax=bottom)
    bottom.axvline(
        systems[label][0].temperature, color="0.6", linestyle=":", linewidth=1
    )
figure.savefig("interactions.png", dpi=100)
report("interactions.png is written")
