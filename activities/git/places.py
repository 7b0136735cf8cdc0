"""On which machine the files in data folders are: recorded with the steps that wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from stepway.activities.postgres import opened
from stepway_tracking.record.models import Project, Step

FIELD = "place"
"""The field of a step's result that holds the place."""

_RECENT = 50
"""Projects, newest first, among which other machines are looked for."""


@dataclass(frozen=True)
class Place:
    """A data folder by its ID, with the machine and the worker that used it."""

    folder: str
    machine: str
    worker: str


class Places:
    """Reads the places from the results that are recorded with projects."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_project(self, project_id: str) -> Place | None:
        """Return where the project's files were written; None if nothing is recorded."""
        return await self._first(
            select(Step.details[FIELD]).where(
                Step.project_id == UUID(project_id),
                Step.details.has_key(FIELD),
                Step.undone_at.is_(None),
            )
        )

    async def other_than(self, folder: str) -> Place | None:
        """Return another data folder, in which files of a recent project were written."""
        recent = select(Project.id).order_by(Project.created_at.desc()).limit(_RECENT)
        return await self._first(
            select(Step.details[FIELD]).where(
                Step.project_id.in_(recent),
                Step.details.has_key(FIELD),
                Step.details[FIELD]["folder"].astext != folder,
            )
        )

    async def _first(self, query: Select[Any]) -> Place | None:
        async with opened(self._engine) as connection:
            found = await connection.scalar(query.limit(1))
        if not isinstance(found, Mapping):
            return None
        fields = (found.get("folder"), found.get("machine"), found.get("worker"))
        return Place(*map(str, fields)) if all(fields) else None
