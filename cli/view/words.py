"""What is said of a step: its name, time, error, remedy, and a remark beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stepway.cli.client.fold import Step
from stepway.cli.view.text import duration, moment, one_line, rough, whole

ICONS = {"pending": "○", "running": "●", "completed": "✓", "failed": "✗", "skipped": "–"}
STYLES = {
    "pending": "dim",
    "running": "cyan",
    "initializing": "cyan",
    "completed": "green",
    "active": "green",
    "failed": "red",
    "skipped": "yellow",
    "cancelled": "yellow",
    "archived": "dim",
}


@dataclass(frozen=True)
class TimeLeft:
    """Milliseconds that were left `at` a time: as in half of the runs, and in 95 % of them."""

    low: float
    high: float
    at: datetime

    def now(self, now: datetime) -> tuple[float, float] | None:
        """The two at another time; None once they have passed and there is nothing to say."""
        gone = (now - self.at).total_seconds() * 1000
        return (max(0.0, self.low - gone), self.high - gone) if self.high > gone else None


def name_of(step: Step) -> str:
    """What people call the step."""
    return one_line(step.get("display_name") or step["step"])


def metadata_of(step: Step) -> Mapping[str, Any]:
    """The step's metadata, empty where it has none."""
    return step.get("metadata") or {}


def taken(step: Step, now: datetime) -> str:
    """How long the step took, or has been running by now; empty before it started."""
    if step.get("duration") is not None:
        return duration(step["duration"])
    started = moment(step.get("started_at"))
    if step["status"] != "running" or started is None:
        return ""
    return whole(max(0.0, (now - started).total_seconds() * 1000))


def elapsed(project: Mapping[str, Any], now: datetime) -> str:
    """How long the initialization took, or has been going on by now."""
    started = moment(project.get("initialization_started_at"))
    if started is None:
        return ""
    ended = moment(project.get("initialization_completed_at"))
    time = max(0.0, ((ended or now) - started).total_seconds() * 1000)
    return duration(time) if ended else whole(time)


def time_left(left: TimeLeft | None, now: datetime) -> str:
    """`about 5 s left`, `5 s to 20 s left`; empty where nobody can say."""
    span = left.now(now) if left else None
    if span is None:
        return ""
    low, high = (rough(milliseconds) for milliseconds in span)
    return f"about {high} left" if low == high else f"{low} to {high} left"


def error_of(step: Step) -> str:
    """The error of a failed step, or of the attempt that a running one is trying again."""
    if step["status"] == "failed":
        return str(step.get("error") or "failed without an error message")
    if step["status"] == "running":
        return str(metadata_of(step).get("last_error") or step.get("error") or "")
    undo = metadata_of(step).get("undo") or {}
    return f"rollback failed: {undo.get('error')}" if undo.get("status") == "failed" else ""


def remedy_of(step: Step) -> str:
    """What a person can do about the step's error."""
    return one_line(metadata_of(step).get("remedy") or "") if error_of(step) else ""


def remark(step: Step, now: datetime) -> str:
    """The few words beside a step: what it is doing, its attempt, its next try, why skipped."""
    metadata = metadata_of(step)
    if step["status"] == "skipped":
        return one_line(metadata.get("reason") or "")
    if step.get("undone_at"):
        return "rolled back"
    if (metadata.get("undo") or {}).get("status") == "running":
        return "rolling back"
    if step["status"] != "running":
        return attempt_of(step)
    if metadata.get("paused"):
        return "paused"
    if waits := next_try(step, now):
        return waits
    slow = "slower than usual" if metadata.get("slow") else ""
    parts = (attempt_of(step), slow, one_line(step.get("message") or ""))
    return ", ".join(part for part in parts if part)


def attempt_of(step: Step) -> str:
    """`attempt 3`; empty for the first."""
    attempt = step.get("attempt") or 1
    return f"attempt {attempt}" if attempt > 1 else ""


def next_try(step: Step, now: datetime) -> str:
    """When a running step whose attempt failed will be tried again; empty otherwise."""
    at = moment(metadata_of(step).get("next_attempt_at"))
    if at is None:
        return ""
    seconds = (at - now).total_seconds()
    following = f"attempt {(step.get('attempt') or 1) + 1}"
    return f"{following} in {whole(seconds * 1000)}" if seconds > 0 else f"{following} is starting"
