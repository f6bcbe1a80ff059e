"""Memory-mapped arrays: release of the pages that were read."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np


def release_pages(X: Any) -> None:
    """Release the pages of a memory-mapped X, so that a pass over X does not fill the memory.

    The operating system reads them from the file again when they are needed. Pages of a private mapping (mode "c",
    anonymous memory) may differ from the file: they are kept.
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
