"""A project's record in a real Postgres, with the writes of workers and workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import asyncpg

from stepway_tracking.record.changes import (
    Changes,
    NewInitialization,
    PlannedRow,
    ProjectChange,
    StepChange,
)
from stepway_tracking.record.store import Outcome, Store
from tests.support.folding import as_json, folded, snapshot_as_json

Json = dict[str, Any]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Second 0 of the Temporal server's clock in these tests."""


def at(second: float) -> str:
    """Return a time on the server's clock, ISO 8601."""
    return (EPOCH + timedelta(seconds=second)).isoformat()


class Collected:
    """A publisher that collects the messages."""

    def __init__(self) -> None:
        self.messages: list[Json] = []

    async def publish(self, project_id: str, messages: list[str]) -> None:
        self.messages += map(json.loads, messages)


def new_initialization(project_id: str, steps: dict[str, int], **more: Any) -> NewInitialization:
    """Return a new project; `steps` maps names to weights."""
    given: Json = {
        "name": f"p-{uuid4().hex[:12]}",
        "owner": "local",
        "blueprint": "test",
        "workflow_id": f"initialize-{project_id}",
        "run_id": "run-1",
        **more,
    }
    rows = [PlannedRow(step, step.title(), weight) for step, weight in steps.items()]
    return NewInitialization(project_id=project_id, steps=rows, **given)


@dataclass
class Record:
    """Writes and reads the rows of one project."""

    pool: asyncpg.Pool
    project_id: str = field(default_factory=lambda: str(uuid4()))

    def __post_init__(self) -> None:
        self.published = Collected()
        self.store = Store(self.pool, self.published)

    async def plan(self, **steps: int) -> Record:
        """Insert the project and its steps, given as NAME=WEIGHT."""
        await self.store.initialize_steps_in_database(new_initialization(self.project_id, steps))
        return self

    def attempt(self, step: str, second: float, number: int = 1, **more: str) -> Attempt:
        """Return an attempt that the server scheduled at this second."""
        return Attempt(self, step, second, number, **more)

    async def workflow(self, second: float, *steps: StepChange, **project: Any) -> list[str]:
        """Record a workflow's changes at this second; return the outcome of each."""
        fenced = [StepChange(**{**vars(step), "fence": at(second)}) for step in steps]
        change = ProjectChange(fence=at(second), **project) if project else None
        outcomes = await self.store.record(Changes(self.project_id, fenced, change))
        return [outcome.said for outcome in outcomes]

    async def step(self, step: str) -> Json:
        """Return a step's row."""
        row = await self.pool.fetchval(
            """SELECT to_jsonb(s) FROM project_initialization_steps s
               WHERE project_id = $1 AND step = $2""",
            self.project_id,
            step,
        )
        return json.loads(row)  # type: ignore[no-any-return]

    async def project(self) -> Json:
        """Return the project's row."""
        row = await self.pool.fetchval(
            "SELECT to_jsonb(p) FROM projects p WHERE id = $1", self.project_id
        )
        return json.loads(row)  # type: ignore[no-any-return]

    async def attempts(self, step: str) -> list[Json]:
        """Return the rows of a step's attempts, in order."""
        rows = await self.pool.fetch(
            """SELECT to_jsonb(a) AS row FROM project_initialization_attempts a
               WHERE project_id = $1 AND step = $2 ORDER BY round, attempt""",
            self.project_id,
            step,
        )
        return [json.loads(row["row"]) for row in rows]

    async def events(self) -> list[Json]:
        """Return all events, in order."""
        rows = await self.pool.fetch(
            """SELECT to_jsonb(e) AS row FROM project_initialization_events e
               WHERE project_id = $1 ORDER BY version""",
            self.project_id,
        )
        return [json.loads(row["row"]) for row in rows]

    async def actions(self, step: str | None = None) -> list[str]:
        """Return the actions of all events, or of one step's events."""
        return [e["action"] for e in await self.events() if step in (None, e["step"])]

    async def check(self, added: Mapping[str, Json] = MappingProxyType({})) -> None:
        """Assert the invariants: no gaps in versions, events fold to the rows, sums are correct.

        `added` has the fields, with their defaults, that the events of previous versions lack; by
        `project` and `step`.
        """
        events = await self.events()
        snapshot = json.loads(
            await self.pool.fetchval(
                "SELECT stepway_initialization_json_v3(p)::text FROM projects p WHERE id = $1",
                self.project_id,
            )
        )
        assert [event["version"] for event in events] == list(range(1, snapshot["version"] + 1))
        told = as_json(folded(events))
        told["project"] = {**added.get("project", {}), **told["project"]}
        told["steps"] = [{**added.get("step", {}), **step} for step in told["steps"]]
        assert told == snapshot_as_json(snapshot)
        assert events[-1]["at"] == snapshot["project"]["updated_at"]
        points = await self.pool.fetchrow(
            """SELECT p.points, sum(s.points)::bigint AS of_steps, p.points_total,
                      sum(100 * s.weight)::bigint AS total
               FROM projects p JOIN project_initialization_steps s ON s.project_id = p.id
               WHERE p.id = $1 GROUP BY p.id""",
            self.project_id,
        )
        assert points["points"] == points["of_steps"]
        assert points["points_total"] == points["total"]
        for step in snapshot["steps"]:
            attempts = await self.attempts(step["step"])
            still_open = [each for each in attempts if each["ended_at"] is None]
            assert len(still_open) <= (step["status"] == "running")


@dataclass
class Attempt:
    """Writes one attempt as its worker does."""

    record: Record
    step: str
    second: float
    number: int = 1
    run: str = "run-1"
    activity: str = "1"

    def change(self, action: str, **fields: Any) -> StepChange:
        """Return a change by this attempt."""
        change_id = f"{self.run}/{self.activity}/{self.second}/{self.number}/{action}"
        return StepChange(
            self.step,
            action,
            fence=at(self.second),
            change_id=None if action == "progressed" else change_id,
            run_id=self.run,
            activity_id=self.activity,
            attempt=self.number,
            **fields,
        )

    async def say(self, action: str, **fields: Any) -> str:
        """Record a change; return its outcome as text."""
        return (await self.outcome(action, **fields)).said

    async def outcome(self, action: str, **fields: Any) -> Outcome:
        """Record a change; return its outcome."""
        change = self.change(action, **fields)
        return await self.record.store.update_step_status(self.record.project_id, change)

    async def progress(self, percent: int, message: str = "", *parts: Json) -> str:
        """Record progress; return the outcome as text."""
        return await self.say(
            "progressed", progress=percent, message=message, sub_steps=list(parts)
        )


def part(name: str, percent: int = 0) -> Json:
    """Return a sub-step as the progress reporter writes it."""
    return {"name": name, "display_name": name.title(), "percent": percent}
