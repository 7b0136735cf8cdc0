"""The schema as the migrations make it, on a real Postgres."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import stepway.activities.models
import stepway.api.auth.models
import stepway.vault.models
from stepway.migrations.upgrade import alembic_config, upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.record.models import Base
from tests.support.servers import PATIENCE

TABLES = stepway.activities.models, stepway.api.auth.models, stepway.vault.models
"""Importing these registers their tables with Base."""

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def empty(servers: Settings, pool: asyncpg.Pool) -> AsyncIterator[str]:
    """The SQLAlchemy URL of an empty database."""
    name = f"migrations_{uuid4().hex[:8]}"
    await pool.execute(f"CREATE DATABASE {name}")
    base, _, options = servers.sqlalchemy_url.partition("?")
    yield f"{base.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")
    await pool.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def on(url: str, look: object) -> object:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(look)  # type: ignore[arg-type]
    finally:
        await engine.dispose()


def revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, Base.metadata))


def checks(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.exec_driver_sql(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    )
    return {(row[0], row[1]) for row in rows}


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


async def test_several_who_start_at_once_on_an_empty_database_are_safe(empty: str) -> None:
    await asyncio.gather(*(migrate_in_a_process_of_its_own(empty) for _ in range(4)))
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert await on(empty, revision) == head


async def test_repeating_it_changes_nothing(empty: str) -> None:
    def functions(connection: Connection) -> set[tuple[object, ...]]:
        rows = connection.exec_driver_sql(
            "SELECT oid, proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        return {tuple(row) for row in rows}

    await upgrade_database(empty)
    before = await on(empty, functions)
    await upgrade_database(empty)
    assert await on(empty, functions) == before


async def test_the_models_say_what_the_migrations_make(empty: str) -> None:
    await upgrade_database(empty)
    assert await on(empty, difference) == []


async def test_the_checks_of_the_models_are_in_the_database(empty: str) -> None:
    """Alembic compares no check constraints."""
    await upgrade_database(empty)
    wanted = {
        (table.name, str(constraint.name))
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if type(constraint).__name__ == "CheckConstraint"
    }
    assert wanted and await on(empty, checks) == wanted


async def test_there_is_one_line_of_migrations() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert all(len(step.nextrev) <= 1 for step in script.walk_revisions())
