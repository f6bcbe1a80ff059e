"""From micrographs to configurations: a background and a threshold."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import find_peaks
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice, check_integer, check_number
from .._utils.warn import warn
from .images import intensities, is_series
from .levels import Array, Level, domain_range, site_levels
from .squares import Squares, squares_of_spins

_THRESHOLDS = ("otsu", "li", "local", "quantile")
_N_BINS, _MOST_BINS = 512, 2**16
# Width of a kernel in distances of grey levels. It reduces their comb to 2 exp(-2 pi^2 0.6^2) = 0.2 % of its height.
_COMB = 0.6
# Distance of two classes in standard deviations of their normal noise: 2.3 % of both are misread at 4, 0.6 % at 5.
_SEPARATE, _WELL_SEPARATE = 4.0, 5.0
_MOST_PIXELS = 16
_MOST_BEYOND = 0.9  # share of pixels on one side of the intensities of fit
_SMALLEST = 1e-100  # squares of smaller intensities vanish, and those of their inverses overflow


class DomainBinarizer(TransformerMixin, BaseEstimator):
    """Turn images of domains into spins: +1 above a threshold, -1 elsewhere.

    All images have the same threshold, found in their intensities together, so the magnetization may differ between
    images. Separate thresholds would remove these differences.

    Parameters
    ----------
    threshold : {"otsu", "li", "local", "quantile"} or float, default="otsu"
        "otsu" and "li" are the thresholds of scikit-image, "local" is its Gaussian-weighted mean around every site,
        "quantile" has the share `quantile` of the intensities below it, and a number is the threshold itself.
    quantile : float, default=0.5
        Share of the intensities below the threshold "quantile". It *prescribes* the magnetization.
    block_size : int, default=35
        Width in sites of the neighbourhood of the threshold "local", odd.
    background : {"plane", "gaussian"} or None, default=None
        Illumination to subtract from every image, without its mean: a plane by least squares, or the image blurred by
        `background_sigma`. Equally smooth structures of the domains are subtracted with it.
    background_sigma : float, default=50.0
        Standard deviation of the "gaussian" background in sites, much larger than the domains.
    pixels_per_site : "auto" or int, default="auto"
        Edge of the square of pixels whose mean intensity is one site; incomplete squares at the edge are dropped.
        "auto" is the edge of `squares_` if they are seen. If not, it is 1 if `separation_` is then at least 4.
        Otherwise it is the smallest edge with a separation of at least 5, or the edge with the largest separation, up
        to 16 and an eighth of the image. It is 1, with a warning, if no edge reaches a separation of 4.

    Attributes
    ----------
    pixels_per_site_ : int
        Edge of the square of pixels that is one site.
    squares_ : tuple of int or None
        Edge in pixels of squares whose borders hold the walls between up and down, and the first row and column at
        which one begins: the images show spins that are squares of pixels. None if walls lie anywhere, as they do if a
        spin is a pixel, or if blur or strong noise hides the squares.
    separation_ : float
        Distance of the mean intensities of up and down, in units of the standard deviation within them. With normal
        noise, 2.3 % of the sites are misread at 4, and 0.6 % at 5; an image without domains has 2.7.
    intensity_range_ : ndarray of shape (2,)
        Lowest and highest intensity of the pixels that determine threshold and background. Pixels outside are far from
        all others, and belong to no domain: a scale bar, a dark strip, hot pixels.
    threshold_ : float
        The threshold, in the unit of the intensities; nan for "local".
    up_fraction_ : ndarray of shape (n_images,)
        Share of sites that are +1 in each image given to `fit`; nan if all of them are masked.
    n_modes_ : int
        Number of maxima of the smoothed histogram of all sites, after the background is subtracted.

    Notes
    -----
    Sites that contain a masked or NaN pixel are masked in the result, and :func:`extract_windows` refuses or skips
    them. The threshold "local" requires images without masked pixels.

    References
    ----------
    .. [1] N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Syst. Man Cybern. 9, 62
       (1979); C. H. Li, C. K. Lee, "Minimum cross entropy thresholding", Pattern Recognit. 26, 617 (1993).

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import DomainBinarizer
    >>> rng = np.random.default_rng(0)
    >>> spins = np.sign(rng.normal(size=(1, 40, 40)))
    >>> image = 100 + 20 * spins + np.arange(40) + rng.normal(size=spins.shape)
    >>> binarizer = DomainBinarizer(background="plane")
    >>> bool((binarizer.fit_transform(image) == spins).all())
    True
    """

    def __init__(
        self,
        threshold: str | float = "otsu",
        *,
        quantile: float = 0.5,
        block_size: int = 35,
        background: str | None = None,
        background_sigma: float = 50.0,
        pixels_per_site: str | int = "auto",
    ) -> None:
        self.threshold = threshold
        self.quantile = quantile
        self.block_size = block_size
        self.background = background
        self.background_sigma = background_sigma
        self.pixels_per_site = pixels_per_site

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the threshold.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width) or (height, width), or list of 2-D arrays
            Grey images.
        y : None
            Ignored.

        Returns
        -------
        self : DomainBinarizer
            The fitted transformer.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range, X does not hold grey images with at least two intensities, or the images
            have different types, such as uint8 and float, whose ranges differ.
        ImportError
            If scikit-image is needed and not installed.

        Warns
        -----
        UserWarning
            If up and down are not well separated, if the intensities of some pixels are far from all others, if the
            histogram has more than two modes, or if sites are not the `squares_` that the images show.
        """
        self._check_parameters()
        images = intensities(X)
        pixels = np.concatenate([image.compressed() for image in images])
        if len(pixels) == 0 or _is_flat(pixels, pixels):
            only = "one intensity" if len(pixels) else "masked pixels"
            raise ValueError(f"X must hold images of domains, got {only} only")
        if not _SMALLEST <= np.abs(pixels).max() <= 1 / _SMALLEST:
            raise ValueError(
                f"intensities must be of order 1e-100 to 1e100, got up to {np.abs(pixels).max():g}: rescale them"
            )
        limits, everything = domain_range(pixels), np.array([pixels.min(), pixels.max()])
        found = self._best(images, limits)
        if found["separation_"] < _SEPARATE and not np.array_equal(limits, everything):
            # The remaining pixels hold no two domains, so the pixels far from them may be one.
            found = self._best(images, everything)
        if "threshold_" not in found:
            options = f"background={self.background!r} and pixels_per_site={self.pixels_per_site!r}"
            raise ValueError(f"{options} must leave domains, got one intensity only")
        for name, value in found.items():
            setattr(self, name, value)
        self._warn(np.mean((pixels < self.intensity_range_[0]) | (pixels > self.intensity_range_[1])))
        return self

    def _best(self, images: list[np.ma.MaskedArray], limits: Array) -> dict[str, Any]:
        """Return the fitted attributes for squares that are seen, or the smallest sites that separate up and down."""
        most_pixels = min(_MOST_PIXELS, min(min(image.shape) for image in images) // 8)
        squares = self._squares(images, limits, most_pixels)
        return self._fitted_best(images, limits, squares, most_pixels) | {"squares_": squares}

    def _squares(self, images: list[np.ma.MaskedArray], limits: Array, most_pixels: int) -> Squares | None:
        levels = self._levels(images, 1, limits)
        values = np.concatenate([level.counted() for level in levels])
        if len(values) == 0 or _is_flat(values, limits):
            return None
        threshold = _find_threshold(values, self.threshold, self.quantile)
        return squares_of_spins([self._margin(level.values, threshold) > 0 for level in levels], most_pixels)

    def _fitted_best(
        self, images: list[np.ma.MaskedArray], limits: Array, squares: Squares | None, most_pixels: int
    ) -> dict[str, Any]:
        if not isinstance(self.pixels_per_site, str):
            return self._fitted(images, int(self.pixels_per_site), limits)
        if squares is not None:
            return self._fitted(images, squares.edge, limits)
        as_it_is = best = self._fitted(images, 1, limits)
        if best["separation_"] >= _SEPARATE:
            return best
        for n in range(2, most_pixels + 1):
            best = max(best, self._fitted(images, n, limits), key=lambda fit: fit["separation_"])
            if best["separation_"] >= _WELL_SEPARATE:
                return best
        return best if best["separation_"] >= _SEPARATE else as_it_is

    def _fitted(self, images: list[np.ma.MaskedArray], n: int, limits: Array) -> dict[str, Any]:
        levels = self._levels(images, n, limits)
        values = np.concatenate([level.counted() for level in levels])
        if len(values) == 0 or _is_flat(values, limits):
            return {"separation_": 0.0, "intensity_range_": limits}
        threshold = _find_threshold(values, self.threshold, self.quantile)
        margins = [self._margin(level.values, threshold) for level in levels]
        apart = np.concatenate([m.data[level.counts] for m, level in zip(margins, levels, strict=True)])
        return {
            "pixels_per_site_": n,
            "intensity_range_": limits,
            "threshold_": threshold,
            "separation_": separation(apart),
            "n_modes_": count_modes(values),
            "up_fraction_": np.array([_share(margin.compressed() > 0) for margin in margins]),
        }

    def _warn(self, stray_share: float) -> None:
        if self.separation_ < _SEPARATE:
            warn(
                f"up and down are not well separated: their mean intensities differ by {self.separation_:.1f} times "
                f"the noise within them (limit {_SEPARATE:g}), so the result depends on the threshold; average more "
                "pixels (pixels_per_site), remove the background, or denoise the images"
            )
        if stray_share > 0:
            low, high = self.intensity_range_
            warn(
                f"{100 * stray_share:.2g} % of the pixels are outside [{low:g}, {high:g}], far from all others, "
                "such as saturated pixels, a scale bar or a strip: the threshold ignores them; mask these pixels with "
                f" numpy.ma.masked_outside(images, {low:g}, {high:g}), or crop the images"
            )
        if self.squares_ not in (None, (self.pixels_per_site_, 0, 0)):
            edge, row, column = self.squares_
            size = (
                "" if edge == self.pixels_per_site_ else f": pass pixels_per_site={edge}, not {self.pixels_per_site_}"
            )
            first = f". The first begins at row {row} and column {column}: crop images, image[{row}:, {column}:]"
            warn(
                f"up and down change every {edge} pixels only, so spins are squares of {edge} x {edge} pixels{size}"
                f"{first if row or column else ''}"
            )
        elif self.n_modes_ > 2:
            n, of_squares = self.pixels_per_site_, ""
            if n > 1:
                of_squares = (
                    f"take fewer pixels_per_site than {n} if squares of {n} x {n} pixels hold parts of several spins, "
                    "or crop the images so that the first square begins with a spin; or "
                )
            warn(
                f"the histogram of the intensities has {self.n_modes_} modes instead of two, up and down: {of_squares}"
                "mask pixels that belong to no domain, or remove the background"
            )

    def transform(self, X: Any) -> NDArray[np.int8] | list[NDArray[np.int8]]:
        """Return the spins.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width) or (height, width), or list of 2-D arrays
            Grey images.

        Returns
        -------
        spins : ndarray of int8 or list of them
            +1 and -1, in the form of X; a masked array if X has masked pixels.

        Warns
        -----
        UserWarning
            If nearly all pixels are on one side of `intensity_range_`.
        """
        check_is_fitted(self)
        images, (low, high) = intensities(X), self.intensity_range_
        pixels = np.concatenate([image.compressed() for image in images])
        if max(_share(pixels < low), _share(pixels > high)) > _MOST_BEYOND:
            warn(
                f"nearly all pixels are on one side of [{low:g}, {high:g}], the intensities that fit saw, so the "
                "threshold does not fit them: give all images in one unit, such as bytes or 0 to 1"
            )
        levels = self._levels(images, self.pixels_per_site_, self.intensity_range_)
        spins = [_spins(self._margin(level.values, self.threshold_) > 0) for level in levels]
        if is_series(X):
            return spins
        if np.ndim(X) == 2:
            return spins[0]
        return (np.ma.stack if any(np.ma.isMA(s) for s in spins) else np.stack)(spins)

    def _check_parameters(self) -> None:
        if isinstance(self.threshold, str):
            check_choice(self.threshold, "threshold", _THRESHOLDS)
        else:
            check_number(self.threshold, "threshold", include_low=False, include_high=False)
        check_number(self.quantile, "quantile", low=0, high=1, include_low=False, include_high=False)
        if check_integer(self.block_size, "block_size", minimum=3) % 2 == 0:
            raise ValueError(f"block_size must be odd, got {self.block_size!r}")
        if self.background is not None:
            check_choice(self.background, "background", ("plane", "gaussian"))
        check_number(self.background_sigma, "background_sigma", low=0, include_low=False, include_high=False)
        if not isinstance(self.pixels_per_site, str):
            check_integer(self.pixels_per_site, "pixels_per_site", minimum=1)
        elif self.pixels_per_site != "auto":
            raise ValueError(f"pixels_per_site must be 'auto' or an integer >= 1, got {self.pixels_per_site!r}")

    def _levels(self, images: list[np.ma.MaskedArray], n: int, limits: Array) -> list[Level]:
        """Return the level of every site, after the background is subtracted."""
        return [site_levels(image, n, limits, self.background, self.background_sigma) for image in images]

    def _margin(self, level: np.ma.MaskedArray, threshold: float) -> np.ma.MaskedArray:
        """Return the level of every site minus its threshold."""
        if not isinstance(self.threshold, str) or self.threshold != "local":
            return level - threshold
        if np.ma.getmaskarray(level).any():
            raise ValueError("threshold='local' requires images without masked or NaN pixels: crop them, or use 'otsu'")
        return level - _skimage_filters().threshold_local(level.data, int(self.block_size))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _is_flat(values: Array, pixels: Array) -> bool:
    """Return whether values of such pixels are equal up to rounding, so that 256 bins do not tell them apart."""
    return bool(np.ptp(values) <= 256 * np.finfo(float).eps * np.abs(pixels).max())


def _share(above: NDArray[np.bool_]) -> float:
    return float(above.mean()) if len(above) else math.nan


def _spins(above: np.ma.MaskedArray) -> NDArray[np.int8]:
    spins = np.where(np.ma.getdata(above), 1, -1).astype(np.int8)
    mask = np.ma.getmaskarray(above)
    return np.ma.array(spins, mask=mask) if mask.any() else spins


def _find_threshold(values: Array, threshold: str | float, quantile: float) -> float:
    if not isinstance(threshold, str):
        return float(threshold)
    if threshold == "quantile":
        return float(np.quantile(values, quantile))
    if threshold == "local":
        _skimage_filters()
        return math.nan
    found = float(getattr(_skimage_filters(), f"threshold_{threshold}")(values))
    if threshold == "li":
        return found
    # The middle between the class means, as in Otsu's criterion: the edge of a bin may lie inside a narrow mode.
    return float((values[values > found].mean() + values[values <= found].mean()) / 2)


def _skimage_filters() -> Any:
    try:
        from skimage import filters
    except ImportError as error:
        raise ImportError("DomainBinarizer needs scikit-image: pip install scikit-image") from error
    return filters


def separation(margin: Array) -> float:
    """Return the distance of the means above and below zero, in units of the standard deviation within both classes."""
    classes = [side for side in (margin[margin > 0], margin[margin <= 0]) if len(side)]
    if len(classes) < 2:
        return 0.0
    noise = math.sqrt(sum(len(side) * side.var() for side in classes) / len(margin))
    distance = classes[0].mean() - classes[1].mean()
    return float(distance / noise) if noise > 1e-12 * distance else math.inf


def count_modes(values: Array) -> int:
    """Return the number of significant maxima of a density that is smoothed by Silverman's rule.

    The kernel is wide enough to remove the comb of equidistant grey levels.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 2:
        return 2
    gap = float(np.median(np.diff(distinct)))
    quarter, three_quarters = np.quantile(values, [0.25, 0.75])
    spread = min(values.std(), (three_quarters - quarter) / 1.34) or values.std()
    width = max(0.9 * spread * len(values) ** -0.2, _COMB * gap)
    low, high = distinct[0] - 4 * width, distinct[-1] + 4 * width
    n_bins = int(min(_MOST_BINS, max(_N_BINS, 8 * (high - low) / width)))
    place = np.rint((distinct - low) / (high - low) * (n_bins - 1)).astype(int)
    density = np.bincount(place, counts, n_bins)
    sigma = width / (high - low) * (n_bins - 1)
    smooth = gaussian_filter(density, sigma, mode="constant")
    # The relative noise of the highest bin, summed over the kernel.
    noise = 1 / math.sqrt(smooth.max() * sigma * 2 * math.sqrt(math.pi))
    return len(find_peaks(smooth, prominence=smooth.max() * max(0.02, 4 * noise))[0])
