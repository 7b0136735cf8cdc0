"""Checks whether the record can be written."""

from __future__ import annotations

from typing import Any, Protocol

import asyncpg

from stepway_tracking.postgres import UNREACHABLE, trouble

ENCODING = "UTF8"

KEYS = {
    "projects": "id",
    "project_initialization_steps": "project_id",
    "project_initialization_attempts": "project_id",
    "project_initialization_events": "project_id",
}
"""The tables of the record, each with a column of its key."""


class Database(Protocol):
    """An asyncpg connection or pool."""

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """Return the first row of a query."""


async def write_problem(database: Database) -> str | None:
    """The reason why the record cannot be written, in one sentence; None if it can.

    Changes nothing, but writes a temporary file to the disk. Raises one of UNREACHABLE if Postgres
    does not respond.
    """
    try:
        # An argument, so that the statement is prepared as those of the record are.
        found = await database.fetchrow(_SETTINGS, "server_encoding")
        assert found
        if found["encoding"] != ENCODING:
            return (
                f"The database has the encoding {found['encoding']}: create one with ENCODING "
                f"'{ENCODING}' and TEMPLATE template0."
            )
        await database.fetchrow(_WRITES, False)
        await database.fetchrow(_SPILL, _ROWS)
    except asyncpg.ConfigurationLimitExceededError:
        return None  # temp_file_limit forbids the temporary file; it says nothing of the disk
    except (
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.PostgresSystemError,
    ) as error:
        return f"{trouble(error)}."
    except UNREACHABLE:
        raise
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        return (
            "A connection pooler loses prepared statements: use its session mode, or PgBouncer "
            "1.21 or newer with max_prepared_statements."
        )
    except asyncpg.InsufficientPrivilegeError as error:
        return f"The database user lacks a right: {error}."
    except asyncpg.PostgresError as error:
        return f"The database refuses to write: {error}."
    return None


_SETTINGS = "SELECT current_setting($1) AS encoding"

_ROWS = 16_000

# A full disk refuses only new blocks. A row may fit into a page that exists, and WAL into a segment
# that is recycled, so writing either proves nothing; a larger row would leave bloat. Rows beyond
# work_mem (64 kB is its least value) go to a temporary file of some hundred kB on the disk of the
# tables, without WAL. The first part lowers work_mem before the second part starts; the setting
# ends with the transaction.
_SPILL = """
WITH lowered AS MATERIALIZED (SELECT set_config('work_mem', '64kB', true) AS work_mem)
SELECT count(row) FROM lowered, LATERAL generate_series(1, $1 + 0 * length(work_mem)) AS row
"""


def _writes() -> str:
    """A statement that writes no row: Postgres checks the rights all the same."""
    parts = [
        f"""in_{table} AS (INSERT INTO {table} ({column}) SELECT {column} FROM {table}
                           WHERE $1::boolean),
            up_{table} AS (UPDATE {table} SET {column} = {column} WHERE $1::boolean)"""
        for table, column in KEYS.items()
    ]
    return f"WITH {', '.join(parts)} SELECT 1"


_WRITES = _writes()
