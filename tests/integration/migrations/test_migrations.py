"""The migrations, on a real Postgres."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

import stepway.activities.models
import stepway.api.auth.models
import stepway.vault.models
from stepway.migrations.history import HISTORIES, SERVER, server_schema_problem
from stepway.migrations.upgrade import pending_migrations, upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking import migrate as library
from stepway_tracking.migrations.history import ARCHIVED_LOGS, LIBRARY, LOGS, History
from stepway_tracking.record.errors import SchemaError
from stepway_tracking.record.models import Base
from stepway_tracking.worker.plugin import open_tracking
from tests.support.databases import (
    applied,
    connected,
    empty_database,
    functions,
    on,
    schema,
    upgrade_to,
)
from tests.support.servers import PATIENCE

TABLES = stepway.activities.models, stepway.api.auth.models, stepway.vault.models
"""Importing these registers their tables with Base."""

Row = dict[str, Any]

ROOT = Path(__file__).parents[3]
VERSION_TABLES = {history.version_table for history in HISTORIES}
BEFORE_VERSIONS = {"stepway_record", "stepway_plan", "stepway_initialization_json"}


async def make_old_database(url: str, revision: str) -> None:
    """A database of version 0.1 at one of its revisions, with a project."""
    for history in HISTORIES:
        await upgrade_to(url, history, f"{revision}_pre")
    async with connected(url) as connection:
        for table in VERSION_TABLES:
            await connection.execute(f"DROP TABLE {table}")
        await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
        await connection.execute(
            """SELECT stepway_plan(
                 '{"id": "00000000-0000-0000-0000-000000000001", "name": "shop", "owner": "local",
                   "blueprint": "web-service", "parameters": {}, "definition": {},
                   "workflow_id": "w"}',
                 '[{"step": "a", "display_name": "A", "weight": 1, "optional": false,
                    "metadata": {}}]', NULL)"""
        )
        await connection.execute(
            """INSERT INTO environments (id, project_id, name)
               SELECT gen_random_uuid(), id, 'production' FROM projects"""
        )


async def rows(url: str, like: list[Row] | None = None) -> list[Row]:
    """Return all rows of the tables of version 0.1, with the columns that `like` has if given."""
    tables = [*library_tables(), "environments", "repositories"]
    async with connected(url) as connection:
        found: list[Row] = [
            json.loads(row[0])
            for table in tables
            for row in await connection.fetch(f"SELECT to_jsonb(t) FROM {table} t ORDER BY t::text")
        ]
    if like is None:
        return found
    pairs = zip(found, like, strict=True)
    return [{name: row[name] for name in before} for row, before in pairs]


def library_tables() -> list[str]:
    return [name for name in Base.metadata.tables if name.startswith("project")]


def heads(history: History) -> list[str]:
    return sorted(history.revisions(kind)[-1] for kind in ("pre", "post"))


def has_model(table: str) -> bool:
    """Logs have none: SQLAlchemy knows no partitions."""
    return table not in VERSION_TABLES and not table.startswith(LOGS)


def difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _: kind != "table" or has_model(str(name)),
        },
    )
    return list(compare_metadata(context, Base.metadata))


def checks(connection: Connection) -> set[tuple[str, str]]:
    found = connection.exec_driver_sql(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    )
    return {(row[0], row[1]) for row in found}


async def migrate_in_a_process_of_its_own(url: str) -> None:
    program = "import asyncio, sys; from stepway.migrations.upgrade import upgrade_database; "
    program += "asyncio.run(upgrade_database(sys.argv[1]))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, url, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()


async def test_concurrent_migrations_of_an_empty_database_are_safe(empty: str) -> None:
    await asyncio.gather(*(migrate_in_a_process_of_its_own(empty) for _ in range(4)))
    for history in HISTORIES:
        assert await applied(empty, history) == heads(history)


async def test_an_empty_database_gets_pre_and_post(empty: str) -> None:
    assert {step.kind for step in await upgrade_database(empty)} == {"pre", "post"}
    assert await pending_migrations(empty) == []
    assert not BEFORE_VERSIONS & await functions(empty)


async def test_repeating_it_changes_nothing(empty: str) -> None:
    def oids(connection: Connection) -> set[tuple[object, ...]]:
        found = connection.exec_driver_sql(
            "SELECT oid, proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        return {tuple(row) for row in found}

    await upgrade_database(empty)
    before = await on(empty, oids)
    assert await upgrade_database(empty, post=True) == []
    assert await on(empty, oids) == before


async def test_the_models_say_what_the_migrations_make(empty: str) -> None:
    await upgrade_database(empty)
    assert await on(empty, difference) == []


async def test_the_checks_of_the_models_are_in_the_database(empty: str) -> None:
    """Checked here, because Alembic does not compare check constraints."""
    await upgrade_database(empty)
    wanted = {
        (table.name, str(constraint.name))
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if type(constraint).__name__ == "CheckConstraint"
    }
    assert wanted and await on(empty, checks) == wanted


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_a_database_of_the_first_history_is_adopted_as_it_is(
    empty: str, servers: Settings, pool: asyncpg.Pool, revision: str
) -> None:
    await make_old_database(empty, revision)
    before = await rows(empty)
    assert len(before) == 4

    steps = await upgrade_database(empty)
    assert steps and all(step.kind == "pre" for step in steps)
    assert f"{revision}_pre" not in {step.revision for step in steps}
    assert await functions(empty) >= BEFORE_VERSIONS, "processes of version 0.1 call them"
    async with connected(empty) as connection:
        # `stepway migrate` of version 0.1 reads this table and finds nothing to do.
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == revision
        assert await server_schema_problem(connection) is None

    await upgrade_database(empty, post=True)
    assert not BEFORE_VERSIONS & await functions(empty)
    assert await rows(empty, like=before) == before
    async with empty_database(pool, servers.database_url) as new:
        await upgrade_database(new)
        assert await schema(empty) == await schema(new)


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_an_old_database_gets_pre_and_post_at_once_where_nothing_runs(
    empty: str, revision: str
) -> None:
    """As `stepway up` does with its own Postgres."""
    await make_old_database(empty, revision)
    before = await rows(empty)
    await upgrade_database(empty, post=True)
    assert await rows(empty, like=before) == before
    assert await pending_migrations(empty) == []
    async with connected(empty) as connection:
        assert await connection.fetchval("SELECT to_regclass('alembic_version')") is None


async def test_the_library_leaves_the_servers_half_of_an_old_database_alone(empty: str) -> None:
    await make_old_database(empty, "0002")
    before = await rows(empty)
    await library.migrate(empty, post=True)
    async with connected(empty) as connection:
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0002"
    await upgrade_database(empty, post=True)
    assert await rows(empty, like=before) == before
    for history in HISTORIES:
        assert await applied(empty, history) == heads(history)


async def test_checking_changes_nothing(empty: str) -> None:
    await make_old_database(empty, "0001")
    before = await schema(empty)
    assert {step.kind for step in await pending_migrations(empty)} == {"pre", "post"}
    assert await schema(empty) == before


async def test_pre_migrations_work_with_and_without_earlier_post_migrations(
    empty: str, servers: Settings, pool: asyncpg.Pool
) -> None:
    """`post` may be applied late, or never."""
    await upgrade_database(empty)
    async with empty_database(pool, servers.database_url) as by_number:
        for history in HISTORIES:
            every = [*history.revisions("pre"), *history.revisions("post")]
            for revision in sorted(every):
                await upgrade_to(by_number, history, revision)
        assert await schema(by_number) == await schema(empty)


async def test_tables_of_another_application_are_left_alone(empty: str) -> None:
    async with connected(empty) as connection:
        await connection.execute("CREATE TABLE projects (id integer)")
    with pytest.raises(SchemaError, match="tables that Stepway did not create: projects"):
        await upgrade_database(empty)
    async with connected(empty) as connection:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname='public'")
    assert [row[0] for row in names] == ["projects"]


async def test_alembics_table_of_another_application_is_left_alone(empty: str) -> None:
    async with connected(empty) as connection:
        await connection.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        await connection.execute("INSERT INTO alembic_version VALUES ('0002')")
    await upgrade_database(empty, post=True)
    async with connected(empty) as connection:
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0002"


async def set_applied(url: str, history: History, kind: str, revision: str) -> None:
    async with connected(url) as connection:
        table = history.version_table
        await connection.execute(f"DELETE FROM {table} WHERE version_num LIKE '%\\_{kind}'")
        await connection.execute(f"INSERT INTO {table} VALUES ($1)", revision)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.distribution)
async def test_a_newer_database_is_used_until_its_post_migrations(
    empty: str, history: History
) -> None:
    await upgrade_database(empty)
    await set_applied(empty, history, "pre", "9998_pre")
    async with connected(empty) as connection:
        assert await server_schema_problem(connection) is None
    assert await upgrade_database(empty) == [], "an old container may migrate at its start"
    with pytest.raises(SchemaError, match="9998_pre"):
        await upgrade_database(empty, post=True)

    await set_applied(empty, history, "post", "9999_post")
    async with connected(empty) as connection:
        problem = await server_schema_problem(connection)
    assert problem and "upgrade stepway" in problem and "9999_post" in problem
    with pytest.raises(SchemaError, match="newer version"):
        await upgrade_database(empty)


async def test_a_database_that_lacks_a_migration_names_the_command(empty: str) -> None:
    async with connected(empty) as connection:
        problem = await server_schema_problem(connection)
        assert problem and "no tables" in problem and "run `stepway migrate`" in problem
        await library.migrate(empty)
        await set_applied(empty, LIBRARY, "pre", "0002_pre")
        problem = await server_schema_problem(connection)
    assert problem and "stepway-tracking 0007_pre, stepway 0001_pre" in problem
    assert "\n" not in problem and "run `stepway migrate`" in problem


async def test_open_tracking_says_which_command_makes_the_tables(
    empty: str, servers: Settings
) -> None:
    command = "python -m stepway_tracking.migrate DATABASE_URL"
    with pytest.raises(SchemaError, match=command):
        async with open_tracking(empty, servers.redis_url):
            pass
    await library.migrate(empty)
    async with open_tracking(empty, servers.redis_url):
        pass


async def test_the_library_makes_its_own_tables_only(empty: str) -> None:
    await library.migrate(empty)
    async with connected(empty) as connection:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname='public'")
    tables = {row[0] for row in names if not re.fullmatch(rf"{LOGS}_([0-9]+|default)", row[0])}
    assert tables == {*library_tables(), LIBRARY.version_table, LOGS, ARCHIVED_LOGS}
    await upgrade_database(empty)
    assert await applied(empty, SERVER) == heads(SERVER)
