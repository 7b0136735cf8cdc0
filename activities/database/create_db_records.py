"""create_db_records and its undo: insert and delete the row of the project's repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.models import Repository
from stepway.activities.postgres import opened
from stepway.activities.project import ProjectRef, object_id
from stepway.activities.rollback import Removed, left_behind

_COMPARED = ("url", "commit")


@dataclass(frozen=True)
class CreateDbRecordsInput:
    """The repository, from the results of create_repository and push_template."""

    project: ProjectRef
    name: str
    url: str
    default_branch: str = "main"
    commit: str | None = None
    template: str | None = None


@dataclass(frozen=True)
class CreatedDbRecords:
    """The repository's row."""

    repository_id: str
    name: str
    url: str
    commit: str | None


@dataclass(frozen=True)
class DeleteDbRecordsInput(CreateDbRecordsInput):
    """`result` is the result of create_db_records."""

    result: dict[str, Any] | None = None


class DatabaseSteps:
    """Writes the table of repositories."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def create_db_records(self, given: CreateDbRecordsInput) -> CreatedDbRecords:
        """Insert the repository's row, or update the existing one."""
        row_id = object_id(given.project, "repository", given.name)
        values = {
            "url": given.url,
            "default_branch": given.default_branch,
            "commit": given.commit,
            "template": given.template,
        }
        statement = insert(Repository).values(
            id=row_id, project_id=UUID(given.project.id), name=given.name, **values
        )
        async with beating(), opened(self._engine) as connection:
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["project_id", "name"],
                    set_={**values, "updated_at": func.now()},
                )
            )
        return CreatedDbRecords(str(row_id), given.name, given.url, given.commit)

    @activity.defn
    async def delete_db_records(self, given: DeleteDbRecordsInput) -> Removed:
        """Delete the repository's row. Raises step_error if it was changed."""
        made = given.result or {}
        ours = (Repository.project_id == UUID(given.project.id)) & (
            Repository.name == made.get("name")
        )
        found = select(Repository.name, Repository.url, Repository.commit).where(ours)
        async with beating(), opened(self._engine) as connection:
            row = (await connection.execute(found.with_for_update())).one_or_none()
            if row is None:
                return Removed()
            if any(getattr(row, column) != made.get(column) for column in _COMPARED):
                raise left_behind(
                    f"The record of repository {row.name}", "it was changed in the meantime"
                )
            await connection.execute(delete(Repository).where(ours))
        return Removed([row.name])
