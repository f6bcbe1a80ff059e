"""Checks of memory before arrays are allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike


def check_memory(
    shape: Sequence[int], dtype: DTypeLike, what: str, *, copies: int = 1, n_samples: int | None = None
) -> None:
    """Raise MemoryError if arrays do not fit into this machine, before they are allocated.

    Parameters
    ----------
    shape : tuple of int
        Shape of the arrays.
    dtype : dtype
        Type of the arrays.
    what : str
        Name of the arrays in the message.
    copies : int, default=1
        Number of arrays at a time.
    n_samples : int, default=None
        Number of rows of X, if the last axis counts its columns. With far more columns than rows, the message says that
        X may be transposed.

    Raises
    ------
    MemoryError
        If the arrays need more memory than the machine has, or than the limit of this process.
    """
    n_bytes = copies * math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes <= room():
        return
    several = f" and {copies - 1} more like it" if copies > 1 else ""
    cause = ""
    if n_samples is not None and shape[-1] > 10 * n_samples:
        cause = (
            f". X has {n_samples} configurations (rows) of {shape[-1]} sites (columns): if rows and columns are "
            "exchanged, pass X.T"
        )
    raise MemoryError(f"{what} of shape {tuple(shape)}{several} would need about {n_bytes / 2**30:,.0f} GiB{cause}")


def room() -> int:
    """Return the bytes that this process may use: the machine's memory, or a smaller limit of its address space."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**40
    try:
        import resource
    except ImportError:
        return total
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return total if limit == resource.RLIM_INFINITY else min(total, limit)
