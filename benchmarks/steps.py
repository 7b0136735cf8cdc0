"""The steps that benches run; loaded into workers by STEPWAY_STEP_MODULES."""

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
    """What each step here takes; seconds, and a file where one is written."""

    project: ProjectRef
    seconds: float = 0.0
    file: str = ""


@dataclass(frozen=True)
class StepResult:
    """What each step here returns."""

    value: str = "done"


@activity.defn
async def noop(given: StepInput) -> StepResult:
    """Return at once."""
    return StepResult()


@activity.defn
async def pause(given: StepInput) -> StepResult:
    """Take `seconds`, as a call of another system does."""
    await asyncio.sleep(given.seconds)
    return StepResult()


@activity.defn
def beat(given: StepInput) -> StepResult:
    """Write when each attempt begins to `file`; heartbeat for ever in the first one."""
    with Path(given.file).open("a") as starts:
        starts.write(f"{os.getpid()} {time.monotonic()}\n")
    end = time.monotonic() + LONGEST
    while activity.info().attempt == 1 and time.monotonic() < end:
        activity.heartbeat()
        time.sleep(0.1)
    return StepResult()


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """All of them."""
    return (noop, pause, beat)
