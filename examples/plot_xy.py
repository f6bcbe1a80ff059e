r"""
Angles
======

The XY model has a direction in a plane on every site. Configurations of an 8 x 8
lattice at one temperature above the transition are all that the network sees; what it
learns predicts the energy, the magnetization and the helicity modulus at others, also
below the transition. It takes about a minute on one core.
"""

import matplotlib.pyplot as plt
import numpy as np

from skhamiltonian import (
    MADEHamiltonian,
    XYSampler,
    helicity_modulus,
    phase_curve,
    vortex_density,
)

T0, shape = 1.1, (8, 8)
xy = XYSampler(shape, temperature=T0, random_state=0)
X = xy.sample(n_samples=20_000)
print(X.shape, X.dtype, "radians")

# %%
# Vortices and antivortices are the defects of angles: around a square they make a full
# turn. Here they are circles, and crosses where the angles turn the other way.

row = X[0].reshape(shape)
corners = [
    row,
    np.roll(row, -1, 1),
    np.roll(row, (-1, -1), (0, 1)),
    np.roll(row, -1, 0),
]
turns = sum(
    np.angle(np.exp(1j * (b - a)))
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
)
charge = np.round(turns / (2 * np.pi))
fig, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.quiver(
    np.cos(row), np.sin(row), row, cmap="twilight", clim=(0, 2 * np.pi), pivot="mid"
)
for sign, marker in ((1, "o"), (-1, "x")):
    y, x = np.nonzero(charge == sign)
    ax.plot(x + 0.5, y + 0.5, marker, color="C3", markersize=9, fillstyle="none")
ax.set(xticks=[], yticks=[], aspect="equal", title=f"T = {T0}")

# %%
# The conditional density of an angle is the exponential of a Fourier series, whose
# coefficients depend on the angles drawn before. Raised to a power, it is a density of
# the same kind: that of another temperature. The network proposes, and an energy of
# pairs of angles, learned from the same rows, gives the weights.

made = MADEHamiltonian(
    temperature=T0,
    lattice_shape=shape,
    states="angle",
    symmetries=("translation", "point-group", "rotation", "reflection"),
    max_iter=6,
    random_state=0,
).fit(X)
X_new = xy.sample(n_samples=2000, random_state=1)
slope = np.polyfit(xy.energy(X_new), made.energy(X_new), 1)[0]
print(f"learned against true energy: slope {slope:.3f}")

# %%
# The curves of the network are beside those of the model itself. The energy of a
# learned model has no zero, so that both are relative to the energy at the temperature
# of the data. The helicity modulus crosses the line 2 T / pi near the transition, which
# is at T = 0.893 in a large lattice.

T = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0])
observables = {"helicity": helicity_modulus(shape), "vortices": vortex_density(shape)}
curves = {
    "true": phase_curve(xy, T, observables=observables, n_samples=4000, random_state=0),
    "learned": phase_curve(
        made, T, observables=observables, n_samples=4000, random_state=0
    ),
}

labels = {
    "energy": "energy relative to T0",
    "abs_magnetization": "magnetization",
    "helicity": "helicity modulus",
    "vortices": "vortex density",
}
fig, axes = plt.subplots(2, 2, figsize=(8, 6), sharex=True, layout="constrained")
for ax, (name, label) in zip(axes.flat, labels.items(), strict=True):
    for which, curve in curves.items():
        value, error = curve[name]
        zero = value[T == T0] if name == "energy" else 0.0
        style = (
            {"ls": "-", "marker": ""} if which == "true" else {"ls": "", "marker": "o"}
        )
        ax.errorbar(T, value - zero, error, label=which, capsize=2, **style)
    ax.axvline(T0, color="0.8", lw=1, zorder=0)
    ax.set(ylabel=label)
line = 2 * T / np.pi
axes[1, 0].plot(T[line < 1], line[line < 1], "k--", lw=1, label=r"$2 T / \pi$")
axes[1, 0].legend()
for ax in axes[1]:
    ax.set(xlabel="temperature")
