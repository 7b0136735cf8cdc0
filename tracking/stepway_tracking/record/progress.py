"""Progress that a step reports, and the result of a step that was skipped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SubStep:
    """A named part of a step, shown below it. It completes when the next sub-step begins."""

    name: str
    display_name: str
    percent: int = 0


@dataclass(frozen=True)
class Progress:
    """The progress of a step in percent: `activity.heartbeat(Progress(40, "cloning"))`."""

    percent: int
    message: str = ""
    sub_step: SubStep | None = None


@dataclass(frozen=True)
class Skipped:
    """The result of a step that had nothing to do; `skipped` is the reason that people read."""

    skipped: str
