r"""
Skyrmions under a Kerr microscope: read the discs, learn a local energy
=======================================================================

Reads micrographs (PNG or TIFF, also stacks), turns them into spins with the defaults of
DomainBinarizer, judges these against masks by experts if there are any, and learns an
energy of 3 x 3 sites from windows. Files to try are in dataset/ of the repository
kfjml/Skyrmion-U-Net-Hands-On-Session (Zenodo 10997175), five images with their masks.

    python examples/real/skyrmions.py images-*.png --masks labels-*.png

It takes about a minute on one core.
"""

import argparse

import numpy as np
from scipy import ndimage
from sklearn.model_selection import GroupKFold

from skhamiltonian import (
    DomainBinarizer,
    IndependentSites,
    LocalHamiltonian,
    extract_windows,
    phase_curve,
)

from common import load_images, panels

SYMMETRIES = ("point-group",)


def load_masks(paths):
    """Return a mask of the discs for each file: the first channel, or what is not zero."""
    from skimage.io import imread

    masks = [imread(path) for path in paths]
    return [(mask if mask.ndim == 2 else mask[..., 0]) > 0 for mask in masks]


def judge(spins, mask, edge, smallest=0.3):
    """Return (discs found, discs, share of the background misread: all of it, and beyond the rim of discs)."""
    dark = (spins < 0).repeat(edge, axis=0).repeat(edge, axis=1)
    mask = mask[: dark.shape[0], : dark.shape[1]]
    discs, n = ndimage.label(mask)
    areas = ndimage.sum(mask, discs, range(1, n + 1))
    whole = 1 + np.flatnonzero(areas >= smallest * np.median(areas))  # no specks
    found = ndimage.mean(dark, discs, whole) > 0.5
    # A site at the rim of a disc belongs to both in part.
    rim = ndimage.binary_dilation(mask, iterations=edge)
    return int(found.sum()), len(whole), float(dark[~mask].mean()), float(dark[~rim].mean())


def binarized(images, masks=None):
    """Return the spins of every image, read one by one, and print how well."""
    result, total = [], np.zeros(2, int)
    for number, image in enumerate(images):
        binarizer = DomainBinarizer().fit(image)
        spins = binarizer.transform(image)
        result.append(spins)
        text = (
            f"image {number}: {binarizer.pixels_per_site_} pixels a site, separation "
            f"{binarizer.separation_:.1f}, {binarizer.up_fraction_[0]:.1%} up"
        )
        if masks is not None:
            found, n, misread, beyond = judge(spins, masks[number], binarizer.pixels_per_site_)
            total += found, n
            text += f", {found} of {n} discs, {misread:.2%} of the background misread ({beyond:.2%} beyond the rims)"
        print(text)
    if masks is not None:
        print(f"in all {total[0]} of {total[1]} discs found")
    return result, total


def learn(spins):
    """Print the local energy of the film; return it, the windows and the scores of held-out images."""
    X, groups, held_out = [], [], {}
    for number, picture in enumerate(spins):
        windows, _ = extract_windows(picture, 16)
        X.append(windows)
        groups += [number] * len(windows)
    X, groups = np.concatenate(X), np.array(groups)
    local = LocalHamiltonian(1.0, lattice_shape=(16, 16), symmetries=SYMMETRIES, random_state=0)
    free = IndependentSites()
    print(f"{len(X)} windows; held-out log-likelihood of a site given all others, nats")
    n_folds = min(len(spins), 5)
    for train, test in GroupKFold(n_folds).split(X, groups=groups):
        scores = [local.fit(X[train]).score(X[test]), free.fit(X[train]).score(X[test]) / 256]
        name = ", ".join(map(str, np.unique(groups[test])))
        print(f"  image {name}: local {scores[0]:.4f}, independent {scores[1]:.4f}")
        held_out[name] = scores
    local.fit(X)
    error = np.sqrt(np.diag(local.covariance_))
    print(f"{len(local.couplings_)} clusters of sites have a coupling; the strongest:")
    for k in np.argsort(-np.abs(local.couplings_))[:5]:
        pattern = " ".join("".join(map(str, row)) for row in local.clusters_[k])
        print(f"  {pattern}  J/T = {local.couplings_[k]:+.3f} +- {error[k]:.3f}")
    return local, X, held_out


def run(paths, masks=None, figure=None):
    images = load_images(paths)
    masks = None if masks is None else load_masks(masks)
    spins, total = binarized(images, masks)
    local, X, held_out = learn(spins)

    sampler = local.to_sampler((32, 32))
    curve = phase_curve(sampler, [1.0], n_samples=500, random_state=0)
    value, error = (float(x[0]) for x in curve["entropy"])
    m, m_error = (float(x[0]) for x in curve["magnetization"])
    print(f"entropy of the local energy {value:.4f} +- {error:.4f} nats a site, 32 x 32")
    up = X.mean(axis=1)
    print(
        f"magnetization: film {X.mean():.3f} (windows differ by {up.std():.3f}), energy's own {m:.3f} +- {m_error:.3f}"
    )
    print("what this cannot tell")
    print("- the temperature: energies are in units of T")
    print("- forces between discs: they reach farther than 3 x 3 sites; where the energy's")
    print("  own magnetization differs from that of the film, they matter")
    print("- errors: windows count as independent, those of one disc are not")
    if figure is not None:
        draw(figure, spins[0], None if masks is None else masks[0], local, held_out)
    return spins, total, local


def draw(path, spins, mask, local, held_out, n=64):
    """Draw n x n sites of a film and the outline of its mask, a draw of the energy, and the held-out scores."""
    drawn = local.to_sampler((n, n)).sample().reshape(n, n)
    edge = 1 if mask is None else mask.shape[0] // spins.shape[0]
    film = spins[:n, :n].repeat(edge, axis=0).repeat(edge, axis=1)
    with panels(path, (11.2, 3.9), 3) as axes:
        for ax, picture in zip(axes, (film, drawn), strict=False):
            ax.imshow(picture, cmap="Blues_r", vmin=-1.4, vmax=2.4, interpolation="nearest")
            ax.set_axis_off()
        axes[0].set_title("the film, as read")
        axes[1].set_title("a draw of the learned energy")
        if mask is not None:
            axes[0].contour(mask[: film.shape[0], : film.shape[1]], [0.5], colors="#e07b00", linewidths=1.5)
        axes[2].plot(list(held_out.values()), list(held_out), "o", label=["local energy", "independent sites"])
        axes[2].set(title="held-out images", xlabel="nats a site", ylabel="image", xlim=(None, 0))
        axes[2].legend(frameon=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("paths", nargs="+", help="images: png, tif")
    parser.add_argument("--masks", nargs="+", help="masks of the discs, one for an image")
    parser.add_argument("--figure", help="file to draw to")
    given = parser.parse_args()
    run(sorted(given.paths), given.masks and sorted(given.masks), given.figure)
