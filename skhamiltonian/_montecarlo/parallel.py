"""Threads that stop together, and count their work together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from typing import Any

from joblib import Parallel, delayed

from .._utils.progress import Progress


class Watch(Event):
    """Set when another thread was interrupted; chains also count their sweeps through it."""

    def __init__(self, progress: Progress | None = None) -> None:
        super().__init__()
        self.progress = progress

    def expect(self, n_sweeps: int) -> None:
        """Add sweeps that were not planned."""
        if self.progress is not None:
            self.progress.expect(n_sweeps)

    def done(self, n_sweeps: int) -> None:
        """Count sweeps."""
        if self.progress is not None:
            self.progress.done(n_sweeps)


@dataclass(frozen=True)
class Threads:
    """A number of threads as in joblib, and the progress of all their work if it is to be shown."""

    n_jobs: int | None = None
    progress: Progress | None = None

    def run(self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Call function(watch, *each) in threads (kernels release the interpreter's lock); Ctrl-C sets `watch`."""
        watch, n_jobs = Watch(self.progress), self.n_jobs
        try:
            return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(watch, *each) for each in arguments)
        except BaseException:
            watch.set()
            raise


ONE_THREAD = Threads()
