"""Captures what the code of an attempt logs, whatever logger or task it uses.

Threads belong to the attempt if they run in its context: `asyncio.to_thread` sees to it, other
threads need `contextvars.copy_context().run`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from stepway_tracking.logs.attempt_log import AttemptLog
from stepway_tracking.logs.line import Level

_CURRENT: ContextVar[AttemptLog | None] = ContextVar("stepway_attempt_log", default=None)


def current_log() -> AttemptLog | None:
    """The log of the attempt whose code is running; None outside of an attempt."""
    return _CURRENT.get()


@contextmanager
def capturing(log: AttemptLog) -> Iterator[AttemptLog]:
    """Send to `log` what the code inside logs, in its tasks and `asyncio.to_thread` too."""
    token = _CURRENT.set(log)
    try:
        yield log
    finally:
        _CURRENT.reset(token)
        log.close()


@contextmanager
def captured_logging() -> Iterator[None]:
    """Let the code of attempts log to their logs while the context is open.

    All contexts of a process share one handler, so that a line is added once.
    """
    global _open
    root = logging.getLogger()
    with _LOCK:
        _open += 1
        root.addHandler(_HANDLER)
    try:
        yield
    finally:
        with _LOCK:
            _open -= 1
            if not _open:
                root.removeHandler(_HANDLER)


class _CapturingHandler(logging.Handler):
    """Adds each record to the log of the attempt that has made it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_MessageFormatter())

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit the record, and write it where Python does in a process without handlers."""
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and self._is_alone(record.name):
            last.handle(record)
        return bool(super().handle(record))

    def _is_alone(self, name: str) -> bool:
        """Whether the records of a logger reach no other handler."""
        handlers: list[logging.Handler] = []
        # Without a logger of that name, the record was made by hand and given to the root.
        known = logging.Logger.manager.loggerDict.get(name)
        logger: logging.Logger | None = (
            known if isinstance(known, logging.Logger) else logging.getLogger()
        )
        while logger is not None:
            handlers += logger.handlers
            logger = logger.parent if logger.propagate else None
        return handlers == [self]

    def emit(self, record: logging.LogRecord) -> None:
        """Add the message, with the stack of its exception."""
        log = _CURRENT.get()
        if log is None or log.closed:
            return
        try:
            log.log(_level(record.levelno), self.format(record))
        except Exception:  # noqa: BLE001 - logging reports it, as for every handler
            self.handleError(record)


class _MessageFormatter(logging.Formatter):
    """The message without the details of the activity, which `activity.logger` appends."""

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        details = getattr(record, "temporal_activity", None)
        text = super().formatMessage(record)
        return text if details is None else text.removesuffix(f" ({details})")


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


_HANDLER = _CapturingHandler()
_LOCK = threading.Lock()
_open = 0
"""How many contexts of captured_logging are open."""
