"""The log of the server commands."""

from __future__ import annotations

import logging
import sys

from stepway.cli.run.logs import LogFormatter
from stepway.steps import step_error


def logged(error: Exception) -> str:
    """The text of the record that Temporal logs when an activity fails with this error."""
    try:
        raise error
    except Exception:
        record = logging.LogRecord(
            "temporalio.activity",
            logging.WARNING,
            __file__,
            1,
            "Completing activity as failed (%s)",
            ("push",),
            sys.exc_info(),
        )
    return LogFormatter().format(record)


def test_expected_failure_of_a_step_is_one_line_without_a_stack() -> None:
    text = logged(step_error("The registry\nrefused the image.", remedy="Sign in."))
    assert text.endswith(
        "temporalio.activity: Completing activity as failed (push): The registry refused the image."
    )
    assert "Traceback" not in text and "\n" not in text


def test_unexpected_failure_keeps_its_stack() -> None:
    assert "Traceback" in logged(ValueError("bug"))
