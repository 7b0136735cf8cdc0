"""Results and errors of undo activities."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class Removed:
    """The result of an undo: names of the removed objects; empty if none was left."""

    removed: list[str] = field(default_factory=list)


def left_behind(what: str, reason: str) -> ApplicationError:
    """Return the error for an object that an undo keeps because it was changed by someone else."""
    return step_error(
        f"{what} was kept: {reason}",
        remedy="Check it, and remove it manually if it is no longer needed.",
        retry=False,
    )
