"""From images of spins to the configurations of windows."""

import math
import numbers
import warnings

import numpy as np

from .._utils.checks import check_choice, check_integer
from .._utils.configurations import unwrap_tensor


def extract_windows(images, window_shape, *, stride=None, masked="raise"):
    """Cut images into windows, the configurations of a small lattice.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width) or (height, width), or list of 2-D arrays
        Images of spins, such as those of :class:`DomainBinarizer`.
    window_shape : int or tuple of int
        Height and width of a window in sites; an int for squares.
    stride : int or tuple of int, default=None
        Distance of neighbouring windows; None lets them tile the image. Windows that overlap are not independent.
    masked : {"raise", "skip"}, default="raise"
        What to do with windows that hold a masked or NaN site: refuse the images, or leave these windows out and
        say how many in a warning.

    Returns
    -------
    X : ndarray of shape (n_windows, n_sites)
        Configurations, sites in C order; int8 where the images are.
    groups : ndarray of shape (n_windows,)
        Index of the image that a window is from, as :class:`~sklearn.model_selection.GroupKFold` wants it.

    Raises
    ------
    ValueError, TypeError
        If a window is larger than an image, an argument is out of range, or there are masked sites to refuse.

    Warns
    -----
    UserWarning
        If windows are skipped.

    Notes
    -----
    A window is not a small system: spins at its edge have unseen neighbours. :class:`LocalHamiltonian` learns from
    inner sites, whose neighbours are seen. The law of whole windows, as :class:`MADEHamiltonian` learns it, does not
    scale with the temperature, and "translation" is not one of its symmetries.

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import extract_windows
    >>> X, groups = extract_windows(np.ones((2, 40, 50), dtype=np.int8), 16)
    >>> X.shape, groups
    ((12, 256), array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]))
    """
    shape = _pair(window_shape, "window_shape")
    steps = shape if stride is None else _pair(stride, "stride")
    check_choice(masked, "masked", ("raise", "skip"))
    windows, gaps, groups = [], [], []
    for index, image in enumerate(grey_images(images, convert=False)):
        if any(length < side for length, side in zip(image.shape, shape, strict=True)):
            raise ValueError(f"window_shape={shape} does not fit into image {index} of shape {image.shape}")
        cut = (np.ma.getdata(image), np.ma.getmaskarray(image))
        data, mask = (
            np.lib.stride_tricks.sliding_window_view(part, shape)[:: steps[0], :: steps[1]].reshape(
                -1, math.prod(shape)
            )
            for part in cut
        )
        windows.append(data), gaps.append(mask.any(axis=1)), groups.append(np.full(len(data), index))
    X, gap, group = map(np.concatenate, (windows, gaps, groups))
    if gap.any():
        found = f"{gap.sum()} of {len(gap)} windows hold masked or NaN sites"
        if masked == "raise":
            raise ValueError(f"{found}: crop the images, or pass masked='skip' to leave these windows out")
        warnings.warn(f"{found} and are skipped", UserWarning, stacklevel=2)
    return X[~gap], group[~gap]


def _pair(value, name):
    pair = (value, value) if isinstance(value, numbers.Integral) else value
    if not isinstance(pair, (list, tuple, np.ndarray)) or len(pair) != 2:
        raise ValueError(f"{name} must be an integer or two of them, got {value!r}")
    return tuple(check_integer(length, f"each length in {name}", minimum=1) for length in pair)


def is_series(images):
    """Return whether `images` is a list of images and no array, nor a nested list that is one image."""
    return isinstance(images, (list, tuple)) and (len(images) == 0 or np.ndim(images[0]) > 1)


def grey_images(images, convert=True):
    """Return a list of 2-D masked arrays, NaN masked, as float64 if `convert`."""
    if not is_series(images):
        images = unwrap_tensor(images)
        images = np.ma.asarray(images) if np.ma.isMA(images) else np.asarray(images)
        if images.ndim == 3 and images.shape[-1] in (3, 4) and images.shape[-2] > 4:
            raise ValueError(f"images of shape {images.shape} seem to have colours: use skimage.color.rgb2gray")
        images = [images] if images.ndim == 2 else list(images) if images.ndim == 3 else [images]
    if not len(images):
        raise ValueError("there must be at least one image, got none")
    found = []
    for index, image in enumerate(images):
        image = np.ma.asarray(unwrap_tensor(image))
        if image.ndim != 2 or image.dtype.kind not in "biuf" or image.size == 0:
            raise ValueError(
                f"image {index} must be a 2-D array of grey levels, got shape {image.shape} of dtype {image.dtype}"
            )
        if np.isinf(image.compressed()).any():
            raise ValueError(f"image {index} holds infinite intensities: mask them")
        if image.dtype.kind == "f":
            image = np.ma.masked_invalid(image)
        found.append(image.astype(np.float64) if convert else image)
    return found
