"""Lets a step wait for Postgres: an attempt that could not reach it costs the step nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stepway_tracking.postgres import UNREACHABLE, trouble
from stepway_tracking.record.errors import step_error

WAIT = 1.0
"""Seconds until the next attempt; its start then waits until Postgres is there."""


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Turn an error of Postgres that passes into a step_error that asks to wait.

    The attempt is not among `maximum_attempts`.
    """
    try:
        yield
    except (DBAPIError, *UNREACHABLE) as error:
        if not _passes(error):
            raise
        raise step_error(
            trouble(error) or "The database cannot be reached",
            remedy="Ask an operator to check the database, then retry.",
            retry_after=WAIT,
        ) from error


@asynccontextmanager
async def opened(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection with a transaction; errors of Postgres become those of steps."""
    with postgres_errors():
        async with engine.begin() as connection:
            yield connection


def _passes(error: Exception) -> bool:
    if not isinstance(error, DBAPIError):
        return True
    is_lost = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return is_lost or trouble(error) is not None
