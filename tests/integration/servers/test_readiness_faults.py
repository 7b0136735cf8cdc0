"""/readyz and the API while Postgres is frozen, its disk is full, or a workflow is broken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
from pydantic import SecretStr
from temporalio import workflow
from temporalio.client import Client

from stepway.api.app import create_app
from stepway.api.serving import listen, serving
from stepway.api.workflow_health import failing_workflows
from stepway.embedded.servers import EmbeddedServers, ServerError
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.vault.keys import new_key
from stepway.worker import running_worker
from stepway.workflows.model.messages import WORKFLOW, workflow_id
from stepway_tracking.record.changes import NewInitialization
from stepway_tracking.workflow.recording import WorkflowRecord
from tests.support.databases import connected, empty_database
from tests.support.servers import PATIENCE, eventually, running_stepway, write_blueprint

FEW_SECONDS = 8.0
"""Longest time of an answer: two seconds, and more for a machine under load."""

DISK = "300m"


@asynccontextmanager
async def served(settings: Settings, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    listener = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        serving(create_app(settings.model_copy(update={"data_dir": folder})), listener),
        httpx.AsyncClient(base_url=address, timeout=PATIENCE) as http,
    ):
        yield http


@asynccontextmanager
async def own_postgres(
    servers: Settings, folder: Path
) -> AsyncIterator[tuple[EmbeddedServers, Settings]]:
    """A Postgres in this folder, beside the session's other servers."""
    given = servers.model_copy(update={"data_dir": folder / "data", "database_url": ""})
    embedded = EmbeddedServers(given)
    async with embedded as settings:
        await upgrade_database(settings.database_url)
        yield embedded, settings


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and its children for a while."""
    parent = psutil.Process(pid)
    processes = [parent, *parent.children(recursive=True)]
    for each in processes:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in reversed(processes):
            each.send_signal(signal.SIGCONT)


async def test_a_frozen_postgres_delays_no_answer(servers: Settings, tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        async with (
            own_postgres(servers, Path(folder)) as (embedded, settings),
            served(settings, tmp_path) as http,
        ):
            assert (await http.get("/readyz")).status_code == 200
            pid = embedded["postgres"].pid
            assert pid
            with frozen(pid):
                for _ in range(3):
                    since = time.monotonic()
                    answers = await asyncio.gather(*(http.get("/readyz") for _ in range(15)))
                    assert time.monotonic() - since < FEW_SECONDS
                    for answer in answers:
                        assert answer.status_code == 503
                        assert answer.json()["missing"] == ["postgres"]
            await eventually(lambda: is_ready(http))
            assert (await http.get("/api/projects")).status_code == 200


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


@contextmanager
def small_disk(size: str = DISK) -> Iterator[Path]:
    """A folder on a small file system. Skips the test if none can be mounted."""
    with TemporaryDirectory(prefix="stepway-disk-", ignore_cleanup_errors=True) as folder:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a small file system")
        options = f"size={size},mode=755"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"this machine mounts no small file system: {mounted.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    """Take all the space that is left."""
    with file.open("wb", buffering=0) as ballast:
        while True:
            try:
                ballast.write(bytes(4096))
            except OSError:
                return


async def test_a_full_disk_is_not_ready_and_is_named(servers: Settings, tmp_path: Path) -> None:
    with small_disk() as disk:
        async with (
            own_postgres(servers, disk) as (_, settings),
            served(settings, tmp_path) as http,
        ):
            assert (await http.get("/readyz")).status_code == 200
            ballast = disk / "ballast"
            await asyncio.to_thread(fill, ballast)
            answer = await http.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["missing"] == ["writes"]
            assert "disk is full" in answer.json()["detail"]
            ballast.unlink()
            await eventually(lambda: is_ready(http))


async def test_a_disk_that_is_too_small_for_a_new_database_is_said(servers: Settings) -> None:
    with small_disk("20m") as disk:
        given = servers.model_copy(update={"data_dir": disk / "data", "database_url": ""})
        with pytest.raises(ServerError, match=r"cannot create .*: .*No space left on device"):
            await EmbeddedServers(given).start()


async def test_a_forbidden_temporary_file_says_nothing_of_the_disk(
    servers: Settings, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    async with empty_database(pool, servers.database_url) as url:
        await upgrade_database(url)
        async with connected(url) as connection:
            name = await connection.fetchval("SELECT current_database()")
            await connection.execute(f"ALTER DATABASE {name} SET temp_file_limit = 0")
        settings = servers.model_copy(update={"database_url": url})
        async with served(settings, tmp_path) as http:
            assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("table", ["credentials", "projects"])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("53100", "disk is full"),
        ("53200", "out of memory"),
        ("57P01", "stopping"),
        ("58030", "error of its disk"),
        ("08006", "connection"),
    ],
)
async def test_trouble_of_the_database_answers_503_with_the_reason(
    servers: Settings, pool: asyncpg.Pool, tmp_path: Path, table: str, state: str, reason: str
) -> None:
    """`credentials` is read with SQLAlchemy, `projects` with asyncpg."""
    async with empty_database(pool, servers.database_url) as url:
        await upgrade_database(url)
        async with connected(url) as connection:
            await connection.execute(
                f"""
                CREATE FUNCTION in_trouble() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                    RAISE EXCEPTION 'simulated' USING ERRCODE = '{state}';
                END $$;
                ALTER TABLE {table} RENAME TO healthy;
                CREATE VIEW {table} AS SELECT healthy.* FROM in_trouble(), healthy
                """
            )
        keys = SecretStr(new_key("first"))  # without a key, no credential is read
        settings = servers.model_copy(update={"database_url": url, "secret_keys": keys})
        async with served(settings, tmp_path) as http:
            parameters = {"description": "text"} if table == "credentials" else {}
            body = {"name": "shop-x", "blueprint": "web-service", "parameters": parameters}
            answer = await http.post("/api/projects", json=body)
        assert answer.status_code == 503, answer.text
        assert reason in answer.json()["detail"]
        assert "simulated" not in answer.text


async def test_one_initialization_with_a_fault_of_its_own_leaves_the_api_ready(
    servers: Settings, temporal: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_stepway(servers, tmp_path) as stepway:
        queue = stepway.settings.temporal_task_queue
        broken = await temporal.start_workflow(
            WORKFLOW, {"plan": "none"}, id=workflow_id(str(uuid4())), task_queue=queue
        )

        async def marked() -> bool:
            return (await failing_workflows(temporal, queue)).count == 1

        try:
            await eventually(marked, patience=180)
            answer = await stepway.http.get("/readyz")
            assert answer.status_code == 200, answer.text
            metrics = (await stepway.http.get("/metrics")).text
            assert "stepway_workflows_failing 1.0" in metrics
            assert any(broken.id in record.getMessage() for record in caplog.records)
        finally:
            await broken.terminate()


async def test_an_initialization_of_another_version_is_said_to_be_so(
    servers: Settings, temporal: Client, tmp_path: Path
) -> None:
    """Workers whose workflow does other things than the history says."""
    plan = WorkflowRecord.plan

    async def changed(self: WorkflowRecord, new: NewInitialization) -> None:
        await workflow.sleep(1)
        await plan(self, new)

    blueprint = write_blueprint(tmp_path, [{"step": "doomed", "uses": "broken"}])
    async with running_stepway(servers, tmp_path, worker=False) as stepway:
        queue = stepway.settings.temporal_task_queue
        async with running_worker(stepway.settings):
            project = await stepway.create(blueprint)
            await stepway.until(project, "failed")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(WorkflowRecord, "plan", changed)
            async with running_worker(stepway.settings):

                async def marked() -> bool:
                    # Temporal takes the first request, and no more once a task has failed.
                    refused = await stepway.control(project, "retry")
                    assert refused.status_code == 503, refused.text
                    assert "started by another version (TMPRL1100" in refused.json()["detail"]
                    return (await failing_workflows(temporal, queue)).count == 1

                await eventually(marked, patience=180)

                async def named() -> bool:
                    found = (await stepway.http.get("/readyz")).json()
                    reason = "started by another version (TMPRL1100"
                    return found["missing"] == ["workflows"] and reason in found["detail"]

                await eventually(named)
        async with running_worker(stepway.settings):

            async def taken() -> bool:
                return (await stepway.control(project, "cancel")).status_code == 202

            await eventually(taken, patience=180)
            await stepway.until(project, "cancelled")
