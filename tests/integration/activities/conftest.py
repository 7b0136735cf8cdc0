"""Fixtures that run steps as Temporal does, on a real Postgres and real folders."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import stepway.activities.models  # noqa: F401 - its tables are created below
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.embedded.servers import EmbeddedServers
from stepway.runtime.settings import Settings
from stepway_tracking.record.models import Base, Project


@pytest.fixture(scope="session")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("servers"),
        redis_url="redis://127.0.0.1:1",
        temporal_address="127.0.0.1:1",
    )
    async with EmbeddedServers(settings) as found:
        yield found.database_url


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(Settings(database_url=database_url).sqlalchemy_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    try:
        yield engine
    finally:
        await engine.dispose()


@dataclass
class Worker:
    """Runs a step by its activity type and collects its heartbeats."""

    data_dir: Path
    steps: dict[str, Callable[..., Any]]
    heartbeats: list[Any] = field(default_factory=list)

    def environment(self) -> ActivityEnvironment:
        environment = ActivityEnvironment()
        environment.on_heartbeat = lambda *details: self.heartbeats.append(details[0])
        return environment

    def run(self, step: str, given: Any) -> Any:
        """Run the step; for an async step, await the return value."""
        return self.environment().run(self.steps[step], given)


@pytest.fixture
def resources(tmp_path: Path, engine: AsyncEngine) -> Resources:
    return Resources(Settings(data_dir=tmp_path / "data"), engine)


@pytest.fixture
def worker(resources: Resources) -> Worker:
    return Worker(resources.settings.data_dir, load_steps(resources))


@pytest.fixture
def new_project(engine: AsyncEngine) -> Callable[[], Awaitable[ProjectRef]]:
    async def insert_project() -> ProjectRef:
        project_id = uuid4()
        project = ProjectRef(str(project_id), f"shop-{project_id.hex[:8]}", "local")
        async with engine.begin() as connection:
            await connection.execute(
                insert(Project).values(
                    id=project_id,
                    name=project.name,
                    owner=project.owner,
                    blueprint="web-service",
                    workflow_id=f"initialize-{project.id}",
                )
            )
        return project

    return insert_project


@pytest.fixture
async def project(new_project: Callable[[], Awaitable[ProjectRef]]) -> ProjectRef:
    return await new_project()


@pytest.fixture
def git() -> Callable[..., str]:
    """Runs git and returns its output."""
    settings = {
        "user.name": "Ada",
        "user.email": "ada@example.org",
        "safe.directory": "*",
        "init.defaultBranch": "main",
    }

    def run(*arguments: str | Path, cwd: Path | None = None) -> str:
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = ["git", *options, *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def refusal() -> Callable[[ApplicationError], str]:
    """Return the text of an error; asserts that it is not retried and has a remedy."""

    def text(error: ApplicationError) -> str:
        assert error.non_retryable
        assert error.details[0]["remedy"]
        return error.message

    return text
