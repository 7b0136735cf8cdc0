"""Tiers of tests; one set of real servers for the whole session, in a temporary folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import hypothesis
import pytest
from temporalio.client import Client

from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway_tracking.postgres import open_pool
from tests.tiers import TIERS, tier_of

# An example may take long on a machine that does other work.
hypothesis.settings.register_profile("stepway", deadline=None)
hypothesis.settings.load_profile("stepway")

LENT = pytest.StashKey[Callable[[], Awaitable[Settings]]]()
"""The config's stash may lend running servers with a migrated database; then none are started."""


def pytest_configure(config: pytest.Config) -> None:
    for tier, meaning in TIERS.items():
        config.addinivalue_line("markers", f"{tier}: {meaning}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes after their argument: compressed ones differ from process to process."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, so that `-m unit` and `-m "not browser"` choose."""
    for item in items:
        item.add_marker(tier_of(item.path))


@pytest.fixture(scope="session")
async def servers(pytestconfig: pytest.Config) -> AsyncIterator[Settings]:
    """Settings with the addresses of Postgres (migrated), Valkey and Temporal."""
    if lend := pytestconfig.stash.get(LENT, None):
        yield await lend()
        return
    # Not pytest's own folder: as root it is closed to the user that Postgres runs as.
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        async with EmbeddedServers(Settings(data_dir=Path(folder) / "data")) as found:
            await upgrade_database(found.sqlalchemy_url)
            yield found


@pytest.fixture(scope="session")
async def pool(servers: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections to the record."""
    pool = await open_pool(servers.database_url)
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
async def temporal(servers: Settings) -> Client:
    """A client of the session's Temporal."""
    return await connect_temporal(servers)
