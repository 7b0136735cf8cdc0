"""The server's history of migrations, and the check of a database at start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stepway_tracking.migrations.fit import Connection as Readable
from stepway_tracking.migrations.fit import schema_problem
from stepway_tracking.migrations.history import LIBRARY, History, refuse_foreign, tables_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

COMMAND = "stepway migrate"

FIRST = "alembic_version"
"""The version table of versions up to 0.1, whose history included the library's tables."""

FIRST_TABLES = {"environments", "repositories"}
SECOND_TABLES = {"tokens", "sessions", "credentials"}
LATER_TABLES = {"template_versions"}
ADOPTED = "Adopted by Stepway: `stepway migrate --post` drops it."


def _adopt(connection: Connection) -> str | None:
    found = tables_of(connection, FIRST_TABLES | SECOND_TABLES)
    at = _first_history(connection)
    if at == "0001" and found == FIRST_TABLES:
        return "0001_pre"
    if at == "0002" and found == FIRST_TABLES | SECOND_TABLES:
        return "0002_pre"
    refuse_foreign(found)
    return None


def _first_history(connection: Connection) -> str | None:
    """The revision in FIRST; None if the table belongs to another application."""
    ours = """SELECT EXISTS (SELECT FROM pg_constraint
                             WHERE conname = 'environments_approvals_check'
                               AND connamespace = current_schema()::regnamespace)"""
    if not tables_of(connection, [FIRST]) or not connection.exec_driver_sql(ours).scalar():
        return None
    rows = connection.exec_driver_sql(f"SELECT version_num FROM {FIRST}").scalars().all()
    return rows[0] if len(rows) == 1 else None


def _mark_first_history(connection: Connection) -> None:
    # The table is kept until `post`: without it the old version's `stepway migrate` would fail.
    connection.exec_driver_sql(f"COMMENT ON TABLE {FIRST} IS '{ADOPTED}'")


SERVER = History(
    "stepway",
    Path(__file__).parent / "versions",
    "stepway_version",
    _adopt,
    _mark_first_history,
    tables=sorted(FIRST_TABLES | SECOND_TABLES | LATER_TABLES),
)

HISTORIES = (LIBRARY, SERVER)
"""Ordered by dependency: the server's tables reference the library's."""


async def server_schema_problem(database: Readable) -> str | None:
    """Why the server cannot use the database and what to run, in one line; None if it can."""
    return await schema_problem(database, HISTORIES, COMMAND)
