"""Memory-mapped arrays: which of their pages may be given back."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np


def release_pages(X: Any) -> None:
    """Give back the pages of a memory-mapped X read so far, so that reading it whole does not fill the memory.

    The kernel then reads them from the file again. Pages of a private mapping (mode "c", anonymous memory) may hold
    what no file holds: they stay.
    """
    base, shared = X, False
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            shared = base.mode in ("r", "r+", "w+")
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise") and (shared or _is_read_only(base)):
        base.madvise(mmap.MADV_DONTNEED)


def _is_read_only(mapping: mmap.mmap) -> bool:
    with memoryview(mapping) as view:
        return view.readonly
