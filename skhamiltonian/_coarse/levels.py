"""From pixels to levels of sites: averages over pixels, backgrounds, and pixels that belong to no domain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_MOST_LONERS, _LARGEST_STRAY_SHARE = 64, 0.4
_LONELY = 0.5


@dataclass(frozen=True)
class Level:
    """The mean intensity of every site, and which sites count: unmasked ones with a pixel inside the limits."""

    values: np.ma.MaskedArray
    counts: Mask

    def __sub__(self, background: Array) -> Level:
        return Level(self.values - background, self.counts)

    def counted(self) -> Array:
        """Return the levels of the sites that count."""
        return self.values.data[self.counts]


def site_levels(image: np.ma.MaskedArray, n: int, limits: Array, background: str | None, sigma: float) -> Level:
    """Return the levels of sites of n x n pixels, without the background and pixels outside the limits."""
    level = _average(image, n, limits)
    if background == "plane":
        return level - _plane(level)
    if background == "gaussian":
        return level - _blurred(level, sigma)
    return level


def domain_range(values: Array) -> Array:
    """Return the lowest and the highest intensity of the domains, without pixels far from all others.

    At either end a value is dropped if its distance to the next value is more than half the range of all others
    (without half a per cent of the pixels at both ends): saturated pixels, a scale bar, a strip. The values of domains
    have noise, and no such gap. Then values are dropped that are farther from this range than its width: hot pixels.
    """
    distinct, counts = np.unique(values, return_counts=True)
    first, last = 0, len(distinct)
    while last - first > 2 and len(distinct) - (last - first) < _MOST_LONERS:
        gaps = distinct[first + 1] - distinct[first], distinct[last - 1] - distinct[last - 2]
        inner = slice(first + 1, last) if gaps[0] > gaps[1] else slice(first, last - 1)
        low, high = _bulk(distinct[inner], counts[inner])
        enough = counts[inner].sum() >= (1 - _LARGEST_STRAY_SHARE) * len(values)
        if not enough or high == low or max(gaps) <= _LONELY * (high - low):
            break
        first, last = inner.start, inner.stop
    low, high = _bulk(distinct[first:last], counts[first:last])
    near = np.abs(distinct[first:last] - (low + high) / 2) <= 1.5 * (high - low)
    return distinct[first:last][near][[0, -1]] if near.any() else distinct[[0, -1]]


def _bulk(distinct: Array, counts: NDArray[np.int_]) -> Array:
    """Return the quantiles 0.005 and 0.995 of the intensities."""
    share = np.cumsum(counts) / counts.sum()
    return distinct[np.minimum(np.searchsorted(share, [0.005, 0.995]), len(distinct) - 1)]


def _average(image: np.ma.MaskedArray, n: int, limits: Array) -> Level:
    """Return means of n x n pixels over those inside the limits, or over all; masked if any of the pixels is."""
    if min(image.shape) < n:
        largest = min(image.shape)
        raise ValueError(f"pixels_per_site must be at most {largest} for an image of shape {image.shape}, got {n}")
    height, width = (length // n for length in image.shape)
    blocks = image[: height * n, : width * n].reshape(height, n, width, n)
    mask = np.ma.getmaskarray(blocks).any(axis=(1, 3))
    pixels = blocks.filled(0)
    good = (pixels >= limits[0]) & (pixels <= limits[1])
    n_good = good.sum(axis=(1, 3))
    mean = np.where(good, pixels, 0).sum(axis=(1, 3)) / np.maximum(n_good, 1)
    return Level(np.ma.array(np.where(n_good > 0, mean, pixels.mean(axis=(1, 3))), mask=mask), (n_good > 0) & ~mask)


def _plane(level: Level) -> Array:
    """Return the least-squares plane of an image, minus its mean."""
    axes = [x - x.mean() for x in np.indices(level.counts.shape).astype(float)]
    design = np.stack([np.ones(level.counts.shape), *axes], axis=-1)
    _, *slope = np.linalg.lstsq(design[level.counts], level.counted(), rcond=None)[0]
    return sum(a * x for a, x in zip(slope, axes, strict=True))


def _blurred(level: Level, sigma: float) -> Array:
    """Return an image blurred over the sites that count, minus the mean."""
    counts = level.counts.astype(float)
    weight = gaussian_filter(counts, sigma, mode="nearest")
    blurred = gaussian_filter(level.values.filled(0) * counts, sigma, mode="nearest") / np.maximum(weight, 1e-12)
    return blurred - blurred[level.counts].mean() if level.counts.any() else blurred
