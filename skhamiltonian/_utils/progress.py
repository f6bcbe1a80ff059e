"""Lines about what takes long: how far it is, and how long it still takes."""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import Any

from joblib import Parallel

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Lines such as ``MADEHamiltonian: epoch 3/20, loss 85.1 nats, about 40 s left``.

    With `verbose` 1 there is a line after the first step, about every five seconds, and after the last step; with 2
    after every step; with 0 none. If the task `is_often_short`, a run of less than five seconds prints nothing with 1.
    The time left follows from the rate after the first step, which may include a start that takes long. Without a
    number of steps, the time that has passed stands in its place.
    """

    def __init__(
        self, verbose: int, task: str, step: str, n_steps: int | None, *, is_often_short: bool = False
    ) -> None:
        self.verbose, self.task, self.step, self.n_steps = int(verbose), task, step, n_steps
        self._lock, self._done, self._start = Lock(), 0, time.monotonic()
        self._first: tuple[int, float] | None = None  # the steps and the time after the first report
        self._last_line = self._start if is_often_short else -math.inf
        self._is_silent = is_often_short

    def say(self, words: str) -> None:
        """Print a line of its own."""
        if self.verbose:
            print(f"{self.task}: {words}", flush=True)

    def expect(self, n: int) -> None:
        """Add steps to those that are to be done."""
        with self._lock:
            self.n_steps = (self.n_steps or 0) + n

    def done(self, n: int = 1, note: str = "") -> None:
        """Count steps, and print a line if it is time for one; threads may call this at once."""
        with self._lock:
            self._done += n
            now = time.monotonic()
            self._first = self._first or (self._done, now)
            is_last = self._done == self.n_steps and not self._is_silent
            if self.verbose > 1 or is_last or now - self._last_line >= _SECONDS_BETWEEN_LINES:
                self._last_line, self._is_silent = now, False
                self.say(self._line(now, note))

    def _line(self, now: float, note: str) -> str:
        total = "" if self.n_steps is None else f"/{self.n_steps}"
        words = [f"{self.step} {self._done}{total}"] + [note] * bool(note)
        if self.n_steps is None or self._done >= self.n_steps:
            return ", ".join([*words, _duration(now - self._start)])
        assert self._first is not None  # set before the first line
        n_first, first = self._first
        if self._done > n_first:
            seconds = (now - first) / (self._done - n_first) * (self.n_steps - self._done)
            words.append(f"about {_duration(seconds)} left")
        return ", ".join(words)


class ReportingParallel(Parallel):
    """joblib's Parallel, which tells a `Progress` about each task that is done."""

    def __init__(self, n_jobs: int | None, progress: Progress) -> None:
        super().__init__(n_jobs=n_jobs)
        self._progress, self._n_reported = progress, 0

    def print_progress(self) -> Any:
        """Report the tasks done since the last call."""
        n, self._n_reported = self.n_completed_tasks - self._n_reported, self.n_completed_tasks
        if n:
            self._progress.done(n)


def _duration(seconds: float) -> str:
    """Return a time in the largest unit of which there are at least two."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
