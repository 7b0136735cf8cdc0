"""The steps: plain Temporal activities, which do not know that they are recorded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from temporalio import activity

from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, SubStep


@dataclass(frozen=True)
class Release:
    """What is released; `project_id` is the record's, a UUID."""

    project_id: str
    service: str
    version: str


@dataclass(frozen=True)
class Image:
    """What `build_image` makes: it becomes the step's metadata."""

    name: str
    layers: int


@activity.defn
async def run_tests(release: Release) -> None:
    """Fail at the first attempt, as tests do: the attempt is kept, and Temporal tries again."""
    for percent in range(0, 100, 25):
        activity.heartbeat(Progress(percent, f"{percent} of 100 tests"))
        await asyncio.sleep(0.1)
    if activity.info().attempt == 1:
        raise RuntimeError("test_checkout is flaky")


@activity.defn
async def build_image(release: Release) -> Image:
    """Report parts of a step."""
    parts = ("fetch", "compile", "pack")
    for done, part in enumerate(parts):
        for percent in (0, 50, 100):
            whole = (100 * done + percent) // len(parts)
            activity.heartbeat(Progress(whole, part, SubStep(part, part.title(), percent)))
            await asyncio.sleep(0.1)
    return Image(f"{release.service}:{release.version}", layers=3)


@activity.defn
async def announce(release: Release) -> None:
    """Refuse what no second attempt could mend, and say what to do about it."""
    if not release.version:
        raise step_error("The release has no version.", remedy="Give one.", retry=False)
