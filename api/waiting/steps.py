"""Finds the steps that a worker should have taken by now."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg

from stepway.workflows.model.plan import Graph
from stepway.workflows.model.queues import workers_of
from stepway_tracking.record.facts import StepStatus

MOST = 1_000
"""Projects that one sweep looks at; those that changed last come last."""

MAIN = ""
"""The queue of the initializations, and of steps whose blueprint names none."""


@dataclass(frozen=True)
class WaitingStep:
    """A step that waits for a worker of `queue` since a time."""

    step: str
    queue: str
    since: datetime


@dataclass(frozen=True)
class Row:
    """What a step's row says about waiting; `marked` if it says that the step waits."""

    step: str
    status: StepStatus
    queue: str
    changed: datetime
    ended: datetime | None
    marked: bool
    undone: bool


@dataclass(frozen=True)
class Node:
    """The dependencies of a step, as its blueprint has them."""

    step: str
    needs: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class OpenProject:
    """A project whose initialization runs or is being cancelled; `undoable` have a rollback."""

    id: UUID
    version: int
    task_queue: str
    cancelled_at: datetime | None
    nodes: list[Node]
    undoable: frozenset[str]
    rows: dict[str, Row]

    def waiting(self, silent: Collection[str]) -> list[WaitingStep]:
        """Return the steps that workers of silent queues should have taken, without those marked.

        Without workers of initializations, no step is given to any queue.
        """
        found = self._unanswered() if self.cancelled_at is None else self._rollback()
        placed = (
            (row, MAIN if starts and MAIN in silent else workers_of(row.queue), since)
            for row, starts, since in found
        )
        return [
            WaitingStep(row.step, queue, since)
            for row, queue, since in placed
            if queue in silent and not row.marked
        ]

    def _unanswered(self) -> Iterator[tuple[Row, bool, datetime]]:
        """Yield steps that run or could start, whether they have to start, and since when."""
        graph = Graph(self.nodes)
        states = {step: self.rows[step].status for step in graph.order}
        for step in graph.ready(states):
            row = self.rows[step]
            before = [self.rows[other].ended or row.changed for other in graph.waits_for[step]]
            yield row, True, max(row.changed, *before) if before else row.changed
        for row in self.rows.values():
            if row.status == "running":
                yield row, False, row.changed

    def _rollback(self) -> Iterator[tuple[Row, bool, datetime]]:
        """Yield the step whose rollback is next, once no step runs."""
        rows = self.rows.values()
        if self.cancelled_at is None or any(row.status in ("pending", "running") for row in rows):
            return
        left = [row for row in rows if row.status == "completed" and not row.undone]
        left = [row for row in left if row.step in self.undoable and row.ended]
        if left:
            changed = max(row.changed for row in rows)
            yield max(left, key=attrgetter("ended")), True, max(self.cancelled_at, changed)


@dataclass(frozen=True)
class MarkedProject:
    """A project with marked steps, and the queue of each of them."""

    id: UUID
    version: int
    task_queue: str
    queues: dict[str, str]


Queue = tuple[str, str]
"""The task queue of initializations, and a queue of blueprints; MAIN for the former itself."""


class WaitingSteps:
    """Queries for the sweep; `task_queue` is that of projects whose row names none."""

    def __init__(self, pool: asyncpg.Pool, task_queue: str) -> None:
        self._pool = pool
        self._task_queue = task_queue

    async def queues(self) -> set[Queue]:
        """Return the queues that steps of unfinished projects may wait in."""
        rows = await self._pool.fetch(
            """
            SELECT DISTINCT coalesce(task_queue, $1) AS task_queue, '' AS queue FROM projects
            WHERE initialization_completed_at IS NULL
              AND (status = 'initializing' OR cancel_requested_at IS NOT NULL)
            UNION
            SELECT DISTINCT coalesce(p.task_queue, $1), s.queue
            FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
            WHERE s.queue IS NOT NULL AND s.status IN ('pending', 'running')
              AND p.initialization_completed_at IS NULL
            UNION
            SELECT DISTINCT coalesce(p.task_queue, $1), s.queue
            FROM projects p JOIN project_initialization_steps s ON s.project_id = p.id
            WHERE s.queue IS NOT NULL
              AND p.initialization_completed_at IS NULL AND p.cancel_requested_at IS NOT NULL
            """,
            self._task_queue,
        )
        return {(row["task_queue"], workers_of(row["queue"])) for row in rows}

    async def marked(self) -> list[MarkedProject]:
        """Return the projects with marked steps."""
        rows = await self._pool.fetch(
            """
            SELECT p.id, p.version, coalesce(p.task_queue, $1) AS task_queue,
                   jsonb_object_agg(s.step, coalesce(
                     s.metadata->'waiting_for_worker'->>'queue', '')) AS queues
            FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
            WHERE s.metadata ? 'waiting_for_worker' GROUP BY p.id
            """,
            self._task_queue,
        )
        return [
            MarkedProject(row["id"], row["version"], row["task_queue"], json.loads(row["queues"]))
            for row in rows
        ]

    async def open(self, silent: Collection[Queue]) -> list[OpenProject]:
        """Return the projects that may have steps in these queues."""
        rows = await self._pool.fetch(
            """
            SELECT p.id, p.version, coalesce(p.task_queue, $3) AS task_queue,
                   p.cancel_requested_at, p.definition->'steps' AS plan
            FROM projects p
            WHERE p.initialization_completed_at IS NULL
              AND (p.status = 'initializing' OR p.cancel_requested_at IS NOT NULL)
              AND p.definition ? 'steps' AND EXISTS (
                SELECT FROM unnest($1::text[], $2::text[]) AS silent(task_queue, queue)
                WHERE silent.task_queue = coalesce(p.task_queue, $3)
                  AND (silent.queue = '' OR EXISTS (
                    SELECT FROM project_initialization_steps s WHERE s.project_id = p.id
                      AND regexp_replace(s.queue, '\\.waits$', '') = silent.queue)))
            ORDER BY p.updated_at LIMIT $4
            """,
            [task_queue for task_queue, _ in silent],
            [queue for _, queue in silent],
            self._task_queue,
            MOST,
        )
        steps = await self._rows([row["id"] for row in rows])
        return [
            OpenProject(
                row["id"],
                row["version"],
                row["task_queue"],
                row["cancel_requested_at"],
                *_planned(json.loads(row["plan"])),
                steps[row["id"]],
            )
            for row in rows
        ]

    async def _rows(self, projects: list[UUID]) -> dict[UUID, dict[str, Row]]:
        rows = await self._pool.fetch(
            """
            SELECT project_id, step, status, coalesce(queue, '') AS queue,
                   greatest(updated_at, (metadata->>'next_attempt_at')::timestamptz,
                            (metadata->'undo'->>'next_attempt_at')::timestamptz) AS changed,
                   completed_at AS ended, metadata ? 'waiting_for_worker' AS marked,
                   undone_at IS NOT NULL
                     OR coalesce(metadata->'undo'->>'status', '') = 'failed' AS undone
            FROM project_initialization_steps
            WHERE project_id = ANY($1) AND parent_step IS NULL ORDER BY sequence
            """,
            projects,
        )
        found: dict[UUID, dict[str, Row]] = defaultdict(dict)
        for row in rows:
            project, *fields = row.values()
            found[project][row["step"]] = Row(*fields)
        return found


def _planned(steps: list[dict[str, Any]]) -> tuple[list[Node], frozenset[str]]:
    nodes = [Node(each["step"], each["needs"], each["after"]) for each in steps]
    return nodes, frozenset(each["step"] for each in steps if each.get("undo"))
