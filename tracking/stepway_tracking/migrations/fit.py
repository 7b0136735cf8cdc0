"""Checks at each start whether the database schema matches this version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import asyncpg

from stepway_tracking.migrations.history import (
    LIBRARY,
    History,
    damage,
    mismatch,
    missing_query,
)

COMMAND = "python -m stepway_tracking.migrate DATABASE_URL"


class Connection(Protocol):
    """An asyncpg connection or pool."""

    async def fetch(self, query: str) -> list[asyncpg.Record]:
        """Return the rows of a query."""


async def schema_problem(
    database: Connection,
    histories: Sequence[History] = (LIBRARY,),
    command: str = COMMAND,
) -> str | None:
    """The reason why the database cannot be used and the command to run, in one line; else None.

    A database that a newer version has migrated can be used until its `post` migrations are
    applied.
    """
    states = [(history, await _applied(database, history)) for history in histories]
    if problem := mismatch(states, command):
        return problem
    return damage([row["missing"] for row in await database.fetch(missing_query(histories))])


async def _applied(database: Connection, history: History) -> list[str]:
    try:
        rows = await database.fetch(f"SELECT version_num FROM {history.version_table}")
    except asyncpg.UndefinedTableError:
        return []
    return [row["version_num"] for row in rows]
