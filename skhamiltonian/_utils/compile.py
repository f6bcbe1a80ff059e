"""One spelling of numba's compiler flags for every kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba

# Contraction lets LLVM fuse multiply-adds; NaN and infinity keep their IEEE meaning,
# so that a NaN energy can be seen and refused.
_FASTMATH = {"contract", "nsz", "arcp"}
# Python's check for division by zero is a branch, and no loop with a branch vectorises.
_OPTIONS: dict[str, Any] = {"nopython": True, "nogil": True, "fastmath": _FASTMATH, "error_model": "numpy"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` with numba, cached on disk where a place can be written.

    The plain Python function stays reachable as ``compiled.py_func``. Without a writable
    cache directory (read-only installation, no home) each process compiles anew.
    """
    try:
        return _healing(numba.jit(cache="NUMBA_DISABLE_CACHE" not in os.environ, **_OPTIONS)(function))
    except RuntimeError:  # numba: "cannot cache function ...: no locator available"
        return numba.jit(**_OPTIONS)(function)


def _healing(compiled: Any) -> Any:
    """Let numba forget a cache that cannot be read, as a crash or a full disk leave it, and compile anew."""
    cache = getattr(compiled, "_cache", None)  # none without the compiler
    if cache is not None:
        load = cache.load_overload

        def load_or_forget(*args: Any) -> Any:
            try:
                return load(*args)
            except Exception:  # of any type: pickle's, EOFError, those of the linker
                cache.flush()
                return None

        cache.load_overload = load_or_forget
    return compiled
