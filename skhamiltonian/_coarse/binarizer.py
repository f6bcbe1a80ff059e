"""From micrographs to configurations: a background and a threshold."""

import math

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import find_peaks
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice, check_integer, check_number
from .._utils.warn import warn
from .levels import domain_range, site_levels
from .windows import grey_images, is_series

_THRESHOLDS = ("otsu", "li", "local", "quantile")
_N_BINS, _MOST_BINS = 512, 2**16
# Width of a kernel, in distances of grey levels, in which their comb keeps 2 exp(-2 pi^2 0.6^2) = 0.2 % of its height.
_COMB = 0.6
# Between two classes of normal noise this far apart, in standard deviations, 2.3 % of either are misread.
_SEPARATE, _WELL_SEPARATE = 4.0, 5.0
_MOST_PIXELS = 16


class DomainBinarizer(TransformerMixin, BaseEstimator):
    """Turn images of domains into spins: +1 above a threshold, -1 elsewhere.

    The threshold is found in the intensities of all images together, so that the magnetization may differ between
    them; a threshold of its own for every image would take out what is to be measured.

    Parameters
    ----------
    threshold : {"otsu", "li", "local", "quantile"} or float, default="otsu"
        "otsu" and "li" are those of scikit-image, "local" is its Gaussian-weighted mean around every site,
        "quantile" leaves the share `quantile` below, and a number is the threshold itself.
    quantile : float, default=0.5
        Share of the intensities below the threshold "quantile", which so *prescribes* the magnetization.
    block_size : int, default=35
        Width in sites of the neighbourhood of the threshold "local", odd.
    background : {"plane", "gaussian"} or None, default=None
        Illumination to take out of every image, up to its mean: a plane by least squares, or the image blurred by
        `background_sigma`. Whatever in the domains is as smooth as that goes with it.
    background_sigma : float, default=50.0
        Standard deviation of the "gaussian" background in sites, large against the domains.
    pixels_per_site : "auto" or int, default="auto"
        Edge of the square of pixels whose mean intensity is one site; rows and columns that fill none are dropped.
        "auto" is 1 where that keeps up and down apart (`separation_` of 4), else the smallest that keeps them well
        apart (5) or best, up to 16 and an eighth of the image; it is 1, with a warning, if none keeps them apart.

    Attributes
    ----------
    pixels_per_site_ : int
        Edge of the square of pixels that is one site.
    separation_ : float
        Distance of the mean intensities of up and down, in units of the standard deviation within them. Normal noise
        makes 2.3 % of the sites misread at 4, and 0.6 % at 5; an image without domains has 2.7.
    intensity_range_ : ndarray of shape (2,)
        Lowest and highest intensity of pixels that count in threshold and background. Others stand alone, far from
        all these, and belong to no domain: a scale bar, a dark strip, hot pixels.
    threshold_ : float
        The threshold, in the unit of the intensities; nan for "local".
    up_fraction_ : ndarray of shape (n_images,)
        Share of sites that are +1 in each image given to `fit`.
    n_modes_ : int
        Maxima of the smoothed histogram of the levels of all sites, background taken out.

    Notes
    -----
    Pixels that are masked or NaN belong to no site: sites that hold one are masked in the result, and
    :func:`extract_windows` refuses or skips them. The threshold "local" wants images without gaps.

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
        threshold="otsu",
        *,
        quantile=0.5,
        block_size=35,
        background=None,
        background_sigma=50.0,
        pixels_per_site="auto",
    ):
        self.threshold = threshold
        self.quantile = quantile
        self.block_size = block_size
        self.background = background
        self.background_sigma = background_sigma
        self.pixels_per_site = pixels_per_site

    def fit(self, X, y=None):
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
            If a parameter is out of range, or there are no grey images with at least two intensities.
        ImportError
            If scikit-image is needed and not installed.

        Warns
        -----
        UserWarning
            If up and down are not kept apart; if some pixels stand alone and ought to be masked; or if the histogram
            has more than two modes, so that something else than up and down is in the images.
        """
        self._check_parameters()
        images = grey_images(X)
        pixels = np.concatenate([image.compressed() for image in images])
        if len(pixels) == 0 or np.ptp(pixels) == 0:
            raise ValueError(f"images hold {'one intensity only' if len(pixels) else 'masked pixels only'}: no domains")
        limits, everything = domain_range(pixels), np.array([pixels.min(), pixels.max()])
        found = self._best(images, limits)
        if found["separation_"] < _SEPARATE and not np.array_equal(limits, everything):
            found = self._best(
                images, everything
            )  # what is far from all others may be a domain: no two others are left
        if "threshold_" not in found:
            raise ValueError(f"sites of pixels_per_site={self.pixels_per_site} hold one intensity only: no domains")
        vars(self).update(found)
        self._warn(np.mean((pixels < self.intensity_range_[0]) | (pixels > self.intensity_range_[1])))
        return self

    def _best(self, images, limits):
        """Return the fitted attributes for the smallest sites that keep up and down apart."""
        if self.pixels_per_site != "auto":
            return self._fitted(images, self.pixels_per_site, limits)
        as_it_is = best = self._fitted(images, 1, limits)
        if best["separation_"] >= _SEPARATE:
            return best
        for n in range(2, min(_MOST_PIXELS, min(min(image.shape) for image in images) // 8) + 1):
            best = max(best, self._fitted(images, n, limits), key=lambda fit: fit["separation_"])
            if best["separation_"] >= _WELL_SEPARATE:
                return best
        return best if best["separation_"] >= _SEPARATE else as_it_is

    def _fitted(self, images, n, limits):
        levels = self._levels(images, n, limits)
        values = np.concatenate([level.counted() for level in levels])
        if len(values) == 0 or np.ptp(values) == 0:
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
            "up_fraction_": np.array([float(np.mean(margin.compressed() > 0)) for margin in margins]),
        }

    def _warn(self, stray_share):
        if self.separation_ < _SEPARATE:
            warn(
                f"up and down are not kept apart: their mean intensities differ by {self.separation_:.1f} times the "
                f"noise within them (limit {_SEPARATE:g}), and the result hangs on the threshold; average more pixels "
                "(pixels_per_site), remove the background, or denoise the images"
            )
        if stray_share > 0:
            low, high = self.intensity_range_
            warn(
                f"{100 * stray_share:.2g} % of the pixels are outside [{low:g}, {high:g}], far from all others, as "
                "saturated pixels, a scale bar or a strip are: the threshold is that of the others; mask these pixels "
                f"with numpy.ma.masked_outside(images, {low:g}, {high:g}), or crop the images"
            )
        if self.n_modes_ > 2:
            warn(
                f"the histogram of the intensities has {self.n_modes_} modes, and up and down are two: mask what "
                "belongs to no domain, or remove the background"
            )

    def transform(self, X):
        """Return the spins.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width) or (height, width), or list of 2-D arrays
            Grey images.

        Returns
        -------
        spins : ndarray of int8, masked where pixels are, or list of them
            +1 and -1, in the form of X.
        """
        check_is_fitted(self)
        levels = self._levels(grey_images(X), self.pixels_per_site_, self.intensity_range_)
        spins = [_spins(self._margin(level.values, self.threshold_) > 0) for level in levels]
        if is_series(X):
            return spins
        if np.ndim(X) == 2:
            return spins[0]
        return (np.ma.stack if any(np.ma.isMA(s) for s in spins) else np.stack)(spins)

    def _check_parameters(self):
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

    def _levels(self, images, n, limits):
        """Return the level of every site, the background taken out."""
        return [site_levels(image, n, limits, self.background, self.background_sigma) for image in images]

    def _margin(self, level, threshold):
        """Return by how much every site lies above its threshold."""
        if not isinstance(self.threshold, str) or self.threshold != "local":
            return level - threshold
        if np.ma.getmaskarray(level).any():
            raise ValueError("threshold='local' wants images without masked or NaN pixels: crop them, or use 'otsu'")
        return level - _skimage_filters().threshold_local(level.data, self.block_size)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _spins(above):
    spins = np.where(np.ma.getdata(above), 1, -1).astype(np.int8)
    mask = np.ma.getmaskarray(above)
    return np.ma.array(spins, mask=mask) if mask.any() else spins


def _find_threshold(values, threshold, quantile):
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
    # A bin of a histogram has a width: between well-kept modes it would cut into one. Otsu's best is half-way.
    return float((values[values > found].mean() + values[values <= found].mean()) / 2)


def _skimage_filters():
    try:
        from skimage import filters
    except ImportError as error:
        raise ImportError("DomainBinarizer needs scikit-image: pip install scikit-image") from error
    return filters


def separation(margin):
    """Return how far two classes lie apart, above and below zero, in units of the standard deviation within them."""
    classes = [side for side in (margin[margin > 0], margin[margin <= 0]) if len(side)]
    if len(classes) < 2:
        return 0.0
    noise = math.sqrt(sum(len(side) * side.var() for side in classes) / len(margin))
    distance = classes[0].mean() - classes[1].mean()
    return float(distance / noise) if noise > 1e-12 * distance else math.inf


def count_modes(values):
    """Return the number of maxima of a density, smoothed by Silverman's rule, that stand out of its noise.

    The kernel is wide enough for the comb of equidistant grey levels to vanish in it.
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
    # Every value counts in the two bins around it, by its distance from them.
    place = (distinct - low) / (high - low) * (n_bins - 1)
    left = place.astype(int)
    density = np.bincount(left, counts * (1 - place + left), n_bins) + np.bincount(
        left + 1, counts * (place - left), n_bins
    )
    sigma = width / (high - low) * (n_bins - 1)
    smooth = gaussian_filter(density, sigma, mode="constant")
    # The relative noise of the highest bin, summed over the kernel.
    noise = 1 / math.sqrt(smooth.max() * sigma * 2 * math.sqrt(math.pi))
    return len(find_peaks(smooth, prominence=smooth.max() * max(0.02, 4 * noise))[0])
