"""From images of spins to the configurations of windows."""

from __future__ import annotations

import math
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._utils.checks import check_choice, check_lengths
from .._utils.configurations import unwrap_tensor
from .._utils.warn import warn

_NARROW = 2  # bytes


def extract_windows(
    images: Any,
    window_shape: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    masked: str = "raise",
) -> tuple[NDArray, NDArray[np.intp]]:
    """Cut images into windows, the configurations of a small lattice.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width) or (height, width), or list of 2-D arrays
        Images of spins, such as those of :class:`DomainBinarizer`.
    window_shape : int or tuple of int
        Height and width of a window in sites; an integer means a square.
    stride : int or tuple of int, default=None
        Distance of neighbouring windows; with None they tile the image. Overlapping windows are not independent.
    masked : {"raise", "skip"}, default="raise"
        What to do with windows that contain a masked or NaN site: raise ValueError, or leave them out and warn with
        their number.

    Returns
    -------
    X : ndarray of shape (n_windows, n_sites)
        Configurations, sites in C order, of the type of the images.
    groups : ndarray of shape (n_windows,)
        Index of the image of each window, for :class:`~sklearn.model_selection.GroupKFold`.

    Raises
    ------
    ValueError, TypeError
        If a window is larger than an image, an argument is out of range, or sites are masked and `masked` is "raise".

    Warns
    -----
    UserWarning
        If windows are skipped.

    Notes
    -----
    A window is not a small system: spins at its edge have neighbours outside. :class:`LocalHamiltonian` learns from
    inner sites, which have all of their neighbours inside. :class:`MADEHamiltonian` learns the law of whole windows,
    which does not scale with the temperature, and does not have the symmetry "translation".

    Examples
    --------
    >>> import numpy as np
    >>> from skhamiltonian import extract_windows
    >>> X, groups = extract_windows(np.ones((2, 40, 50), dtype=np.int8), 16)
    >>> X.shape, groups
    ((12, 256), array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]))
    """
    shape = check_lengths(window_shape, "window_shape", 2)
    steps = shape if stride is None else check_lengths(stride, "stride", 2)
    check_choice(masked, "masked", ("raise", "skip"))
    windows, gaps, groups = [], [], []
    for index, image in enumerate(grey_images(images)):
        if any(length < side for length, side in zip(image.shape, shape, strict=True)):
            raise ValueError(f"window_shape must fit into image {index} of shape {image.shape}, got {shape}")
        cut = (np.ma.getdata(image), np.ma.getmaskarray(image))
        data, mask = (
            np.lib.stride_tricks.sliding_window_view(part, shape)[:: steps[0], :: steps[1]].reshape(
                -1, math.prod(shape)
            )
            for part in cut
        )
        windows.append(data)
        gaps.append(mask.any(axis=1))
        groups.append(np.full(len(data), index))
    X, gap, group = np.concatenate(windows), np.concatenate(gaps), np.concatenate(groups)
    if gap.any():
        found = f"{gap.sum()} of {len(gap)} windows hold masked or NaN sites"
        if masked == "raise":
            raise ValueError(f"{found}: crop the images, or pass masked='skip' to leave these windows out")
        warn(f"{found} and are skipped")
    return X[~gap], group[~gap]


def is_series(images: Any) -> bool:
    """Return whether `images` is a list of images, rather than an array or the nested list of one image."""
    return isinstance(images, (list, tuple)) and (len(images) == 0 or np.ndim(images[0]) > 1)


def intensities(images: Any) -> list[np.ma.MaskedArray]:
    """Return grey images as float64; raise ValueError if they have intensities of different types.

    Narrow integers have a range of their own, 0 to 255 for example, so images of several types have no common
    threshold. All other numbers count as one type, "float".
    """
    found = grey_images(images)
    types = {
        image.dtype.name if image.dtype.kind in "iub" and image.dtype.itemsize <= _NARROW else "float"
        for image in found
    }
    if len(types) > 1:
        raise ValueError(
            f"images must have intensities of one type, got {' and '.join(sorted(types))}, whose ranges differ: "
            "convert them, for instance with skimage.util.img_as_float"
        )
    return [np.ma.asarray(image, np.float64) for image in found]


def grey_images(images: Any) -> list[np.ma.MaskedArray]:
    """Return a list of 2-D masked arrays; NaN is masked."""
    first = images[0] if isinstance(images, (list, tuple)) and len(images) else images
    if isinstance(first, (str, PathLike)):
        raise TypeError(f"images must hold arrays, got the path {str(first)!r}: read it first (skimage.io.imread)")
    if not is_series(images):
        images = unwrap_tensor(images)
        images = np.ma.asarray(images) if np.ma.isMA(images) else np.asarray(images)
        if images.ndim == 3 and images.shape[-1] in (1, 3, 4) and images.shape[-2] > 4:
            remedy = "one channel: pass images[..., 0]"
            if images.shape[-1] > 1:
                remedy = "colours: use skimage.color.rgb2gray"
            raise ValueError(f"images must be grey, got shape {images.shape}, which has {remedy}")
        images = [images] if images.ndim == 2 else list(images) if images.ndim == 3 else [images]
    if not len(images):
        raise ValueError("images must hold at least one image, got none")
    found = []
    for index, image in enumerate(images):
        image = np.ma.asarray(unwrap_tensor(image))
        if image.ndim != 2 or image.dtype.kind not in "biuf" or image.size == 0:
            raise ValueError(
                f"image {index} must be a 2-D array of grey levels, got shape {image.shape} of dtype {image.dtype}; "
                "colours become grey by skimage.color.rgb2gray"
            )
        if np.isinf(image.compressed()).any():
            raise ValueError(f"image {index} must have finite intensities, got infinity: mask these pixels")
        if image.dtype.kind == "f":
            image = np.ma.masked_invalid(image)
        found.append(image)
    return found
