"""Connections to Postgres: a pool for the record, an engine for everything else."""

from __future__ import annotations

import asyncio

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# Seconds after which an unanswered statement counts as a lost connection.
STATEMENT_TIMEOUT = 15.0

UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What a driver raises when Postgres takes no statement now, and may take the same one later."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""What a driver raises when Postgres will never take this statement."""


async def open_pool(url: str, *, max_size: int = 10) -> asyncpg.Pool:
    """A pool on a `postgresql://` URL; opens its connections when they are first needed."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        timeout=10,
        command_timeout=STATEMENT_TIMEOUT,
        reset=_leave_as_it_is,
        server_settings={"timezone": "UTC", "application_name": "stepway"},
    )


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """No statement of the record changes its session: undoing that would be a round trip each."""


def open_engine(sqlalchemy_url: str) -> AsyncEngine:
    """An engine on a `postgresql+asyncpg://` URL; connects when first used."""
    return create_async_engine(
        sqlalchemy_url,
        pool_pre_ping=True,
        connect_args={
            "timeout": 10,
            "command_timeout": STATEMENT_TIMEOUT,
            "server_settings": {"timezone": "UTC", "application_name": "stepway"},
        },
    )
