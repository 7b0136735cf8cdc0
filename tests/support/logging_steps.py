"""Steps that write logs; workers load them with STEPWAY_STEP_MODULES."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio import activity

from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources
from stepway.steps import captured_output

LOGGER = logging.getLogger("acme.deploy")


@dataclass(frozen=True)
class LogInput:
    """Lines to log, and a file that the step waits for afterwards."""

    project: ProjectRef
    folder: str = ""
    name: str = ""
    lines: list[str] = field(default_factory=list)
    times: int = 1
    gate: str = ""
    error: str = ""


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """Return all activities of this module."""
    return (log_lines, log_in_thread, print_lines)


@activity.defn
async def log_lines(given: LogInput) -> None:
    """Log in the coroutine, in a task and in a thread of it."""
    for _ in range(given.times):
        for line in given.lines:
            activity.logger.info(line)
    await asyncio.create_task(_log_in_task())
    await asyncio.to_thread(LOGGER.warning, "from a thread")
    gate = Path(given.folder) / f"{given.gate}.open"
    while given.gate and not gate.exists():  # noqa: ASYNC110 - another process makes the file
        await asyncio.sleep(0.05)
    if given.error:
        try:
            raise ValueError(given.error)
        except ValueError:
            LOGGER.exception("it failed")
            raise


async def _log_in_task() -> None:
    LOGGER.error("from a task")


@activity.defn
def log_in_thread(given: LogInput) -> None:
    """Log in a step that is a plain function."""
    for line in given.lines:
        activity.logger.info(line)


@activity.defn
def print_lines(given: LogInput) -> None:
    """Print the lines; the first outside of what is captured."""
    first, *others = given.lines
    print(first)
    with captured_output():
        for line in others:
            print(line)
        print("bad", file=sys.stderr)
