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
    asyncpg.PostgresSystemError,
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

_TROUBLES = {
    "25006": "The database takes no writes (read-only): it is a standby, or was made read-only",
    "53100": "The database's disk is full",
    "53200": "The database server is out of memory",
    "53300": "The database has no free connection",
    "53": "The database server lacks resources",
    "57P03": "The database server is starting or stopping",
    "57": "The database server is stopping, or an operator cancelled the statement",
    "58": "The database server has an error of its disk or operating system",
    "08": "The connection to the database was lost",
    "40": "The database rolled the transaction back",
}
"""Reasons by SQLSTATE, or by its class: its first two characters."""


def trouble(error: BaseException) -> str | None:
    """Why the database cannot serve at the moment, without a full stop; None for other errors.

    Takes errors of asyncpg, and of SQLAlchemy, which keeps the driver's error in `orig`.
    """
    state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    return _TROUBLES.get(state) or _TROUBLES.get(state[:2])


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
