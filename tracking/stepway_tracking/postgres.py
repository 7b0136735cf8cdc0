"""The connection pool of the record, and groups of the driver's errors."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

# Seconds after which an unanswered statement counts as a lost connection.
STATEMENT_TIMEOUT = 15.0

UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Errors after which the same statement may succeed later."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""Errors after which the same statement would fail again."""


class StatelessConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that returns to its pool without a round trip.

    No statement of the record changes the session, so a reset is not necessary. If the server dies
    during a message, the driver's state is undefined; such a connection is closed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unusable = False
        self.add_query_logger(self._note)

    def _note(self, query: asyncpg.connection.LoggedQuery) -> None:
        self._unusable |= isinstance(query.exception, asyncpg.InternalClientError)

    async def reset(self, *, timeout: float | None = None) -> None:
        """Close the connection if its state is undefined."""
        if self._unusable:
            self.terminate()


async def close_pool(pool: asyncpg.Pool, patience: float = 2.0) -> None:
    """Close a pool; connections that are still in use after `patience` seconds are cut off."""
    try:
        async with asyncio.timeout(patience):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def open_pool(url: str, *, max_size: int = 10) -> asyncpg.Pool:
    """A pool for a `postgresql://` URL; it opens each connection when it is first needed."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        timeout=10,
        command_timeout=STATEMENT_TIMEOUT,
        connection_class=StatelessConnection,
        server_settings={"timezone": "UTC", "application_name": "stepway"},
    )
