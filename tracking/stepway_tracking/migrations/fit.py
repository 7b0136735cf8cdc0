"""Whether a database has the schema that this version needs; checked at every start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import asyncpg

from stepway_tracking.migrations.history import LIBRARY, History, mismatch

COMMAND = "python -m stepway_tracking.migrate DATABASE_URL"


class Connection(Protocol):
    """A connection of asyncpg, or a pool of them."""

    async def fetch(self, query: str) -> list[asyncpg.Record]:
        """Return the rows of a query."""


async def schema_problem(
    database: Connection,
    histories: Sequence[History] = (LIBRARY,),
    command: str = COMMAND,
) -> str | None:
    """Why the database cannot be used, and what to run, in one line; None where it can be.

    A database that a newer version has migrated can be used until that version's `post` migrations.
    """
    states = [(history, await _applied(database, history)) for history in histories]
    return mismatch(states, command)


async def _applied(database: Connection, history: History) -> list[str]:
    try:
        rows = await database.fetch(f"SELECT version_num FROM {history.version_table}")
    except asyncpg.UndefinedTableError:
        return []
    return [row["version_num"] for row in rows]
