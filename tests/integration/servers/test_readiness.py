"""/readyz names everything that would prevent the start of an initialization."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from stepway.api.app import create_app
from stepway.api.commands import updates
from stepway.api.serving import listen, serving
from stepway.cli.client.errors import ClientError
from stepway.cli.run.roles import deployment_of, require_schema
from stepway.embedded.servers import ServerError, check_reachable
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.workflows import deployment
from stepway.workflows.deployment import missing_in_temporal, prepare_temporal
from stepway.workflows.model.messages import Cancel
from stepway_tracking.record.errors import NotConfirmed, TemporalRefuses, TooLarge
from tests.support.databases import connected, empty_database
from tests.support.servers import PATIENCE


@pytest.fixture
async def database(pool: asyncpg.Pool, servers: Settings) -> AsyncIterator[str]:
    """The URL of a database of the test's own, with the schema."""
    async with empty_database(pool, servers.database_url) as url:
        await upgrade_database(url)
        yield url


@asynccontextmanager
async def served(settings: Settings, url: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    given = settings.model_copy(update={"database_url": url, "data_dir": folder})
    listener = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        serving(create_app(given), listener),
        httpx.AsyncClient(base_url=address, timeout=PATIENCE) as http,
    ):
        yield http


async def not_ready(http: httpx.AsyncClient, missing: str) -> str:
    answer = await http.get("/readyz")
    assert answer.status_code == 503, answer.text
    assert answer.json()["missing"] == [missing]
    return str(answer.json()["detail"])


async def test_a_database_made_read_only_is_not_ready(
    servers: Settings, database: str, tmp_path: Path
) -> None:
    async with served(servers, database, tmp_path) as http:
        assert (await http.get("/readyz")).status_code == 200
    async with connected(database) as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with served(servers, database, tmp_path) as http:
        assert "read-only" in await not_ready(http, "writes")
    with pytest.raises(ClientError, match="read-only"):
        await require_schema(servers.model_copy(update={"database_url": database}))


async def test_a_user_without_the_rights_is_not_ready(
    servers: Settings, database: str, tmp_path: Path
) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    async with connected(database) as connection:
        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    place = database.rpartition("@")[2]
    async with served(servers, f"postgresql://{role}:pw@{place}", tmp_path) as http:
        assert "permission denied" in await not_ready(http, "writes")
    async with connected(database) as connection:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_database_of_another_encoding_is_refused_and_said(
    pool: asyncpg.Pool, servers: Settings
) -> None:
    name = f"latin_{uuid4().hex[:8]}"
    await pool.execute(
        f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' "
        "TEMPLATE template0"
    )
    try:
        url = servers.database_url.rpartition("/")[0] + f"/{name}"
        with pytest.raises(ServerError, match=r"cannot use Postgres.*SQL_ASCII.*UTF8"):
            await check_reachable(servers.model_copy(update={"database_url": url}))
    finally:
        await pool.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Broken:
    """A client of which each call fails in the same way."""

    def __init__(self, error: RPCError) -> None:
        self._error = error

    def get_workflow_handle(self, workflow_id: str) -> Broken:
        return self

    async def execute_update(self, name: str, argument: Any) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (RPCStatusCode.INVALID_ARGUMENT, "Blob size exceeds limit.", TooLarge),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "grpc: received message larger than max", TooLarge),
        (RPCStatusCode.INVALID_ARGUMENT, "WorkflowId is not set", TemporalRefuses),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", TemporalRefuses),
        (RPCStatusCode.NOT_FOUND, "Namespace mine is not found.", TemporalRefuses),
        (RPCStatusCode.UNAVAILABLE, "connection refused", NotConfirmed),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "namespace rate limit exceeded", NotConfirmed),
    ],
)
async def test_a_refusal_of_temporal_is_said_as_what_it_is(
    status: RPCStatusCode, message: str, kind: type[Exception]
) -> None:
    client: Any = Broken(RPCError(message, status, b""))
    with pytest.raises(kind) as caught:
        await updates.Updates(client, "queue").send("id", "update", Cancel("alice"))
    assert (message in str(caught.value)) == (kind is not NotConfirmed)


async def test_each_deployment_of_a_namespace_has_a_sweep_of_its_own_that_migrate_updates(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = f"test-sweep-{uuid4().hex[:8]}"
    monkeypatch.setattr(deployment, "SWEEP_SCHEDULE", plain)
    await prepare_temporal(temporal, "first")  # as a version before this one has made it
    try:
        for queue in ("first", "first-v2"):
            await prepare_temporal(temporal, queue, "a")
        await prepare_temporal(temporal, "second", "b")
        for name, queue in ((plain, "first-v2"), (f"{plain}-b", "second")):
            found = await temporal.get_schedule_handle(name).describe()
            action = found.schedule.action
            assert isinstance(action, ScheduleActionStartWorkflow)
            assert action.task_queue == queue
            # A sweep that no worker takes must not keep the later ones away for ever.
            assert action.execution_timeout == deployment.SWEEP_LIMIT
            assert found.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert await missing_in_temporal(temporal, "second", "b") == []
        assert await missing_in_temporal(temporal, "first-v3", "a") == [
            f"the task queue first-v3 in the schedule {plain}"
        ]
    finally:
        for name in (plain, f"{plain}-b"):
            await temporal.get_schedule_handle(name).delete()


async def test_a_paused_sweep_stays_paused(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"test-sweep-{uuid4().hex[:8]}"
    monkeypatch.setattr(deployment, "SWEEP_SCHEDULE", name)
    await prepare_temporal(temporal, "first", "a")
    handle = temporal.get_schedule_handle(name)
    try:
        await handle.pause(note="for a while")
        await prepare_temporal(temporal, "second", "a")
        assert (await handle.describe()).schedule.state.paused
    finally:
        await handle.delete()


async def test_a_deployment_is_told_by_its_database(servers: Settings, database: str) -> None:
    other = servers.model_copy(update={"database_url": database})
    assert await deployment_of(servers) == await deployment_of(servers)
    assert await deployment_of(servers) != await deployment_of(other)
