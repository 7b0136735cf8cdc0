"""What an undo reports: what it took away, or why something was left behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class Removed:
    """What an undo has taken away; empty when there was nothing left to take."""

    removed: list[str] = field(default_factory=list)


def left_behind(what: str, reason: str) -> ApplicationError:
    """The error of an undo that refuses, because a person changed what it would take away."""
    return step_error(
        f"{what} was kept: {reason}",
        remedy="Check it, and remove it manually if it is no longer needed.",
        retry=False,
    )
