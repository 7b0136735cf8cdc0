"""Bring a database to the schema of this version; safe to repeat and when several start at once."""

from __future__ import annotations

from stepway.migrations.history import HISTORIES
from stepway_tracking.migrations import apply
from stepway_tracking.migrations.apply import Migration


async def upgrade_database(database_url: str, *, post: bool = False) -> list[Migration]:
    """Apply the migrations that a database lacks, and return them.

    Without `post`, processes of the version before go on working; an empty database gets
    everything. Raises SchemaError for a database that this version cannot migrate.
    """
    return await apply.migrate(database_url, HISTORIES, post=post)


async def pending_migrations(database_url: str) -> list[Migration]:
    """The migrations that a database lacks; changes nothing. Raises SchemaError."""
    return await apply.pending(database_url, HISTORIES)
