"""Training that does not depend on the global state of torch, and does not change it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_FORKED_WITHOUT_EXEC = 0x40  # PF_FORKNOEXEC of Linux


def _was_forked() -> bool:
    """Return whether this process was forked from a parent that had imported torch."""
    try:
        flags = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[6])
    except (OSError, ValueError, IndexError):
        return False
    return "torch" in sys.modules and bool(flags & _FORKED_WITHOUT_EXEC)


_process = {"forked": _was_forked()}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _process.update(forked=True))


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Train with the settings of a fresh process: gradients, no autocast, and the CPU as default device.

    In a forked child torch runs on one thread: the threads of its pool exist only in the parent, and the child would
    wait for them without end. The settings are local to the calling thread and end with the context. The default dtype
    belongs to all threads and does not change, so code in this context must name the dtype of every new tensor.
    """
    import torch

    n_threads = torch.get_num_threads()
    with contextlib.ExitStack() as stack:
        if _process["forked"]:
            torch.set_num_threads(1)
            stack.callback(torch.set_num_threads, n_threads)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))  # only if needed, because it slows down every operation
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
