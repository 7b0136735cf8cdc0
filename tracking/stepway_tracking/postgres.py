"""The pool of connections that reads and writes the record, and what its driver raises."""

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
"""What a driver raises when Postgres takes no statement now, and may take the same one later."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""What a driver raises when Postgres will never take this statement."""


class StatelessConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that goes back to its pool without a round trip.

    No statement of the record changes its session, so there is nothing to undo. But a dying server
    can leave the driver in the middle of a message; such a connection is ended, not given back.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unusable = False
        self.add_query_logger(self._note)

    def _note(self, query: asyncpg.connection.LoggedQuery) -> None:
        self._unusable |= isinstance(query.exception, asyncpg.InternalClientError)

    async def reset(self, *, timeout: float | None = None) -> None:
        """End the connection if it is of no use any more."""
        if self._unusable:
            self.terminate()


async def open_pool(url: str, *, max_size: int = 10) -> asyncpg.Pool:
    """A pool on a `postgresql://` URL; opens its connections when they are first needed."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        timeout=10,
        command_timeout=STATEMENT_TIMEOUT,
        connection_class=StatelessConnection,
        server_settings={"timezone": "UTC", "application_name": "stepway"},
    )
