"""An empty database on the session's Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from stepway.runtime.settings import Settings
from tests.support.databases import empty_database


@pytest.fixture
async def empty(servers: Settings, pool: asyncpg.Pool) -> AsyncIterator[str]:
    """The URL of an empty database."""
    async with empty_database(pool, servers.database_url) as url:
        yield url
