"""Sends what libraries print to the log of the attempt, where a step asks for it."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

from stepway_tracking.logs.capture import current_log
from stepway_tracking.logs.line import Stream

_CAPTURED: ContextVar[bool] = ContextVar("stepway_captured_output", default=False)
_LOCK = threading.Lock()


@contextmanager
def captured_output() -> Iterator[None]:
    """Inside, `print` and other writes to `sys.stdout` and `sys.stderr` go to the step's log.

    Only those of this step, its tasks and its `asyncio.to_thread`: other steps of the worker print
    as before. Other threads of the step need `contextvars.copy_context().run`.
    Programs that are started write past it; use the step `run_command`, or read their output.
    """
    with _LOCK:
        if not isinstance(sys.stdout, _Output):
            sys.stdout = _Output(sys.stdout, "stdout")
        if not isinstance(sys.stderr, _Output):
            sys.stderr = _Output(sys.stderr, "stderr")
    token = _CAPTURED.set(True)
    try:
        yield
    finally:
        _CAPTURED.reset(token)


class _Output(io.TextIOBase):
    """Standard output or error of the process, with the output of captured steps taken out."""

    def __init__(self, process: TextIO, stream: Stream) -> None:
        self._process = process
        self._stream = stream

    def write(self, text: str) -> int:
        log = current_log() if _CAPTURED.get() else None
        if log is None:
            return self._process.write(text)
        log.output(self._stream, text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        self._process.flush()

    def isatty(self) -> bool:
        return not _CAPTURED.get() and self._process.isatty()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._process.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._process.encoding

    @property
    def buffer(self) -> object:
        """What binary writes go to; it is the process's own."""
        return self._process.buffer
