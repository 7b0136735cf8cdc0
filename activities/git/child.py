"""Child processes that end: waiting for one in a thread, with heartbeats."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

BEAT_EVERY = 1.0

_SET_SIGNAL_OF_PARENTS_DEATH = 1


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends, on Linux."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_SET_SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)


def waited(process: subprocess.Popen[bytes], seconds: float, beat: Callable[[], None]) -> int:
    """The exit status of a process that leads a group, calling `beat` about once a second.

    However this ends, cancelled included, nothing of the group is left. Raises TimeoutError.
    """
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(min(BEAT_EVERY, left))
            beat()
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    raise TimeoutError(f"the process did not end within {seconds:.0f} s")
