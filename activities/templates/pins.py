"""The commits of a project's Git templates, so that every attempt renders the same one."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stepway.activities.models import TemplateVersion
from stepway.activities.postgres import opened
from stepway.activities.project import ProjectRef
from stepway.activities.templates.fetch import Version
from stepway_tracking.record.models import Project


class TemplatePins:
    """Keeps them with the project's row; the first attempt that resolves a template decides."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def kept(self, project: ProjectRef, url: str, ref: str) -> Version | None:
        """Return what the template was resolved to; None if it was not yet."""
        query = select(TemplateVersion.commit, TemplateVersion.version).where(
            TemplateVersion.project_id == UUID(project.id),
            TemplateVersion.url == url,
            TemplateVersion.ref == ref,
        )
        async with opened(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return Version(row.commit, row.version) if row else None

    async def keep(self, project: ProjectRef, url: str, ref: str, found: Version) -> Version:
        """Keep a commit unless one is kept already; return the one that is kept."""
        columns = ["project_id", "url", "ref", "commit", "version"]
        # Nothing is kept for a project that was deleted meanwhile.
        row = select(
            Project.id, literal(url), literal(ref), literal(found.commit), literal(found.version)
        ).where(Project.id == UUID(project.id))
        statement = insert(TemplateVersion).from_select(columns, row, include_defaults=False)
        async with opened(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing())
        return await self.kept(project, url, ref) or found
