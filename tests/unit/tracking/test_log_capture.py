"""The handler that captures logs does not change what the process writes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROCESS = """
import logging
from stepway_tracking.logs.capture import CapturingHandler

{before}
logging.getLogger("acme.before").warning("before")
handlers = [CapturingHandler() for _ in range({count})]
for handler in handlers:
    logging.getLogger().addHandler(handler)
logging.getLogger("acme").info("an info")
logging.getLogger("acme").warning("a warning")
logging.getLogger("acme.deep").error("an error of %s", "acme")
logging.getLogger().warning("of the root")
for handler in handlers:
    logging.getLogger().removeHandler(handler)
"""


def output(before: str, count: int) -> list[str]:
    """What a process with so many handlers writes that sets up logging so."""
    run = subprocess.run(
        [sys.executable, "-c", PROCESS.format(before=before, count=count)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == ""
    return run.stderr.splitlines()


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
    assert [output(before, count) for count in (0, 1, 2)] == [expected] * 3
