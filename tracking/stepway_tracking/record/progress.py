"""What a step may say while it runs, and how it says that there was nothing to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SubStep:
    """A named part of a step, shown below it; the part before it ends when the next one begins."""

    name: str
    display_name: str
    percent: int = 0


@dataclass(frozen=True)
class Progress:
    """How far a step is, 0 to 100: `activity.heartbeat(Progress(40, "cloning"))`."""

    percent: int
    message: str = ""
    sub_step: SubStep | None = None


@dataclass(frozen=True)
class Skipped:
    """A step's result when there was nothing to do; `skipped` is the reason people read."""

    skipped: str
