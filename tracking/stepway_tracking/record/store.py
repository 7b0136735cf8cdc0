"""Writes the record: one statement for each write, then its events to Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from stepway_tracking.record.changes import Changes, NewInitialization, ProjectChange, StepChange
from stepway_tracking.record.errors import NameTaken, StartExpired
from stepway_tracking.record.json_text import to_jsonb

REDACTED_FIELDS = {"error", "error_stack", "error_details", "message", "metadata", "sub_steps"}
"""Fields of a change with text of steps and people; `redact` is applied to them."""

LONG = 64 * 1024
"""A change of at least this many characters is redacted in a thread."""


Redact = Callable[[Any], Any]
"""Takes secrets out of a JSON value; returns a value of the same shape."""


Conceal = Callable[[str, Any], Any]
"""Takes a project's ID and its parameters; returns the parameters as they are stored."""


class EventPublisher(Protocol):
    """Publishes committed events."""

    async def publish(self, project_id: str, messages: list[str]) -> None:
        """Send each event's JSON, in order."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a change.

    `said` is one of:

    - `applied`;
    - `repeat`: applied before;
    - `unchanged`: nothing to change;
    - `superseded`: a newer attempt owns the step;
    - `kept`: the change starts or fails a step that has completed before; `result` is its result
      in base64;
    - `unknown`: no such project or step.

    The outcome of a start also counts the earlier attempts of this round: `failures` are those in
    which the step itself failed, `losses` those that were interrupted, `waits` those that another
    system asked to wait.
    """

    said: str
    result: str | None = None
    failures: int = 0
    losses: int = 0
    waits: int = 0


class Store:
    """The only writer of the record.

    `redact` takes secrets out of JSON values before they are written. `conceal` does so for a
    project's parameters; a later plan can restore them. Methods raise asyncpg's errors if Postgres
    cannot be reached (stepway_tracking.postgres.UNREACHABLE), and ValueError if a project's ID is
    not a UUID.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        publisher: EventPublisher,
        redact: Redact = lambda value: value,
        conceal: Conceal | None = None,
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._redact = redact
        self._conceal = conceal or (lambda project_id, value: redact(value))

    async def initialize_steps_in_database(self, new: NewInitialization) -> bool:
        """Insert the project and all its steps in one batch; False if they exist already.

        Raises NameTaken, or StartExpired after the deadline.
        """
        project = asdict(new) | {"id": str(UUID(new.project_id))}
        project["parameters"] = self._conceal(project["id"], project["parameters"])
        project["steps"] = self._redact(project["steps"])
        steps = project.pop("steps")
        row = await self._pool.fetchrow(
            "SELECT said, messages FROM stepway_plan_v3($1::jsonb, $2::jsonb, $3)",
            to_jsonb(project),
            to_jsonb(steps),
            datetime.fromisoformat(new.deadline) if new.deadline else None,
        )
        if row["said"] == "expired":
            raise StartExpired(f"The request to create {new.name} arrived after its deadline.")
        if row["said"] == "name_taken":
            raise NameTaken(f"{new.owner} already has a project named {new.name}.")
        await self._publisher.publish(new.project_id, row["messages"])
        return bool(row["said"] == "planned")

    async def record(self, changes: Changes) -> list[Outcome]:
        """Apply the changes in one transaction and publish their events; one outcome per change."""
        row = await self._pool.fetchrow(
            "SELECT outcomes, messages FROM stepway_record_v3($1, $2::jsonb)",
            UUID(changes.project_id),
            await self._as_jsonb(changes),
        )
        await self._publisher.publish(changes.project_id, row["messages"])
        return [Outcome(**outcome) for outcome in json.loads(row["outcomes"])]

    async def kept(self, project_id: str, step: str) -> tuple[str, bytes | None]:
        """Return a step's status and its result in the current round, as a serialized payload.

        The status of an unknown step is empty.
        """
        row = await self._pool.fetchrow(
            """
            SELECT s.status, (
              SELECT a.result FROM project_initialization_attempts a
              WHERE a.project_id = s.project_id AND a.step = s.step AND a.round = s.round
                AND a.result IS NOT NULL
              ORDER BY a.attempt DESC LIMIT 1)
            FROM project_initialization_steps s WHERE s.project_id = $1 AND s.step = $2
            """,
            UUID(project_id),
            step,
        )
        return (row[0], row[1]) if row else ("", None)

    async def update_step_status(self, project_id: str, change: StepChange) -> Outcome:
        """Make one change of a step: `started`, `completed`, `skipped`, `retried`, ..."""
        return (await self.record(Changes(project_id, [change])))[0]

    async def update_progress(
        self, project_id: str, change: StepChange, progress: int, message: str = ""
    ) -> Outcome:
        """Record the progress of a running step in percent."""
        return await self.update_step_status(
            project_id, _with(change, action="progressed", progress=progress, message=message)
        )

    async def mark_step_failed(
        self, project_id: str, change: StepChange, error: str, error_stack: str | None = None
    ) -> Outcome:
        """Record the final failure of a step, with its error and stack."""
        return await self.update_step_status(
            project_id, _with(change, action="failed", error=error, error_stack=error_stack)
        )

    async def update_project(self, project_id: str, change: ProjectChange) -> Outcome:
        """Make one change of a project."""
        return (await self.record(Changes(project_id, project=change)))[0]

    async def _as_jsonb(self, changes: Changes) -> str:
        rows = changes.as_rows()
        said = sum(len(text) for row in rows for text in row.values() if isinstance(text, str))

        def encoded() -> str:
            return to_jsonb([self._redacted(changes.project_id, row) for row in rows])

        return encoded() if said < LONG else await asyncio.to_thread(encoded)

    def _redacted(self, project_id: str, row: dict[str, Any]) -> dict[str, Any]:
        # `result` belongs to the payload codec, and the other fields are ids.
        row = {
            name: self._redact(value) if name in REDACTED_FIELDS else value
            for name, value in row.items()
        }
        if "parameters" in row:
            row["parameters"] = self._conceal(str(UUID(project_id)), row["parameters"])
        return row


def _with(change: StepChange, **fields: Any) -> StepChange:
    return StepChange(**{**asdict(change), **fields})
