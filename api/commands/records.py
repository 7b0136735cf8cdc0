"""Reads the rows that the commands need: a project and the state of its steps."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from stepway.workflows.model.fitting import fitting_errors, fitting_results
from stepway.workflows.model.messages import CANCEL_REQUESTED, Resumed, workflow_id
from stepway.workflows.model.plan import Graph
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.record.facts import ProjectStatus, StepStatus

LOST = "The workflow that ran this step was closed before the step ended."

MOST_RESULTS = 500_000
"""Bytes of JSON of the results that a resumed run is given; it reads the others when it needs
them. Temporal takes 2 MB for all that a run is given."""

MOST_ERRORS = 250_000
"""Bytes of JSON of the errors that a resumed run is given; the record has all of them."""


@dataclass(frozen=True)
class ProjectRecord:
    """A project's row; `definition` is its blueprint at the time of the start."""

    id: UUID
    name: str
    owner: str
    blueprint: str
    status: ProjectStatus
    ended: bool
    workflow_id: str
    parameters: dict[str, Any]
    definition: dict[str, Any]
    request_hash: str

    @property
    def takes_updates(self) -> bool:
        """Whether Stepway's own workflow runs it; another one is only recorded."""
        return bool(self.definition) and self.workflow_id == workflow_id(str(self.id))


@dataclass(frozen=True)
class StepRecord:
    """The state of a step; `result` is its encoded return value, if one was stored."""

    step: str
    display_name: str
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    undone: bool
    metadata: dict[str, Any]
    result: bytes | None


class Records:
    """Queries for the commands."""

    def __init__(self, pool: asyncpg.Pool, converter: DataConverter) -> None:
        self._pool = pool
        self._converter = converter

    async def project(self, project_id: UUID) -> ProjectRecord:
        """Return the project. Raises ProjectUnknown."""
        found = await self._find("id = $1", project_id)
        if found is None:
            raise ProjectUnknown(f"Project {project_id} not found.")
        return found

    async def find(self, project_id: UUID) -> ProjectRecord | None:
        """Return the project, or None."""
        return await self._find("id = $1", project_id)

    async def named(self, owner: str, name: str) -> ProjectRecord | None:
        """Return the owner's project with that name, or None."""
        return await self._find("owner = $1 AND name = $2", owner, name)

    async def steps(self, project_id: UUID) -> list[StepRecord]:
        """Return the steps in order, without sub-steps."""
        rows = await self._pool.fetch(
            """
            SELECT s.step, s.display_name, s.status, s.started_at, s.completed_at, s.error,
                   s.metadata,
                   s.undone_at IS NOT NULL AS undone,
                   (SELECT a.result FROM project_initialization_attempts a
                    WHERE a.project_id = s.project_id AND a.step = s.step AND a.result IS NOT NULL
                    ORDER BY a.round DESC, a.attempt DESC LIMIT 1) AS result
            FROM project_initialization_steps s
            WHERE s.project_id = $1 AND s.parent_step IS NULL ORDER BY s.sequence
            """,
            project_id,
        )
        return [
            StepRecord(
                row["step"],
                row["display_name"],
                row["status"],
                row["started_at"],
                row["completed_at"],
                row["error"],
                row["undone"],
                json.loads(row["metadata"]),
                row["result"],
            )
            for row in rows
        ]

    async def resumed(self, project_id: UUID, graph: Graph) -> Resumed:
        """Return the state from which a new workflow continues an initialization."""
        results: dict[str, Any] = {}
        errors: dict[str, str] = {}
        reopened: list[str] = []
        records = await self.steps(project_id)
        states = resumed_states(records, graph)
        for record in records:
            state = states[record.step]
            if state == "completed" and record.result is not None:
                results[record.step] = await self._decode(record.result)
            elif state == "failed":
                errors[record.step] = record.error or LOST
            elif state == "pending" and record.status != "pending":
                reopened.append(record.step)
        fitting, kept = fitting_results(results, MOST_RESULTS)
        errors = fitting_errors(errors, MOST_ERRORS)
        return Resumed(states, fitting, errors, reopened, kept, finished_order(records))

    async def is_being_cancelled(self, project: ProjectRecord) -> bool:
        """Return whether a cancel of the project's current run was recorded, but not its end."""
        return not project.ended and await self._pool.fetchval(
            """
            SELECT EXISTS (
              SELECT FROM projects p JOIN project_initialization_events e
                ON e.project_id = p.id AND e.change_id = p.run_id || '/' || $2
              WHERE p.id = $1)
            """,
            project.id,
            CANCEL_REQUESTED,
        )

    async def _find(self, condition: str, *arguments: Any) -> ProjectRecord | None:
        row = await self._pool.fetchrow(
            f"""
            SELECT id, name, owner, blueprint, status, workflow_id, parameters, definition,
                   initialization_completed_at IS NOT NULL AS ended,
                   coalesce(request_hash, '') AS request_hash
            FROM projects WHERE {condition}
            """,
            *arguments,
        )
        if row is None:
            return None
        given = dict(row)
        for name in ("parameters", "definition"):
            given[name] = json.loads(given[name])
        return ProjectRecord(**given)

    async def _decode(self, kept: bytes) -> Any:
        return (await self._converter.decode([Payload.FromString(kept)]))[0]


def finished_order(records: Iterable[StepRecord]) -> list[str]:
    """Return the completed steps in the order of their completion."""
    completed = [one for one in records if one.status == "completed" and one.completed_at]
    return [one.step for one in sorted(completed, key=attrgetter("completed_at"))]


def resumed_states(records: Iterable[StepRecord], graph: Graph) -> dict[str, StepStatus]:
    """Return the states of all steps for a new workflow run.

    A completed step that needs one that was rolled back is pending too: it has built on what no
    longer exists.
    """
    states = {record.step: resumed_state(record) for record in records}
    gone = {record.step for record in records if record.undone}
    for step in graph.order:
        if states[step] == "completed" and graph.needs[step] & gone:
            states[step] = "pending"
            gone.add(step)
    return states


def resumed_state(record: StepRecord) -> StepStatus:
    """Return a step's state for a new workflow run.

    A running step was interrupted, so it has failed. A step that was rolled back is pending. So is
    a step that was skipped because another step was; if it still cannot run, the new run skips it.
    """
    match record.status:
        case "running":
            return "failed"
        case "completed" if record.undone:
            return "pending"
        case "skipped" if record.started_at is None and "skipped_by" not in record.metadata:
            return "pending"
        case status:
            return status
