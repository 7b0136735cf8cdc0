"""What must hold after a round, judged from outside, on what was collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """One event as a watcher got it."""

    id: int
    type: str


@dataclass(frozen=True)
class Record:
    """A project as Postgres and Temporal have it at the end."""

    project: Json
    steps: list[Json]
    attempts: list[Json]
    events: list[Json]
    completed_activities: set[str]


def watcher_faults(seen: list[Seen], final: int) -> list[str]:
    """Versions that a watcher missed, got twice or out of order, and an ending it never saw."""
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
    """Everything in a record that contradicts itself, its events, or Temporal's history."""
    return [
        *_version_faults(record),
        *_progress_faults(record.events),
        *_fold_faults(record),
        *_attempt_faults(record),
        *_ending_faults(record),
    ]


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
    schedules = Counter(
        (a["step"], a["run_id"], a["activity_id"])
        for a in record.attempts
        if a["outcome"] in ("completed", "skipped")
    )
    for schedule, times in schedules.items():
        if times > 1:
            yield f"completed twice within one schedule: {schedule}"
    recorded = {
        a["activity_id"] for a in record.attempts if a["outcome"] in ("completed", "skipped")
    }
    for activity in record.completed_activities - recorded:
        yield f"Temporal has completed activity {activity}, the record has no such attempt"
    for attempt in record.attempts:
        if attempt["ended_at"] is None:
            yield f"attempt still open: {attempt['step']} {attempt['round']}/{attempt['attempt']}"


def _ending_faults(record: Record) -> Iterable[str]:
    if record.project["initialization_completed_at"] is None:
        yield f"has not ended: {record.project['status']}"
    for step in record.steps:
        if step["status"] == "running":
            yield f"still running: {step['step']}"
        done = step["status"] in ("completed", "skipped")
        if record.project["status"] == "active" and not done and not step["parent_step"]:
            yield f"active, but {step['step']} is {step['status']}"
    if record.events and record.events[-1]["type"] != "end":
        yield f"the last event is {record.events[-1]['action']}, not the end"
