"""A Stepway whose workers are on two machines, and a Git host of each kind."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from stepway.cli.run.roles import running_api
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import Target
from stepway.vault.vault import EVERYONE, Vault
from stepway_tracking.postgres import open_pool
from tests.faults.proxy import Proxy
from tests.support.githost.certificates import private_authority
from tests.support.githost.gitea import GiteaSurface
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.gitlab import GitLabSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.surface import Surface
from tests.support.machines import Machine, Network, machines
from tests.support.servers import PATIENCE, Stepway, eventually

HOSTS: dict[str, tuple[type[Surface], set[str], str]] = {
    "github": (GitHubSurface, {"repo", "workflow", "delete_repo"}, "ghp_"),
    "gitlab": (GitLabSurface, {"api"}, "glpat-"),
    "gitea": (GiteaSurface, {"write:repository", "write:organization", "write:user"}, ""),
}
"""The surface, scopes and prefix of the token of each kind of host."""

_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)


@dataclass
class Site:
    """Two machines, a Stepway without a worker of its own, and a host of each kind."""

    network: Network
    stepway: Stepway
    pool: asyncpg.Pool
    temporal: Client
    hosts: dict[str, Host] = field(default_factory=dict)

    async def start_all(self) -> None:
        """Start the workers that do not run."""
        for machine in self.network.machines:
            await machine.start()

    async def until_both_run(self) -> None:
        """Start the workers that do not run; wait until all ask Temporal for steps."""
        await self.start_all()
        await self.until_asking(*self.network.machines)

    async def until_asking(self, *those: Machine) -> None:
        """Wait until the workers ask Temporal for steps and for initializations."""
        awaited = {machine.identity for machine in those}

        async def ask() -> bool:
            assert all(machine.runs for machine in those), "a worker has ended"
            return all([awaited <= await self._asking(kind) for kind in _KINDS])

        await eventually(ask, 2 * PATIENCE)

    async def _asking(self, kind: TaskQueueType.ValueType) -> set[str]:
        settings = self.stepway.settings
        answer = await self.temporal.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=settings.temporal_namespace,
                task_queue=TaskQueue(name=settings.temporal_task_queue),
                task_queue_type=kind,
            )
        )
        return {poller.identity for poller in answer.pollers}

    async def workers(self, project: str) -> dict[str, set[str]]:
        """Return who has tried each step."""
        rows = await self.pool.fetch(
            "SELECT step, worker FROM project_initialization_attempts WHERE project_id = $1",
            UUID(project),
        )
        found: dict[str, set[str]] = {}
        for row in rows:
            found.setdefault(row["step"], set()).add(row["worker"])
        return found

    async def machine_at(self, project: str, step: str) -> Machine:
        """Wait until the step runs; return where."""

        async def runs() -> str | None:
            open_ones = [
                attempt["worker"]
                for attempt in await self.stepway.attempts(project, step)
                if attempt["ended_at"] is None
            ]
            return open_ones[0] if open_ones else None

        return self.network.of(await eventually(runs))

    async def count(self, table: str, project: str) -> int:
        """Return how many rows of the project there are."""
        query = f"SELECT count(*) FROM {table} WHERE project_id = $1"
        return int(await self.pool.fetchval(query, UUID(project)))


@asynccontextmanager
async def two_machines(
    folder: Path, servers: Settings, database_url: str, temporal: Client
) -> AsyncIterator[Site]:
    """Open a site on an empty database. It has blueprints in `folder`/blueprints."""
    key = new_key("two-machines")
    given = {
        "database_url": database_url,
        "secret_keys": key,
        "data_dir": folder / "api",
        "blueprints": [folder / "blueprints"],
        "temporal_task_queue": f"two-machines-{uuid4().hex[:8]}",
    }
    settings = Settings.model_validate({**servers.model_dump(), **given})
    await upgrade_database(database_url)
    async with (
        machines(folder, ("one", "two")) as network,
        AsyncExitStack() as stack,
        running_api(settings, "127.0.0.1", 0) as api,
        httpx.AsyncClient(base_url=api, timeout=PATIENCE) as http,
        await open_pool(database_url) as pool,
    ):
        environment = await forwarded(stack, settings, network.address)
        for machine in network.machines:
            machine.environment = environment
        site = Site(network, Stepway(settings, folder, http), pool, temporal)
        for kind in HOSTS:
            site.hosts[kind] = await add_host(stack, site, kind, key)
        yield site


async def forwarded(stack: AsyncExitStack, settings: Settings, address: str) -> dict[str, str]:
    """Make the servers, which listen on loopback, reachable; return the machines' settings."""
    given = {
        "STEPWAY_DATABASE_URL": settings.database_url,
        "STEPWAY_REDIS_URL": settings.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": settings.temporal_address,
    }
    environment = {
        "STEPWAY_SECRET_KEYS": settings.secret_keys.get_secret_value(),
        "STEPWAY_BLUEPRINTS": str(settings.blueprints[0]),
        "STEPWAY_STEPS_AT_ONCE": "1",
        "STEPWAY_TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
        "STEPWAY_TEMPORAL_SIGNING_KEY_FILE": str(settings.temporal_signing_key_file or ""),
    }
    for name, value in given.items():
        found = re.search(r"127\.0\.0\.1:(\d+)", value)
        assert found, f"{name} is not on loopback"
        proxy = Proxy(name, int(found[1]), address)
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        environment[name] = value.replace(found[0], f"{address}:{proxy.port}")
    return {name: value for name, value in environment.items() if value}


async def add_host(stack: AsyncExitStack, site: Site, kind: str, key: str) -> Host:
    """Run a host of HTTPS with a private authority, with the credential `kind` for it."""
    surface, scopes, prefix = HOSTS[kind]
    folder, address = site.network.folder / kind, site.network.address
    folder.mkdir()
    tls, ca = private_authority(folder, address)
    host = stack.enter_context(running_host(surface, address=address, tls=tls))
    host.world.add_account("erin")
    host.world.add_organization("acme", owner="erin")
    host.world.add_repository("acme", "fleet")
    token = host.world.add_token("erin", scopes, prefix=prefix)
    engine = open_engine(site.stepway.settings.sqlalchemy_url)
    vault = Vault(engine, Keyring(parse_keys(key)))
    await vault.put(EVERYONE, kind, token.value, "acme", Target(kind, host.url, ca))
    await engine.dispose()
    return host
