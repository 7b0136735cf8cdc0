"""The format of the log of a server command."""

from __future__ import annotations

import copy
import logging

from temporalio.exceptions import ApplicationError

from stepway.vault.redaction import RedactingFormatter
from stepway_tracking.record.errors import STEP_FAILED

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


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
