"""Threads that stop together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event
from typing import Any

from joblib import Parallel, delayed


def in_parallel(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    """Call function(stop, *each) in threads (kernels release the interpreter's lock); Ctrl-C sets `stop`."""
    stop = Event()
    try:
        return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(stop, *each) for each in arguments)
    except BaseException:
        stop.set()
        raise
