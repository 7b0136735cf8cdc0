"""Steps for benches; workers load them by STEPWAY_STEP_MODULES."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity

from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources

LONGEST = 300.0

LINE = "Step 7/12: RUN apt-get install --yes build-essential libpq-dev python3-dev " + "." * 20
"""About 100 characters."""

UNIT = bytes(1_500_000)
"""Its hash takes about a millisecond."""


@dataclass(frozen=True)
class StepInput:
    """Input of all these steps: `seconds` for `pause`, `file` for `beat`.

    `log` logs `lines`, `rate` of them a second; `work` does `lines` units of work, and logs a line
    after each if `logs`. Both write into `file`.
    """

    project: ProjectRef
    seconds: float = 0.0
    file: str = ""
    lines: int = 0
    rate: int = 0
    logs: bool = False


@dataclass(frozen=True)
class StepResult:
    """Result of all these steps."""

    value: str = "done"


@activity.defn
async def noop(given: StepInput) -> StepResult:
    """Return immediately."""
    return StepResult()


@activity.defn
async def pause(given: StepInput) -> StepResult:
    """Sleep for `seconds`, like a call to another system."""
    await asyncio.sleep(given.seconds)
    return StepResult()


@activity.defn
def beat(given: StepInput) -> StepResult:
    """Append the start time of each attempt to `file`; the first attempt never completes."""
    with Path(given.file).open("a") as starts:
        starts.write(f"{os.getpid()} {time.monotonic()}\n")
    end = time.monotonic() + LONGEST
    while activity.info().attempt == 1 and time.monotonic() < end:
        activity.heartbeat()
        time.sleep(0.1)
    return StepResult()


@activity.defn
async def log(given: StepInput) -> StepResult:
    """Log at a steady rate; `file` gets the project and the time of the first line."""
    began, done = time.monotonic(), 0
    begun = json.dumps({"project": given.project.id, "began": began})
    await asyncio.to_thread(Path(given.file).write_text, begun)
    while done < given.lines:
        due = min(given.lines, int((time.monotonic() - began) * given.rate) + 1)
        for number in range(done, due):
            activity.logger.info("%s %s", number, LINE)
        done = due
        await asyncio.sleep(0.005)
    return StepResult()


@activity.defn
def work(given: StepInput) -> StepResult:
    """Do units of work that take about a millisecond; `file` gets the seconds of all."""
    began = time.monotonic()
    for number in range(given.lines):
        hashlib.sha256(UNIT)
        if given.logs:
            activity.logger.info("%s %s", number, LINE)
    Path(given.file).write_text(str(time.monotonic() - began))
    return StepResult()


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """The activities of this module."""
    return (noop, pause, beat, log, work)
