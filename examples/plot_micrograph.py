r"""
From micrographs to a phase curve
=================================

Domains under a microscope: four pixels a spin, a blurred point spread, photons that are
counted, light that falls off to one side, 16 bits a pixel, and a temperature
:math:`T_0` nobody has measured. From the files to spins, to an energy in units of
:math:`T_0`, to the magnetization of a sample of 128 x 128 spins at other temperatures
:math:`T/T_0`. It takes about a minute on one core.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter
from skimage.restoration import wiener

from skhamiltonian import (
    DomainBinarizer,
    IsingSampler,
    LocalHamiltonian,
    PhaseCurveDisplay,
    phase_curve,
)

# %%
# The microscope
# --------------
# It writes 40 files. The truth, J = 0.4 T0, is used here and, at the end, to judge.

true_J, pixels, sigma = 0.4, 4, 1.4
ising = IsingSampler((64, 64), 1.0, coupling=true_J, random_state=0)
truth = ising.sample(n_samples=40).reshape(-1, 64, 64)
rng = np.random.default_rng(0)
y, x = np.indices((64 * pixels, 64 * pixels)) / (64 * pixels) - 0.5
folder = TemporaryDirectory()
for number, s in enumerate(truth):
    magnified = s.repeat(pixels, axis=0).repeat(pixels, axis=1).astype(float)
    blurred = 1 + 0.35 * gaussian_filter(magnified, sigma)
    photons = rng.poisson(40 * (1 + 0.5 * x - 0.3 * y) * blurred)
    tifffile.imwrite(f"{folder.name}/{number:03}.tif", photons.astype(np.uint16))

r = np.arange(-8, 9)
spread = np.exp(-np.add.outer(r**2, r**2) / (2 * sigma**2))
spread /= spread.sum()

# %%
# From files to a curve
# ---------------------
# Read the images, take out the blur, find the spins, learn the energy of 3 x 3 spins,
# and let a larger sample follow it at other temperatures. ``spread`` is the image of a
# point. The energy comes in units of T0 (``temperature=1.0``).

images = [tifffile.imread(path) for path in sorted(Path(folder.name).glob("*.tif"))]
sharp = [wiener(image.astype(float), spread, 0.03, clip=False) for image in images]
binarizer = DomainBinarizer(background="plane", pixels_per_site=4).fit(sharp)
spins = np.stack(binarizer.transform(sharp))
local = LocalHamiltonian(
    1.0,
    lattice_shape=(64, 64),
    symmetries=("point-group", "spin-flip"),
    random_state=0,
)
local.fit(spins.reshape(len(spins), -1))
T = [0.6, 0.7, 0.8, 0.87, 0.95, 1.05, 1.2, 1.5]
options = {"n_samples": 100, "entropy": False, "random_state": 0}
curve = phase_curve(local.to_sampler((128, 128)), T, **options)

for cluster, J, error in zip(
    local.clusters_, local.couplings_, np.diag(local.covariance_) ** 0.5, strict=True
):
    print(f"J/T0 = {J:.4f} +- {error:.4f} of the cluster\n{cluster}")
print(f"{np.mean(spins != truth):.2%} of the spins are misread")

# %%
# One interaction is left of the 44 that fit into a window: the nearest neighbours. The
# truth is simulated at the same size.

large = IsingSampler((128, 128), 1.0, coupling=true_J)
expected = phase_curve(large, T, n_samples=100, random_state=1)
m, error = curve["abs_magnetization"]
true_m, true_error = expected["abs_magnetization"]
for t, off, noise in zip(T, m - true_m, np.hypot(error, true_error), strict=True):
    print(f"T/T0 = {t:.2f}: <|m|> off by {off:+.4f} +- {noise:.4f}")

figure, axes = plt.subplots(
    1, 3, figsize=(12, 4), width_ratios=(1, 1, 1.6), layout="constrained"
)
axes[0].imshow(images[0][:128, :128], cmap="gray")
axes[0].set_title("photons, 32 x 32 spins")
axes[1].imshow(spins[0][:32, :32], cmap="gray")
axes[1].set_title("spins found")
curves = {"from 40 images": curve, "truth": expected}
PhaseCurveDisplay.from_curves(curves, ax=axes[2])
axes[2].set(xlabel="temperature $T / T_0$", title="sample of 128 x 128 spins")

# %%
# How many images?
# ----------------
# The stated error halves with four times the images.


def nearest_neighbours(spins):
    """Return the coupling of nearest neighbours over T0, and its error."""
    local.fit(spins.reshape(len(spins), -1))
    pair = np.zeros((3, 3))
    pair[0, :2] = 1
    k = np.flatnonzero((local.clusters_ == pair).all(axis=(1, 2)))[0]
    return local.couplings_[k], local.covariance_[k, k] ** 0.5


numbers = [4, 12, 40]
few = np.array([nearest_neighbours(spins[:n]) for n in numbers])
for n, (J, error) in zip(numbers, few, strict=True):
    z = (J - true_J) / error
    print(f"{n} images: J/T0 = {J:.4f} +- {error:.4f}, {z:+.1f} errors from the truth")

# %%
# Blur, pixels and threshold
# --------------------------
# *pixels_per_site* is the edge of the square of pixels that is one spin. It follows
# from the magnification; if it is wrong, the lattice is wrong.
#
# *Blur* swallows single reversed spins first, and such spins carry the coupling: what
# is left looks more strongly coupled than it is. So take it out before the threshold.
# The point spread is known from the image of a small thing. How sharp is too sharp?
# ``separation_`` is the distance between up and down in units of the noise within them;
# choose the balance of the filter at which it is largest.
#
# *A threshold* that is off swallows single spins of one kind and invents single spins
# of the other. Off by 10 %, it misreads one spin in a hundred and moves the coupling by
# about its error. The share of spins that are up hardly shows it; the valley between
# the two modes, which Otsu's method finds, does.

balances = [1.0, 0.3, 0.1, 0.03, 0.01, 0.003]
by_balance, separations = [], []
for balance in balances:
    pictures = [wiener(i.astype(float), spread, balance, clip=False) for i in images]
    again = DomainBinarizer(background="plane", pixels_per_site=4).fit(pictures)
    by_balance.append(nearest_neighbours(np.stack(again.transform(pictures))))
    separations.append(again.separation_)

level = binarizer.threshold_
thresholds = level * np.array([0.9, 0.95, 1.0, 1.05, 1.1])
by_threshold = []
for threshold in thresholds:
    again = DomainBinarizer(threshold, background="plane", pixels_per_site=4).fit(sharp)
    found = np.stack(again.transform(sharp))
    by_threshold.append(nearest_neighbours(found))
    up, wrong = np.mean(found == 1), np.mean(found != truth)
    print(f"threshold {threshold:.1f}: {up:.1%} up, {wrong:.2%} misread")

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
style = {"fmt": "o-", "capsize": 2, "label": "found"}
axes[0].errorbar(numbers, *few.T, **style)
axes[0].set(xscale="log", xlabel="images", ylabel="coupling $J/T_0$")
axes[0].set_xticks(numbers, map(str, numbers))
axes[0].minorticks_off()
axes[1].errorbar(balances, *np.transpose(by_balance), **style)
axes[1].set(xscale="log", xlabel="balance of the filter (large: blur remains)")
best = balances[int(np.argmax(separations))]
axes[1].axvline(best, color="0.5", linestyle=":", label="largest separation_")
axes[2].errorbar(thresholds, *np.transpose(by_threshold), **style)
axes[2].set(xlabel="threshold")
axes[2].axvline(level, color="0.5", linestyle=":", label="Otsu")
for ax in axes:
    ax.axhline(true_J, color="black", linewidth=0.8, label="true")
    ax.legend(fontsize="small", loc="best")
for ax in axes[::2]:
    ax.set_ylim(0.385, 0.42)
folder.cleanup()
