"""Steps for benches; workers load them by STEPWAY_STEP_MODULES."""

from __future__ import annotations

import asyncio
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


@dataclass(frozen=True)
class StepInput:
    """Input of all these steps: `seconds` for `pause`, `file` for `beat`."""

    project: ProjectRef
    seconds: float = 0.0
    file: str = ""


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


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """The activities of this module."""
    return (noop, pause, beat)
