"""The texts of a step: name, time, error, remedy and remark. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stepway.cli.client.fold import Step
from stepway.cli.view.text import duration, excerpt, moment, one_line, rough, whole

ICONS = {
    "pending": "○",
    "running": "●",
    "completed": "✓",
    "failed": "✗",
    "skipped": "–",
    "cancelled": "■",
}
CANCELLING = "cancelling"
"""Shown instead of the status of a project while a cancel is under way."""

STYLES = {
    "pending": "dim",
    "running": "cyan",
    "initializing": "cyan",
    "completed": "green",
    "active": "green",
    "failed": "red",
    "skipped": "yellow",
    CANCELLING: "yellow",
    "cancelled": "yellow",
    "archived": "dim",
}

# The message has the status, and the others have a line of their own.
_SHOWN_APART = ("command", "output", "exit_status", "signal")


@dataclass(frozen=True)
class TimeLeft:
    """Remaining milliseconds, estimated `at` a time: `low` is the median, `high` the p95."""

    low: float
    high: float
    at: datetime

    def now(self, now: datetime) -> tuple[float, float] | None:
        """Return both values at a later time; None once `high` has passed."""
        gone = (now - self.at).total_seconds() * 1000
        return (max(0.0, self.low - gone), self.high - gone) if self.high > gone else None


def name_of(step: Step) -> str:
    return one_line(step.get("display_name") or step["step"])


def metadata_of(step: Step) -> Mapping[str, Any]:
    """Return the step's metadata, {} if it has none."""
    return step.get("metadata") or {}


def shown_status(step: Step) -> str:
    """Return the step's status; `cancelled` if it was stopped from outside and did not fail."""
    is_stopped = step["status"] == "failed" and metadata_of(step).get("reason")
    return "cancelled" if is_stopped else str(step["status"])


def status_of(project: Mapping[str, Any]) -> str:
    """Return the project's status, or CANCELLING while a cancel is under way."""
    return CANCELLING if is_being_cancelled(project) else str(project["status"])


def is_being_cancelled(project: Mapping[str, Any]) -> bool:
    """Return whether a cancel was requested and is not complete."""
    # A worker of version 0.2 does not clear the time.
    return (
        project.get("cancel_requested_at") is not None
        and project["status"] in ("initializing", "failed")
        and project.get("initialization_completed_at") is None
    )


def taken(step: Step, now: datetime) -> str:
    """Return the duration of the step so far; "" before it has started."""
    if step.get("duration") is not None:
        return duration(step["duration"])
    started = moment(step.get("started_at"))
    if step["status"] != "running" or started is None:
        return ""
    return whole(max(0.0, (now - started).total_seconds() * 1000))


def elapsed(project: Mapping[str, Any], now: datetime) -> str:
    """Return how long the initialization was worked on so far; "" before it has started."""
    started = moment(project.get("initialization_started_at"))
    if started is None:
        return ""
    ended = moment(project.get("initialization_completed_at"))
    whole_time = ((ended or now) - started).total_seconds() * 1000
    time = max(0.0, whole_time - _waited(project, now))
    return duration(time) if ended or _waiting_since(project) else whole(time)


def waited(project: Mapping[str, Any], now: datetime) -> str:
    """Return how long nobody worked on the initialization; "" below a second.

    It had failed and waited for a person, or had ended before a retry.
    """
    time = _waited(project, now)
    return whole(time) if time >= 1000 else ""


def step_waited(step: Step) -> str:
    """Return how long nobody worked on a failed step before it was retried or skipped, or ""."""
    time = float(step.get("waited") or 0)
    return whole(time) if time >= 1000 else ""


def _waited(project: Mapping[str, Any], now: datetime) -> float:
    time = float(project.get("waited") or 0)
    since = _waiting_since(project)
    return time + max(0.0, (now - since).total_seconds() * 1000) if since else time


def _waiting_since(project: Mapping[str, Any]) -> datetime | None:
    # A worker of version 0.2 does not clear it.
    return moment(project.get("waiting_since")) if project["status"] == "failed" else None


def time_left(left: TimeLeft | None, now: datetime) -> str:
    """`about 5 s left`, `5 s to 20 s left`; "" if unknown."""
    span = left.now(now) if left else None
    if span is None:
        return ""
    low, high = (rough(milliseconds) for milliseconds in span)
    return f"about {high} left" if low == high else f"{low} to {high} left"


def error_of(step: Step) -> str:
    """Return the error of the step or of its last attempt, then that of its rollback or the last
    attempt at that; or "".

    A sub-step has no error: its step has it.
    """
    if step["status"] == "running":
        return str(metadata_of(step).get("last_error") or step.get("error") or "")
    errors = [_own_error(step), _rollback_error(step)]
    return "\n".join(error for error in errors if error)


def _own_error(step: Step) -> str:
    if step["status"] != "failed":
        return ""
    unknown = "" if step.get("parent_step") else "failed without an error message"
    return str(step.get("error") or unknown)


def _rollback_error(step: Step) -> str:
    undo = metadata_of(step).get("undo") or {}
    if undo.get("status") == "failed":
        return f"rollback failed: {undo.get('error')}"
    return str(undo.get("error") or "") if undo.get("status") == "running" else ""


def error_style(step: Step) -> str:
    """Return the style of the step's error: red only where something has failed for good."""
    undo = metadata_of(step).get("undo") or {}
    has_failed = shown_status(step) == "failed" or undo.get("status") == "failed"
    return STYLES["failed"] if has_failed else "yellow"


def details_of(step: Step, lines: int) -> list[str]:
    """Return the command and at most `lines` lines of the output that an error came with, and its
    other details.
    """
    details = metadata_of(step).get("error_details") if error_of(step) else None
    if not isinstance(details, Mapping):
        return []
    shown = [f"$ {line}" for line in excerpt(details.get("command") or "", 1)]
    others = {k: v for k, v in details.items() if k not in _SHOWN_APART}
    shown += [f"{one_line(name)}: {one_line(value)}" for name, value in others.items()]
    return [*shown, *excerpt(details.get("output") or "", lines)]


def remedy_of(step: Step) -> str:
    """Return how to fix the step's error, or ""."""
    return one_line(metadata_of(step).get("remedy") or "") if error_of(step) else ""


def remark(step: Step, now: datetime) -> str:
    """Return the remark beside a step: its message, attempt, next attempt or reason of the skip."""
    metadata = metadata_of(step)
    if step["status"] == "skipped":
        return one_line(metadata.get("reason") or "")
    if step.get("undone_at"):
        return "rolled back"
    if waits := wait_of(step, now):
        return waits
    if (metadata.get("undo") or {}).get("status") == "running":
        return "rolling back"
    if step["status"] != "running":
        return attempt_of(step)
    if metadata.get("paused"):
        return "paused"
    slow = "slower than usual" if metadata.get("slow") else ""
    parts = (attempt_of(step), slow, one_line(step.get("message") or ""))
    return ", ".join(part for part in parts if part)


def wait_of(step: Step, now: datetime) -> str:
    """Return what the step or its rollback waits for, or ""."""
    if waits := worker_wait(step, now):
        return waits
    metadata = metadata_of(step)
    undo = metadata.get("undo") or {}
    if undo.get("status") == "running":
        waits = next_try(undo, now, "next attempt")
        return f"rolling back, {waits}" if waits else ""
    if step["status"] != "running" or metadata.get("paused"):
        return ""
    return next_try(metadata, now, f"attempt {(step.get('attempt') or 1) + 1}")


def is_held_up(step: Step, now: datetime) -> bool:
    """Whether the step waits for another system's limit or for a worker: nobody knows how long."""
    metadata = metadata_of(step)
    at = moment(metadata.get("next_attempt_at")) if metadata.get("asked_to_wait") else None
    return bool(awaited_worker(step)) or (at is not None and at > now)


def attempt_of(step: Step) -> str:
    """`attempt 3`; "" for the first."""
    attempt = step.get("attempt") or 1
    return f"attempt {attempt}" if attempt > 1 else ""


def next_try(metadata: Mapping[str, Any], now: datetime, following: str) -> str:
    """Return when the attempt named `following` starts, in local time if another system asked to
    wait; "" if none is scheduled. `metadata` are of a step or of its rollback.
    """
    at = moment(metadata.get("next_attempt_at"))
    if at is None:
        return ""
    seconds = (at - now).total_seconds()
    if metadata.get("asked_to_wait") and seconds > 0:
        return f"waits until {at.astimezone():%H:%M:%S} ({whole(seconds * 1000)} left)"
    return f"{following} in {whole(seconds * 1000)}" if seconds > 0 else f"{following} is starting"


def worker_wait(step: Step, now: datetime) -> str:
    """Return that the step waits for a worker, and for how long none has asked for work; or ""."""
    since = moment(_waited_for(step).get("since"))
    if since is None:
        return ""
    time = whole(max(0.0, (now - since).total_seconds() * 1000))
    return f"{awaited_worker(step)}: none has asked for work for {time}"


def awaited_worker(step: Step) -> str:
    """`waits for a worker of the queue east`; "" if the step waits for none."""
    if not _waited_for(step).get("since"):
        return ""
    queue = one_line(_waited_for(step).get("queue") or "")
    return f"waits for a worker of the queue {queue}" if queue else "waits for a worker"


def _waited_for(step: Step) -> Mapping[str, Any]:
    found = metadata_of(step).get("waiting_for_worker")
    return found if isinstance(found, Mapping) else {}
