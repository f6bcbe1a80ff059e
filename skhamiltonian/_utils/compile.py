"""Compilation of all kernels by numba, with the same options."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba

# LLVM may fuse multiply-adds. NaN and infinity keep their IEEE meaning, so that checks find a NaN energy.
_FASTMATH = {"contract", "nsz", "arcp"}
# Python's check for division by zero is a branch, and loops with branches are not vectorised.
_OPTIONS: dict[str, Any] = {"nopython": True, "nogil": True, "fastmath": _FASTMATH, "error_model": "numpy"}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` with numba, with a cache on disk if a directory is writable.

    ``compiled.py_func`` is the plain Python function. Without a writable cache directory (read-only installation, no
    home) each process compiles again.
    """
    try:
        return _healing(numba.jit(cache="NUMBA_DISABLE_CACHE" not in os.environ, **_OPTIONS)(function))
    except RuntimeError:  # numba: "cannot cache function ...: no locator available"
        return numba.jit(**_OPTIONS)(function)


def _healing(compiled: Any) -> Any:
    """Delete a cache that cannot be read, for example after a crash or on a full disk, and compile again."""
    cache = getattr(compiled, "_cache", None)  # None without the compiler
    if cache is not None:
        load = cache.load_overload

        def load_or_delete(*args: Any) -> Any:
            try:
                return load(*args)
            except Exception:  # of any type: from pickle, EOFError, from the linker
                cache.flush()
                return None

        cache.load_overload = load_or_delete
    return compiled
