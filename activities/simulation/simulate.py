"""simulate: a step that only takes time, for demos and for unfinished blueprints."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.project import ProjectRef
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, SubStep

LONGEST = 3600.0
"""Maximum seconds."""

TICK = 0.25
"""Seconds between two heartbeats."""

FAILS_AT = 0.6
"""Share of the time after which a failing attempt fails."""


@dataclass(frozen=True)
class SimulateInput:
    """The step takes `seconds` times `pace`: 0 to 3600 seconds in total.

    `parts` become consecutive sub-steps; `messages` are shown one after the other. The first
    `failing_attempts` attempts fail with `error`. With `broken` the step fails without retries.
    """

    project: ProjectRef
    seconds: float = 5
    pace: float = 1
    parts: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    failing_attempts: int = 0
    error: str = "A simulated failure"
    broken: bool = False
    remedy: str = ""


@dataclass(frozen=True)
class Simulated:
    """The simulated duration in seconds."""

    seconds: float


@activity.defn
async def simulate(given: SimulateInput) -> Simulated:
    """Wait; meanwhile report progress, sub-steps and messages."""
    seconds = given.seconds * given.pace
    if not 0 <= seconds <= LONGEST:
        raise step_error(
            f"Cannot simulate a step of {seconds:g} s",
            remedy=f"Set `seconds` and `pace` so that their product is 0 to {LONGEST:g}.",
            retry=False,
        )
    fails = given.broken or activity.info().attempt <= given.failing_attempts
    ticks = max(1, round(seconds / TICK))
    for tick in range(ticks):
        share = tick / ticks
        if fails and share >= FAILS_AT:
            raise _failure(given)
        activity.heartbeat(_progress(given, share))
        await asyncio.sleep(seconds / ticks)
    if fails:
        raise _failure(given)
    return Simulated(seconds)


def _failure(given: SimulateInput) -> ApplicationError:
    return step_error(given.error, remedy=given.remedy, retry=not given.broken)


def _progress(given: SimulateInput, share: float) -> Progress:
    message, _ = _current(given.messages, share)
    part, of_part = _current(given.parts, share)
    sub_step = SubStep(_identifier(part), part, round(100 * of_part)) if part else None
    return Progress(round(100 * share), message or part, sub_step)


def _current(texts: Sequence[str], share: float) -> tuple[str, float]:
    """Return the current text ("" if there are none) and the elapsed share of its time, 0 to 1."""
    if not texts:
        return "", share
    turn = share * len(texts)
    return texts[int(turn)], turn % 1


def _identifier(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "part"
