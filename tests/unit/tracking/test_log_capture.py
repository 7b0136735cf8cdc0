"""The handler that captures logs does not change what the process writes."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

PROCESS = """
import logging
from contextlib import ExitStack
from stepway_tracking.logs.attempt_log import AttemptKey, AttemptLog
from stepway_tracking.logs.capture import captured_logging, capturing

{before}
logging.getLogger("acme.before").warning("before")
with ExitStack() as stack:
    for _ in range({count}):
        stack.enter_context(captured_logging())
    log = AttemptLog(AttemptKey("project", "step", "run", "1", 1))
    with capturing(log):
        logging.getLogger("acme").info("an info")
        logging.getLogger("acme").warning("a warning")
        logging.getLogger("acme.deep").error("an error of %s", "acme")
        logging.getLogger().warning("of the root")
assert not [handler for handler in logging.getLogger().handlers if "Captur" in str(handler)]
batch = log.take(1_000)
print([line.text for line in batch.lines] if batch else [])
"""


def output(before: str, count: int) -> tuple[list[str], list[str]]:
    """What a process that sets up logging so and captures so often writes, and its step's log."""
    run = subprocess.run(
        [sys.executable, "-c", PROCESS.format(before=before, count=count)],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stderr.splitlines(), ast.literal_eval(run.stdout)


ALL = ["before", "a warning", "an error of acme", "of the root"]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", ALL),
        ("logging.lastResort.setLevel(logging.ERROR)", ["an error of acme"]),
        ("logging.basicConfig(format='%(message)s')", ALL),
        ("logging.getLogger('acme').addHandler(logging.NullHandler())", ["of the root"]),
        (
            "logging.getLogger('acme').addHandler(logging.StreamHandler());"
            "logging.getLogger('acme').propagate = False",
            ALL,
        ),
    ],
    ids=["nothing", "its-level", "basic", "silenced", "own-handler"],
)
def test_warnings_and_errors_are_written_as_without_it(before: str, expected: list[str]) -> None:
    found = [output(before, count) for count in (0, 1, 2)]
    assert [written for written, _ in found] == [expected] * 3
    # The records of a logger that does not propagate them do not reach the handler.
    logged = ALL[-1:] if "propagate" in before else ALL[1:]
    assert [log for _, log in found] == [[], logged, logged]
