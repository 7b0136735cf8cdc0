"""Steps that tests control; workers load them with STEPWAY_STEP_MODULES.

They communicate with the test through files in `folder`, because the worker may be another process:
each run appends a line to `<step>.runs`, and `gate` waits for `<name>.open`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity

from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped, SubStep

LONGEST_WAIT = 120.0


@dataclass(frozen=True)
class StepInput:
    """The input of all steps; each uses some of the fields."""

    project: ProjectRef
    folder: str = ""
    name: str = "step"
    times: int = 0
    value: Any = None
    seconds: float = 0.0


@dataclass(frozen=True)
class StepResult:
    """The result of all steps."""

    name: str
    value: Any = None
    url: str = ""


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """Return all activities of this module."""
    return (
        *(
            work,
            large,
            flaky,
            broken,
            verbose,
            fixable,
            limited,
            gate,
            wait_for_gate,
            silent,
            say,
            leave,
            undo,
            stubborn_undo,
            noop,
        ),
        *(deaf_coroutine, deaf_thread, deaf_loop),
    )


def _ran(given: StepInput) -> int:
    """Count a run of a step; return the number of runs so far."""
    if not given.folder:
        return 0
    file = Path(given.folder) / f"{given.name}.runs"
    with file.open("a") as runs:
        runs.write(f"{activity.info().attempt}\n")
    return len(file.read_text().splitlines())


@activity.defn
async def noop(given: StepInput) -> StepResult:
    """Return at once."""
    return StepResult(given.name, given.value)


@activity.defn
async def large(given: StepInput) -> StepResult:
    """Return a text of `times` characters."""
    _ran(given)
    return StepResult(given.name, "x" * given.times)


@activity.defn
async def work(given: StepInput) -> StepResult:
    """Report progress for `seconds`, then complete."""
    _ran(given)
    for percent in range(0, 100, 20):
        activity.heartbeat(Progress(percent, f"at {percent}"))
        await asyncio.sleep(given.seconds / 5)
    return StepResult(given.name, given.value)


@activity.defn
async def flaky(given: StepInput) -> StepResult:
    """Fail `times` times, then complete."""
    runs = _ran(given)
    if runs <= given.times:
        raise RuntimeError(f"no luck in run {runs}")
    return StepResult(given.name, runs)


@activity.defn
async def broken(given: StepInput) -> StepResult:
    """Fail at once, without retries."""
    _ran(given)
    raise step_error("The host refused the key.", remedy="Add the key to the host.", retry=False)


@activity.defn
async def verbose(given: StepInput) -> StepResult:
    """Fail with an error and a stack of a megabyte unless the file `verbose.fixed` exists."""
    if (Path(given.folder) / "verbose.fixed").exists():
        return StepResult(given.name)
    try:
        raise RuntimeError("c" * 500_000)
    except RuntimeError as cause:
        details = {"output": "o" * 500_000}
        remedy = "r" * 500_000
        raise step_error("e" * 1_000_000, remedy=remedy, details=details) from cause


@activity.defn
async def fixable(given: StepInput) -> StepResult:
    """Fail without retries unless `value` is "good" or the file `<name>.fixed` exists."""
    _ran(given)
    if given.value != "good" and not (Path(given.folder) / f"{given.name}.fixed").exists():
        raise step_error(
            f"The value {given.value} is no good.", remedy="Give another.", retry=False
        )
    return StepResult(given.name, given.value)


@activity.defn
async def limited(given: StepInput) -> StepResult:
    """Ask to wait for `seconds` until the file `<name>.fixed` exists."""
    _ran(given)
    if not (Path(given.folder) / f"{given.name}.fixed").exists():
        raise step_error("The host's limit is used up.", retry_after=given.seconds)
    return StepResult(given.name)


@activity.defn
async def gate(given: StepInput) -> StepResult:
    """Heartbeat until the file `<name>.open` exists; fail after `seconds`, or LONGEST_WAIT."""
    _ran(given)
    end = time.monotonic() + (given.seconds or LONGEST_WAIT)
    percent = 0
    while not (Path(given.folder) / f"{given.name}.open").exists():
        if time.monotonic() > end:
            raise step_error("The gate was never opened.", retry=False)
        percent = min(percent + 1, 99)
        activity.heartbeat(Progress(percent, "waiting at the gate"))
        await asyncio.sleep(0.05)
    return StepResult(given.name)


@activity.defn
async def wait_for_gate(given: StepInput) -> StepResult:
    """As `gate`, in the queue of steps that only wait."""
    return await gate(given)


@activity.defn
async def silent(given: StepInput) -> StepResult:
    """Send no heartbeat for `seconds` in the first run; complete at once in later runs."""
    if _ran(given) <= max(given.times, 1):
        await asyncio.sleep(given.seconds)
    return StepResult(given.name)


@activity.defn
def say(given: StepInput) -> StepResult:
    """Report sub-steps and progress from a thread."""
    _ran(given)
    for part in ("first", "second"):
        for percent in (0, 50, 100):
            activity.heartbeat(
                Progress(percent // 2, part, SubStep(part, part.capitalize(), percent))
            )
    return StepResult(given.name)


@activity.defn
async def leave(given: StepInput) -> StepResult | Skipped:
    """Return Skipped."""
    _ran(given)
    return Skipped("there was nothing to do")


@activity.defn
async def undo(given: StepInput) -> StepResult:
    """Record that the step was rolled back."""
    with (Path(given.folder) / "undone").open("a") as undone:
        undone.write(f"{given.name}\n")
    return StepResult(given.name)


@activity.defn
async def stubborn_undo(given: StepInput) -> StepResult:
    """Refuse to roll the step back."""
    raise step_error("Somebody has changed it since.", remedy="Remove it by hand.", retry=False)


@activity.defn
async def deaf_coroutine(given: StepInput) -> None:
    """Ignore every cancel for `seconds`, by default LONGEST_WAIT, or until `<name>.open` exists."""
    _ran(given)
    end = time.monotonic() + (given.seconds or LONGEST_WAIT)
    opened = Path(given.folder) / f"{given.name}.open"
    while time.monotonic() < end and not opened.exists():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)


@activity.defn
def deaf_thread(given: StepInput) -> None:
    """Block a thread for LONGEST_WAIT seconds."""
    _ran(given)
    time.sleep(LONGEST_WAIT)


@activity.defn
async def deaf_loop(given: StepInput) -> None:
    """Block the worker's event loop for LONGEST_WAIT seconds, as no step may."""
    _ran(given)
    time.sleep(LONGEST_WAIT)  # noqa: ASYNC251 - the fault that is tested
