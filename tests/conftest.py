"""One set of real servers for the whole session, in a temporary folder, on free ports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from temporalio.client import Client

from embedded.servers import EmbeddedServers
from migrations.upgrade import upgrade_database
from tracking.database import open_pool
from tracking.settings import Settings
from tracking.temporal import connect_temporal


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Settings with the addresses of Postgres (migrated), Valkey and Temporal."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("servers"))
    async with EmbeddedServers(settings) as found:
        await upgrade_database(found.sqlalchemy_url)
        yield found


@pytest.fixture(scope="session")
async def pool(servers: Settings) -> AsyncIterator[asyncpg.Pool]:
    """The record's pool."""
    pool = await open_pool(servers.database_url)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
async def temporal(servers: Settings) -> Client:
    """A client of the session's Temporal."""
    return await connect_temporal(servers)
