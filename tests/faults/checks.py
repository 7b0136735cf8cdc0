"""The invariants after a round, checked on collected data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from stepway.cli.client.fold import Initialization

Json = dict[str, Any]

OWN_ERRORS = (
    # Raised by the step `flaky`.
    "RuntimeError: no luck in run",
    # An operator cancelled or terminated the workflow.
    "Cancelled by temporal.",
    "Its workflow was terminated before the initialization ended",
)
"""Beginnings of the errors that a step of the harness may have."""


@dataclass(frozen=True)
class Tolerated:
    """Errors of steps that the run's faults explain: of attempts, and of steps that end so."""

    passing: re.Pattern[str] = re.compile("(?!)")
    final: re.Pattern[str] = re.compile("(?!)")

    def allows(self, action: str, error: str) -> bool:
        """Whether a step may fail with this error: in an attempt, or for good."""
        passes = action == "attempt_failed" and self.passing.search(error) is not None
        return passes or self.final.search(error) is not None


NOTHING = Tolerated()


@dataclass(frozen=True)
class Seen:
    """One event as a watcher received it."""

    id: int
    type: str


@dataclass(frozen=True)
class Completion:
    """A completed activity, with the runs whose histories contain its completion."""

    activity: str
    runs: set[str]


@dataclass(frozen=True)
class Record:
    """A project's final data in Postgres and Temporal."""

    project: Json
    steps: list[Json]
    attempts: list[Json]
    events: list[Json]
    completions: list[Completion]
    last_run: str
    last_status: str = ""
    """How Temporal says that the last run closed: `COMPLETED`, `CANCELED`, …"""

    reset_runs: set[str] = field(default_factory=set)
    """Runs that an operator made by a reset: steps after that point run again."""

    code_runs: dict[str, int] = field(default_factory=dict)
    """How often the code of each step has run, as it noted itself."""

    tolerated: Tolerated = NOTHING
    """Errors beside OWN_ERRORS."""


def watcher_faults(seen: list[Seen], final: int) -> list[str]:
    """Return missed, duplicate and misordered versions of a watcher, and a missed end."""
    faults = []
    version: int | None = None
    for event in seen:
        if event.type == "snapshot":
            if version is not None and event.id < version:
                faults.append(f"snapshot {event.id} after {version}")
        elif version is None:
            faults.append(f"{event.type} {event.id} before any snapshot")
        elif event.id <= version:
            faults.append(f"duplicate {event.id} after {version}")
        elif event.id > version + 1:
            faults.append(f"gap {version} to {event.id}")
        version = max(version or 0, event.id)
    if version != final:
        faults.append(f"lost ending: saw {version} of {final}")
    return faults


def record_faults(record: Record) -> list[str]:
    """Return contradictions within a record, with its events and with Temporal's history."""
    return [
        *_version_faults(record),
        *_progress_faults(record.events),
        *_fold_faults(record),
        *_attempt_faults(record),
        *_double_runs(record),
        *_failures_by_others(record),
        *_temporal_faults(record),
        *_ending_faults(record),
    ]


def state_faults(state: Initialization, record: Record) -> list[str]:
    """Return differences between a client's folded state and the rows."""
    rows = {step["step"]: step for step in record.steps}
    faults = [
        f"the client has a step {name} that is none" for name in state.steps if name not in rows
    ]
    for name, row in rows.items():
        if differing := _differing(state.steps.get(name, {}), row):
            faults.append(f"the client's {name} differs from its row in {differing}")
    # Not every event contains `updated_at`.
    row = {k: v for k, v in record.project.items() if k != "updated_at"}
    if differing := _differing(state.project, row):
        faults.append(f"the client's project differs from its row in {differing}")
    return faults


def _differing(told: Mapping[str, Any], row: Json) -> list[str]:
    """Return the columns that differ; the client may have additional fields."""
    return [name for name, value in row.items() if name not in told or told[name] != value]


def _version_faults(record: Record) -> Iterable[str]:
    versions = [event["version"] for event in record.events]
    if versions != list(range(1, record.project["version"] + 1)):
        yield f"versions have a hole: {versions} up to {record.project['version']}"


def _progress_faults(events: list[Json]) -> Iterable[str]:
    told = [event for event in events if "progress" in event["payload"]]
    for before, after in pairwise(told):
        was, now = before["payload"]["progress"], after["payload"]["progress"]
        if now < was and after["action"] != "retried":
            yield f"whole progress went from {was} to {now} at {after['action']}"


def _fold_faults(record: Record) -> Iterable[str]:
    rows: dict[str, Json] = {}
    for event in record.events:
        body = event["payload"]
        if event["type"] == "snapshot":
            rows = {step["step"]: step for step in body["steps"]}
        elif event["type"] == "step":
            change = body["step"]
            rows[change["step"]] = {**rows.get(change["step"], {}), **change}
    for step in record.steps:
        told = rows.get(step["step"])
        if told != step:
            differing = [k for k in step if told is None or told.get(k) != step[k]]
            yield f"events do not fold to the row of {step['step']}: {differing}"


def _attempt_faults(record: Record) -> Iterable[str]:
    done = Counter(
        (attempt["step"], *_schedule(attempt)) for attempt in record.attempts if _is_done(attempt)
    )
    for schedule, times in done.items():
        if times > 1:
            yield f"completed twice within one schedule: {schedule}"
    for attempt in record.attempts:
        if attempt["ended_at"] is None:
            yield f"attempt still open: {attempt['step']} {attempt['round']}/{attempt['attempt']}"


def _double_runs(record: Record) -> Iterable[str]:
    """No step runs again after it has completed, unless an operator reset the workflow.

    One that had nothing to do runs again if an initialization that has ended is retried.
    """
    last: dict[str, Json] = {}
    for attempt in sorted(record.attempts, key=lambda one: (one["round"], one["attempt"])):
        before = last.get(attempt["step"])
        undone = _undone_between(record.events, before, attempt)
        if before and not undone and _may_not_follow(attempt, before, record.reset_runs):
            yield f"{attempt['step']} ran again after it had {before['outcome']}"
        last[attempt["step"]] = attempt
    made = Counter(attempt["step"] for attempt in record.attempts)
    for step, times in record.code_runs.items():
        if times > made[step]:
            yield f"{step} ran more often, {times} times, than its {made[step]} attempts"


def _undone_between(events: list[Json], before: Json | None, attempt: Json) -> bool:
    """Whether the step was rolled back after the attempt before."""
    if before is None or before["ended_at"] is None:
        return False
    return any(
        event["action"] == "undone"
        and event["step"] == attempt["step"]
        and _at(before["ended_at"]) <= _at(event["at"]) <= _at(attempt["started_at"])
        for event in events
    )


def _at(time: str) -> datetime:
    return datetime.fromisoformat(time)


def _failures_by_others(record: Record) -> Iterable[str]:
    """A step fails only by an error of its own code or an action of an operator, and never after it
    has completed. A cancel ends the retries: then the error of the last attempt may fail it.
    """
    done: set[str] = set()
    is_cancelled = record.project["status"] == "cancelled"
    ends = {event.get("step"): event for event in record.events if event["type"] == "step"}
    for event in record.events:
        step, action = event.get("step"), event["action"]
        is_end = is_cancelled and event is ends.get(step)
        if event["type"] != "step" or event["payload"]["step"].get("parent_step"):
            continue
        if action in ("failed", "attempt_failed"):
            error = event["payload"]["step"]["error"]
            said = error or ""
            if not said.startswith(OWN_ERRORS) and not record.tolerated.allows(
                "attempt_failed" if is_end else action, said
            ):
                yield f"{step} failed for a reason that is not its own: {error}"
            if step in done:
                yield f"{step} completed, then failed: {error}"
        if action == "completed":
            done.add(step)
        elif action in ("started", "retried", "failed"):
            done.discard(step)


def _temporal_faults(record: Record) -> Iterable[str]:
    """Each completion has an attempt, and each completed step has a completion."""
    recorded = {_schedule(attempt) for attempt in record.attempts if _is_done(attempt)}
    told: set[tuple[str, str]] = set()
    for completion in record.completions:
        schedules = {(run, completion.activity) for run in completion.runs}
        told |= schedules
        if not schedules & recorded:
            yield f"Temporal has completed {sorted(schedules)}, the record has no such attempt"
    if record.project["status"] == "active":
        for attempt in _last_attempts(record.attempts):
            in_last_run = attempt["run_id"] == record.last_run
            if in_last_run and _is_done(attempt) and _schedule(attempt) not in told:
                yield f"{attempt['step']} is recorded as completed, Temporal does not say so"


def _last_attempts(attempts: list[Json]) -> Iterable[Json]:
    in_order = sorted(attempts, key=lambda attempt: (attempt["round"], attempt["attempt"]))
    return {attempt["step"]: attempt for attempt in in_order}.values()


def _schedule(attempt: Json) -> tuple[str, str]:
    return attempt["run_id"], attempt["activity_id"]


def _may_not_follow(attempt: Json, before: Json, reset_runs: set[str]) -> bool:
    if not _is_done(before) or attempt["run_id"] in reset_runs:
        return False
    return before["outcome"] == "completed" or attempt["run_id"] == before["run_id"]


def _is_done(attempt: Json) -> bool:
    return attempt["outcome"] in ("completed", "skipped")


def _ending_faults(record: Record) -> Iterable[str]:
    if record.project["initialization_completed_at"] is None:
        yield f"has not ended: {record.project['status']}"
    for step in record.steps:
        if step["status"] == "running":
            yield f"still running: {step['step']}"
        done = step["status"] in ("completed", "skipped")
        if record.project["status"] == "active" and not done and not step["parent_step"]:
            yield f"active, but {step['step']} is {step['status']}"
        if record.project["status"] == "cancelled" and step["status"] == "pending":
            yield f"cancelled, but {step['step']} is pending"
    if record.last_status == "CANCELED" and record.project["status"] != "cancelled":
        yield f"its workflow was cancelled, the project is {record.project['status']}"
    if record.events and record.events[-1]["type"] != "end":
        yield f"the last event is {record.events[-1]['action']}, not the end"
