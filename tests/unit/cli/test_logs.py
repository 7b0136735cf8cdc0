"""The log of the server commands."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stepway.cli.run.logs import QUIET, LogFormatter, log_to
from stepway.steps import step_error


class Taking(logging.Handler):
    """Holds all records, as the handler of steps' logs takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def new_process() -> Iterator[logging.Logger]:
    """The root logger, with levels and handlers as a process has them at its start."""
    loggers = [logging.getLogger(name) for name in ("", *QUIET)]
    levels, handlers = [each.level for each in loggers], loggers[0].handlers[:]
    loggers[0].handlers.clear()
    for each in loggers:
        each.setLevel(logging.NOTSET)
    loggers[0].setLevel(logging.WARNING)
    try:
        yield loggers[0]
    finally:
        loggers[0].handlers[:] = handlers
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


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


def test_the_output_has_warnings_and_other_handlers_get_info() -> None:
    output, taking = io.StringIO(), Taking()
    with new_process() as root:
        logging.getLogger("httpcore").setLevel(logging.INFO)
        log_to(logging.StreamHandler(output))
        root.addHandler(taking)
        for name in ("acme", "httpx", "httpcore"):
            logging.getLogger(name).info("info of %s", name)
            logging.getLogger(name).warning("warning of %s", name)
    assert taking.texts == [
        "info of acme",
        "warning of acme",
        "warning of httpx",
        "info of httpcore",
        "warning of httpcore",
    ]
    assert "info of" not in output.getvalue()
    assert output.getvalue().count("warning of") == 3


def test_another_output_leaves_the_handler_of_steps_logs() -> None:
    first, second, taking = io.StringIO(), io.StringIO(), Taking()
    with new_process() as root:
        log_to(logging.StreamHandler(first))
        root.addHandler(taking)
        log_to(logging.StreamHandler(second), alone=True)
        logging.getLogger("acme").warning("told")
    assert first.getvalue() == ""
    assert second.getvalue().count("told") == 1
    assert taking.texts == ["told"]
