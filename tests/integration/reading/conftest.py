"""The reading side on a real Postgres and a real Valkey, served over real HTTP.

Temporal is not there: reading must not need it.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from stepway.api.app import create_app
from stepway.api.serving import listen, serving
from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from stepway_tracking.record.changes import NewInitialization, PlannedRow, ProjectChange, StepChange
from stepway_tracking.record.store import Store
from stepway_tracking.stream.hub import Hub
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.publisher import Publisher, open_redis

STEPS = ("resolve_credentials", "create_repository", "finalize")


@dataclass
class Site:
    """One API process' application, served at `url`."""

    url: str
    app: FastAPI

    @property
    def hub(self) -> Hub:
        hub: Hub = self.app.state.resources.hub
        return hub

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20, trust_env=False)


class Deaf:
    """A publisher that loses every message."""

    async def publish(self, project_id: str, messages: list[str]) -> None:
        """Publish nothing."""


@dataclass
class Writer:
    """Creates and changes projects as a worker does."""

    store: Store
    deaf: Store

    async def project(
        self, name: str | None = None, blueprint: str = "web-service", *, lost: bool = False
    ) -> UUID:
        project_id = uuid4()
        new = NewInitialization(
            project_id=str(project_id),
            name=name or f"shop-{project_id.hex[:8]}",
            owner="local",
            blueprint=blueprint,
            parameters={},
            definition={},
            workflow_id=f"initialize-{project_id}",
            run_id="run",
            request_hash="",
            deadline=(datetime.now(UTC) + timedelta(minutes=1)).isoformat(),
            actor="local",
            steps=[PlannedRow(step, step.capitalize(), 1, False, {}) for step in STEPS],
        )
        await (self.deaf if lost else self.store).initialize_steps_in_database(new)
        return project_id

    async def step(
        self, project_id: UUID, step: str, action: str, *, lost: bool = False, **more: Any
    ) -> None:
        store = self.deaf if lost else self.store
        await store.update_step_status(str(project_id), StepChange(step, action, **more))

    async def start(self, project_id: UUID, step: str, **more: Any) -> None:
        now = datetime.now(UTC).isoformat()
        await self.step(
            project_id, step, "started", fence=now, run_id="run", attempt=1, activity_id="1", **more
        )

    async def wait_for_a_person(self, project_id: UUID) -> None:
        await self.store.update_project(
            str(project_id), ProjectChange("failed", status="failed", error="finalize failed")
        )

    async def end(self, project_id: UUID, status: str, *, lost: bool = False) -> None:
        store = self.deaf if lost else self.store
        await store.update_project(
            str(project_id), ProjectChange("ended", status=status, ends=True)
        )


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[EmbeddedServers]:
    with tempfile.TemporaryDirectory(prefix="stepway-") as folder:
        given = Settings(data_dir=Path(folder), temporal_address="127.0.0.1:1")
        embedded = EmbeddedServers(given)
        settings = await embedded.start()
        try:
            await upgrade_database(settings.sqlalchemy_url)
            yield embedded
        finally:
            await embedded.stop()


@pytest.fixture(scope="session")
async def settings(servers: EmbeddedServers) -> Settings:
    addresses: dict[str, str] = {}
    for name in servers.names:
        addresses |= servers[name].addresses()
    return Settings(temporal_address="127.0.0.1:1", **addresses)


@pytest.fixture(scope="session")
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    async with await open_pool(settings.database_url) as pool:
        yield pool


@pytest.fixture(scope="session")
async def writer(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Writer]:
    async with open_redis(settings.redis_url) as redis:
        yield Writer(Store(pool, Publisher(redis)), Store(pool, Deaf()))


Serve = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture(scope="session")
def serve(settings: Settings) -> Serve:
    """Serves the application with the given hub options and settings."""

    @asynccontextmanager
    async def run(options: HubOptions | None = None, **changed: Any) -> AsyncIterator[Site]:
        app = create_app(settings.model_copy(update=changed), hub_options=options)
        listener = listen("127.0.0.1", 0)
        async with serving(app, listener):
            yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", app)

    return run


@pytest.fixture(scope="session")
async def site(serve: Serve) -> AsyncIterator[Site]:
    async with serve() as site:
        yield site


@pytest.fixture
async def http(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with site.client() as client:
        yield client
