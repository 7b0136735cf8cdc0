"""Servers, two workers and an API as separate processes, with a proxy between each pair."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
from pydantic import SecretStr
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway.vault.keys import new_key
from stepway.workflows.deployment import prepare_temporal
from tests.faults.hosts.forges import KINDS, Forge, running_forge
from tests.faults.proxy import HOST, Proxy
from tests.support.canaries import Canaries
from tests.support.servers import eventually

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("stepway")
WORKERS = ("worker-1", "worker-2")
PAIRS = ("postgres", "valkey", "temporal")
START_PATIENCE = 90.0
STOP_PATIENCE = 60.0
"""Seconds to wait for the end of a worker after SIGTERM: twice the time that it may take, also
while a server is away.
"""


class Cluster:
    """A cluster that tests start, disturb and stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        keys = SecretStr(new_key("faults"))
        self.servers = EmbeddedServers(Settings(data_dir=folder / "data", secret_keys=keys))
        self.proxies: dict[str, Proxy] = {}
        self.processes: dict[str, Process] = {}
        self.settings = Settings()
        self.forges: dict[str, Forge] = {}
        self.canaries = Canaries()
        self._stack = AsyncExitStack()
        self.temporal: Client
        self._api_port = 0
        # Several faults may end a process at once; each is started again once.
        self._launching = asyncio.Lock()

    @property
    def url(self) -> str:
        """The API's address for watchers, behind the proxy."""
        return f"http://{HOST}:{self.proxies['watcher-api'].port}"

    async def start(self) -> None:
        """Start everything and wait until it serves."""
        self.temporary.mkdir()
        self.settings = await self.servers.start()
        await upgrade_database(self.settings.sqlalchemy_url)
        self.temporal = await connect_temporal(self.settings)
        await prepare_temporal(self.temporal, self.settings.temporal_task_queue)
        targets = {
            "postgres": urlsplit(self.settings.database_url).port,
            "valkey": urlsplit(self.settings.redis_url).port,
            "temporal": int(self.settings.temporal_address.rpartition(":")[2]),
        }
        for role in ("worker", "api"):
            for name, port in targets.items():
                await self._add_proxy(f"{role}-{name}", port or 0)
        for kind in KINDS:
            forge = running_forge(kind, self.settings, self.canaries)
            self.forges[kind] = await self._stack.enter_async_context(forge)
            self.proxies[self.forges[kind].proxy.name] = self.forges[kind].proxy
        self._api_port = _free_port()
        await self._add_proxy("watcher-api", self._api_port)
        for name in (*WORKERS, "api"):
            await self.launch(name)
        await self.until_serving()

    async def stop(self) -> None:
        """End every process."""
        try:
            for name in tuple(self.processes):
                await self.kill(name)
            for proxy in self.proxies.values():
                await proxy.stop()
        finally:
            await self._stack.aclose()
            await self.servers.stop()

    @property
    def temporary(self) -> Path:
        """The temporary folder of workers and API."""
        return self.folder / "tmp"

    async def launch(self, name: str) -> None:
        """Start a worker or the API."""
        role = name.partition("-")[0]
        more = ["--port", str(self._api_port)] if role == "api" else []
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = await asyncio.create_subprocess_exec(
            PROGRAM, role, *more, cwd=self.folder, env=self._environment(role), stdout=log,
            stderr=log,
        )  # fmt: skip

    async def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def restart(self, name: str) -> None:
        """kill -9, and start again."""
        async with self._launching:
            await self.kill(name)
            await self.launch(name)

    async def leave(self, name: str) -> bool:
        """SIGTERM, and start again; return whether the process ended in time."""
        async with self._launching:
            process = self.processes[name]
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_PATIENCE):
                await process.wait()
        except TimeoutError:
            return False
        await self.relaunch_ended()
        return True

    def kill_worker_at(self, port: int) -> bool:
        """kill -9 the worker with this end of a connection; return whether there was one."""
        for name in WORKERS:
            process = self.processes.get(name)
            if process and process.returncode is None and port in _ports_of(process.pid):
                process.kill()
                return True
        return False

    async def until_serving(self) -> None:
        """Wait until the API responds; restart processes that ended by themselves."""

        async def serves() -> bool:
            await self.relaunch_ended()
            try:
                async with httpx.AsyncClient(base_url=self.url, timeout=5) as http:
                    return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(serves, START_PATIENCE)

    async def until_polling(self, *names: str, patience: float = START_PATIENCE) -> None:
        """Wait until these workers, or all, ask Temporal for steps."""

        async def poll() -> bool:
            await self.relaunch_ended()
            answer = await self.temporal.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self.settings.temporal_namespace,
                    task_queue=TaskQueue(name=self.settings.temporal_task_queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                )
            )
            polling = {each.identity.partition("@")[0] for each in answer.pollers}
            async with self._launching:  # a restart takes a process out of the list for a moment
                awaited = {str(self.processes[name].pid) for name in names or WORKERS}
            return awaited <= polling

        await eventually(poll, patience)

    async def relaunch_ended(self) -> None:
        """Restart roles that have ended, as a supervisor does."""
        async with self._launching:
            for name, process in tuple(self.processes.items()):
                if process.returncode is not None:
                    await self.launch(name)

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Return rows from Postgres, without the proxies."""
        connection = await asyncpg.connect(self.settings.database_url, timeout=10)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()

    @asynccontextmanager
    async def locked(self, project: str) -> AsyncIterator[None]:
        """Keep everyone from writing a project's record."""
        connection = await asyncpg.connect(self.settings.database_url, timeout=10)
        try:
            async with connection.transaction():
                await connection.execute("SELECT 1 FROM projects WHERE id = $1 FOR UPDATE", project)
                yield
        finally:
            await connection.close(timeout=10)

    async def _add_proxy(self, name: str, target: int) -> None:
        proxy = self.proxies[name] = Proxy(name, target)
        await proxy.start()

    def _environment(self, role: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
        ports = {name: self.proxies[f"{role}-{name}"].port for name in PAIRS}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.temporary),
            "STEPWAY_DATA_DIR": str(self.folder / "data"),
            "STEPWAY_DATABASE_URL": _at(self.settings.database_url, ports["postgres"]),
            "STEPWAY_REDIS_URL": _at(self.settings.redis_url, ports["valkey"]),
            "STEPWAY_TEMPORAL_ADDRESS": f"{HOST}:{ports['temporal']}",
            "STEPWAY_TEMPORAL_SIGNING_KEY_FILE": str(self.settings.temporal_signing_key_file),
            "STEPWAY_SECRET_KEYS": self.settings.secret_keys.get_secret_value(),
            "STEPWAY_BLUEPRINTS": str(self.folder),
            "STEPWAY_STEP_MODULES": "tests.support.steps",
        }


def _at(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(str(parts.port), str(port))).geturl()


def _ports_of(pid: int) -> set[int]:
    """The local ports of a process's connections."""
    try:
        return {each.laddr.port for each in psutil.Process(pid).net_connections("tcp")}
    except psutil.NoSuchProcess:
        return set()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])
