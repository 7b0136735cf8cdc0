"""Creates and inspects databases on the test session's Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import uuid4

import asyncpg
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from stepway_tracking.migrations.apply import alembic_config
from stepway_tracking.migrations.history import History

T = TypeVar("T")

SCHEMA = """
SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
       || ' ' || coalesce(column_default, '')
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'function ' || pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


@asynccontextmanager
async def empty_database(pool: asyncpg.Pool, url: str) -> AsyncIterator[str]:
    """Create a database on the server of `url`; yields its URL and drops it at the end."""
    name = f"stepway_{uuid4().hex[:8]}"
    await pool.execute(f"CREATE DATABASE {name}")
    base, _, options = url.partition("?")
    try:
        yield f"{base.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")
    finally:
        await pool.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect with asyncpg; yields the connection."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def on(url: str, look: Callable[[Connection], T]) -> T:
    """Call `look` with an SQLAlchemy connection in a transaction; return its result."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


async def schema(url: str) -> set[str]:
    """Return all columns, indexes, constraints and functions of a database, as text."""
    async with connected(url) as connection:
        return {row[0] for row in await connection.fetch(SCHEMA)}


async def functions(url: str) -> set[str]:
    """Return the names of the functions in a database."""
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
    return {row[0] for row in rows}


async def applied(url: str, history: History) -> list[str]:
    """Return the revisions in a history's version table."""
    async with connected(url) as connection:
        rows = await connection.fetch(f"SELECT version_num FROM {history.version_table}")
    return sorted(row[0] for row in rows)


async def upgrade_to(url: str, history: History, revision: str) -> None:
    """Apply one revision and its ancestors."""
    await on(url, partial(_upgrade, history=history, revision=revision))


def _upgrade(connection: Connection, history: History, revision: str) -> None:
    config = alembic_config(history)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
