"""From micrographs to configurations: a background and a threshold."""

import math
import warnings

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import find_peaks
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice, check_integer, check_number
from .windows import grey_images, is_series

_THRESHOLDS = ("otsu", "li", "local", "quantile")
_N_BINS = 512


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
    pixels_per_site : int, default=1
        Edge of the square of pixels whose mean intensity is one site; rows and columns that fill none are dropped.

    Attributes
    ----------
    threshold_ : float
        The threshold, in the unit of the intensities; nan for "local".
    up_fraction_ : ndarray of shape (n_images,)
        Share of sites that are +1 in each image given to `fit`.
    n_modes_ : int
        Maxima of the smoothed histogram of all intensities, background taken out.

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
        pixels_per_site=1,
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
            If the histogram of the intensities has one mode, so that up and down are not kept apart.
        """
        self._check_parameters()
        levels = self._levels(X)
        values = np.concatenate([level.compressed() for level in levels])
        if len(values) == 0 or np.ptp(values) == 0:
            raise ValueError(f"images hold {'one intensity only' if len(values) else 'masked pixels only'}: no domains")
        threshold = _find_threshold(values, self.threshold, self.quantile)
        fractions = np.array([float(np.mean(self._above(level, threshold).compressed())) for level in levels])
        n_modes = count_modes(values)
        if n_modes < 2:
            warnings.warn(
                "the histogram of the intensities has one mode: up and down are not kept apart, and the result hangs "
                "on the threshold; average more pixels (pixels_per_site), remove the background, or denoise the images",
                UserWarning,
                stacklevel=2,
            )
        self.threshold_, self.n_modes_, self.up_fraction_ = threshold, n_modes, fractions
        return self

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
        spins = [_spins(self._above(level, self.threshold_)) for level in self._levels(X)]
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
        check_integer(self.pixels_per_site, "pixels_per_site", minimum=1)

    def _levels(self, images):
        """Return the intensity of every site as masked arrays, the background taken out."""
        levels = [_average(image, self.pixels_per_site) for image in grey_images(images)]
        if self.background == "plane":
            return [level - _plane(level) for level in levels]
        if self.background == "gaussian":
            return [level - _blurred(level, self.background_sigma) for level in levels]
        return levels

    def _above(self, level, threshold):
        if not isinstance(self.threshold, str) or self.threshold != "local":
            return level > threshold
        if np.ma.getmaskarray(level).any():
            raise ValueError("threshold='local' wants images without masked or NaN pixels: crop them, or use 'otsu'")
        return level > _skimage_filters().threshold_local(level.data, self.block_size)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _average(image, n):
    """Return the means of n x n pixels, masked where one of them is."""
    if min(image.shape) < n:
        raise ValueError(f"pixels_per_site={n} exceeds an image of shape {image.shape}")
    height, width = (length // n for length in image.shape)
    blocks = image[: height * n, : width * n].reshape(height, n, width, n)
    mask = np.ma.getmaskarray(blocks).any(axis=(1, 3))
    return np.ma.array(blocks.filled(0).mean(axis=(1, 3)), mask=mask)


def _plane(level):
    """Return the least-squares plane of an image, without its mean over the image."""
    axes = [x - x.mean() for x in np.indices(level.shape).astype(float)]
    design = np.stack([np.ones(level.shape), *axes], axis=-1)
    known = ~np.ma.getmaskarray(level)
    _, *slope = np.linalg.lstsq(design[known], level.data[known], rcond=None)[0]
    return sum(a * x for a, x in zip(slope, axes, strict=True))


def _blurred(level, sigma):
    """Return an image blurred over its known sites, without the mean."""
    known = (~np.ma.getmaskarray(level)).astype(float)
    weight = gaussian_filter(known, sigma, mode="nearest")
    blurred = gaussian_filter(level.filled(0) * known, sigma, mode="nearest") / np.maximum(weight, 1e-12)
    return blurred - blurred[known > 0].mean() if known.any() else blurred


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


def _spins(above):
    spins = np.where(np.ma.getdata(above), 1, -1).astype(np.int8)
    mask = np.ma.getmaskarray(above)
    return np.ma.array(spins, mask=mask) if mask.any() else spins


def count_modes(values):
    """Return the number of maxima of a histogram, smoothed by Silverman's rule, that stand out of its noise."""
    distinct = np.unique(values)
    if len(distinct) == 2:
        return 2
    gap = (distinct[-1] - distinct[0]) / (len(distinct) - 1)
    quarter, three_quarters = np.quantile(values, [0.25, 0.75])
    spread = min(values.std(), (three_quarters - quarter) / 1.34) or values.std()
    width = max(0.9 * spread * len(values) ** -0.2, 0.5 * gap)
    density, edges = np.histogram(values, bins=_N_BINS, range=(distinct[0] - 4 * width, distinct[-1] + 4 * width))
    smooth = gaussian_filter(density.astype(float), max(width / (edges[1] - edges[0]), 0.5), mode="constant")
    # The relative noise of the highest bin, summed over the kernel.
    noise = 1 / math.sqrt(smooth.max() * max(width / (edges[1] - edges[0]), 0.5) * 2 * math.sqrt(math.pi))
    return len(find_peaks(smooth, prominence=smooth.max() * max(0.02, 4 * noise))[0])
