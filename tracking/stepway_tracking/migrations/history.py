"""Histories of migrations: the library's (`LIBRARY`), or that of an application which uses it.

A history has two lines of migrations. Processes of the previous version keep working after `pre`
migrations; `post` migrations remove the objects that only those processes use. A file is named
`NUMBER_KIND_TITLE.py`; `NUMBER_KIND` is its revision. The version table has one row for each line,
with the last revision that was applied.

This module does not load Alembic, because workers and servers use it at each start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stepway_tracking.record.errors import SchemaError

if TYPE_CHECKING:
    from sqlalchemy import Connection

Kind = Literal["pre", "post"]
KINDS: tuple[Kind, ...] = ("pre", "post")


@dataclass(frozen=True)
class History:
    """Migrations in the folder `versions`; `version_table` has the state of a database.

    `adopt` returns the revision of tables that are older than the version table, None if there are
    none. `on_adopt` runs once, after that revision was inserted into the version table. `tables`
    and `functions` are those that the code of this version uses.
    """

    distribution: str
    versions: Path
    version_table: str
    adopt: Callable[[Connection], str | None]
    on_adopt: Callable[[Connection], None] = lambda connection: None
    tables: Sequence[str] = ()
    functions: Sequence[str] = ()

    def revisions(self, kind: Kind) -> list[str]:
        """All revisions of a kind, in order."""
        return list(_revisions(self.versions, kind))

    def pending(self, applied: Collection[str], kind: Kind) -> list[str]:
        """The missing revisions of a kind; `applied` are the rows of the version table."""
        known = self.revisions(kind)
        reached = [revision for revision in applied if revision.endswith(f"_{kind}")]
        if not reached:
            return known
        return [] if self.unknown(reached) else known[known.index(reached[0]) + 1 :]

    def unknown(self, applied: Collection[str]) -> list[str]:
        """The rows of the version table that this version does not know; a newer one wrote them."""
        known = {revision for kind in KINDS for revision in self.revisions(kind)}
        return sorted(set(applied) - known)


@cache
def _revisions(versions: Path, kind: Kind) -> tuple[str, ...]:
    files = sorted(versions.glob(f"[0-9]*_{kind}_*.py"))
    return tuple("_".join(file.stem.split("_")[:2]) for file in files)


def mismatch(states: Sequence[tuple[History, Collection[str]]], command: str) -> str | None:
    """Why a database cannot be used and what to do, in one line; None if it matches.

    `states` are histories with the rows of their version tables; `command` migrates the database.
    """
    product = states[-1][0].distribution
    removed = [row for history, rows in states for row in history.unknown(rows) if "_post" in row]
    if removed:
        return (
            f"the database was migrated for a newer version ({', '.join(removed)}) "
            f"and no longer works with this one: upgrade {product}"
        )
    if not any(rows for _, rows in states):
        return (
            f"the database has no tables of {product}, or those of an old version: run `{command}`"
        )
    missing = [
        f"{history.distribution} {row}"
        for history, rows in states
        for row in history.pending(rows, "pre")
    ]
    if missing:
        return (
            f"the database is older than this version needs ({', '.join(missing)}): run `{command}`"
        )
    return None


def missing_query(histories: Sequence[History]) -> str:
    """The SQL that returns the missing tables and functions of histories, as `missing`."""
    used = [
        f"('{kind} {name}', to_reg{catalog}('{name}') IS NULL)"
        for history in histories
        for kind, catalog, names in (
            ("table", "class", history.tables),
            ("function", "proc", history.functions),
        )
        for name in names
    ]
    return f"SELECT missing FROM (VALUES {', '.join(used)}) AS used (missing, gone) WHERE gone"


def damage(missing: Sequence[str]) -> str | None:
    """Why a database cannot be used that lacks these tables and functions, in one line."""
    if not missing:
        return None
    return (
        f"the database is damaged: its version table says that it is up to date, but it lacks the "
        f"{', the '.join(missing)}: restore the database from a backup"
    )


TABLES = (
    "projects",
    "project_initialization_steps",
    "project_initialization_attempts",
    "project_initialization_events",
)
LOGS = "project_initialization_logs"
ARCHIVED_LOGS = "project_initialization_logs_archived"


def tables_of(connection: Connection, names: Collection[str]) -> set[str]:
    """Those of the given tables that exist in the current schema."""
    rows = connection.exec_driver_sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    )
    return {row[0] for row in rows} & set(names)


def refuse_foreign(tables: Collection[str]) -> None:
    """Raise SchemaError if there are any tables: another application created them."""
    if tables:
        raise SchemaError(
            f"the database already has tables that Stepway did not create: "
            f"{', '.join(sorted(tables))}. Give Stepway its own database"
        )


def _adopt(connection: Connection) -> str | None:
    found = tables_of(connection, TABLES)
    names = "SELECT to_regproc('stepway_record'), to_regclass('projects_newest_of_owner')"
    function, index = connection.exec_driver_sql(names).one()
    if found != set(TABLES) or function is None:
        refuse_foreign(found)
        return None
    return "0001_pre" if index is None else "0002_pre"


FUNCTIONS = (
    "stepway_plan_v3",
    "stepway_record_v3",
    "stepway_initialization_json_v3",
    "stepway_project_json_v3",
    "stepway_steps_json_v3",
    "stepway_keep_logs_v1",
    "stepway_add_logs_partitions_v1",
)

LIBRARY = History(
    "stepway-tracking",
    Path(__file__).parent / "versions",
    "stepway_tracking_version",
    _adopt,
    tables=(*TABLES, LOGS, ARCHIVED_LOGS),
    functions=FUNCTIONS,
)
