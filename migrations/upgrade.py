"""Upgrades a database to the schema of this version."""

from __future__ import annotations

from stepway.migrations.history import HISTORIES
from stepway_tracking.migrations import apply
from stepway_tracking.migrations.apply import Migration


async def upgrade_database(database_url: str, *, post: bool = False) -> list[Migration]:
    """Apply the pending migrations and return them. Safe to repeat and to run concurrently.

    Without `post`, processes of the previous version keep working. An empty database gets all
    migrations. Raises SchemaError for a database that this version cannot migrate.
    """
    return await apply.migrate(database_url, HISTORIES, post=post)


async def pending_migrations(database_url: str) -> list[Migration]:
    """The pending migrations of a database; changes nothing. Raises SchemaError."""
    return await apply.pending(database_url, HISTORIES)
