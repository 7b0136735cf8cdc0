"""The log of a server command: where it goes, its levels and its format."""

from __future__ import annotations

import copy
import logging

from temporalio.exceptions import ApplicationError

from stepway.vault.redaction import RedactingFormatter
from stepway_tracking.record.errors import STEP_FAILED

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

QUIET = (
    "alembic",
    "asyncio",
    "asyncpg",
    "copier",
    "dulwich",
    "filelock",
    "httpcore",
    "httpx",
    "lightkube",
    "plumbum",
    "redis",
    "sqlalchemy",
    "stepway",
    "stepway_tracking",
    "temporalio",
    "urllib3",
    "uvicorn",
)
"""Loggers of Stepway and of the libraries it uses: they log warnings and errors only, unless they
have a level."""


def log_to(handler: logging.Handler, *, alone: bool = False) -> None:
    """Write warnings and errors to this handler; `alone` removes those that write elsewhere.

    Other loggers than those in QUIET log from INFO, for handlers that take it, such as the one of
    steps' logs.
    """
    root = logging.getLogger()
    handler.setFormatter(LogFormatter())
    handler.setLevel(logging.WARNING)
    if alone:
        for other in [each for each in root.handlers if isinstance(each, logging.StreamHandler)]:
            root.removeHandler(other)
            other.close()
        root.addHandler(handler)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in QUIET:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)


class LogFormatter(RedactingFormatter):
    """Redacts records, and formats the expected failure of a step as one line without a stack."""

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ApplicationError) and error.type == STEP_FAILED:
            # Other handlers get the record with its stack.
            record = copy.copy(record)
            record.msg = " ".join(f"{record.getMessage()}: {error.message}".split())
            record.args = record.exc_info = record.exc_text = record.stack_info = None
        return super().format(record)
