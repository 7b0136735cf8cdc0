"""The servers of a bench, in a temporary folder, and Stepway's processes on them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import asyncpg
from redis.asyncio import Redis
from temporalio.client import Client

from benchmarks.child import Child, python, running, stepway
from stepway.cli.run.roles import migrate_all
from stepway.embedded.servers import EmbeddedServers
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway_tracking.postgres import open_pool
from stepway_tracking.stream.publisher import open_redis

T = TypeVar("T")

NO_LIMITS = {
    "STEPWAY_STARTS_PER_MINUTE": "1000000",
    "STEPWAY_UNFINISHED_PER_OWNER": "1000000",
    "STEPWAY_STREAMS_PER_OWNER": "1000000",
}
"""Raises the API's limits per person, which are not part of the measurement."""


@dataclass
class Stage:
    """The servers and clients of one bench. `quick` is a smoke run: everything small, and once.

    `bare` is a client without signatures, as a plain Temporal application has it.
    """

    settings: Settings
    folder: Path
    pool: asyncpg.Pool
    redis: Redis
    temporal: Client
    bare: Client
    quick: bool
    stack: AsyncExitStack
    notes: list[str] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)

    def sized(self, full: T, quick: T) -> T:
        """`quick` in a smoke run, else `full`."""
        return quick if self.quick else full

    def note(self, text: str) -> None:
        """Add a note to the result, and print it."""
        self.notes.append(text)
        print(f"  note: {text}", file=sys.stderr, flush=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of the sides, as environment variables."""
        given = self.settings
        return {
            "STEPWAY_DATABASE_URL": given.database_url,
            "STEPWAY_REDIS_URL": given.redis_url,
            "STEPWAY_TEMPORAL_ADDRESS": given.temporal_address,
            "STEPWAY_TEMPORAL_SIGNING_KEY_FILE": str(given.temporal_signing_key_file),
            "STEPWAY_DATA_DIR": str(given.data_dir),
            "STEPWAY_BLUEPRINTS": str(self.folder),
            "STEPWAY_STEP_MODULES": "benchmarks.steps",
            **NO_LIMITS,
        }

    async def run(self, command: list[str], **more: str) -> Child:
        """Start a side; it runs until the end of the bench."""
        return await self.stack.enter_async_context(running(command, {**self.environment, **more}))

    async def side(self, name: str, *arguments: str | int) -> Child:
        """Start the side in the module `benchmarks.sides.NAME`."""
        return await self.run(python(f"benchmarks.sides.{name}", *arguments))

    async def api(self) -> Child:
        """Start `stepway api`."""
        return await self.run(stepway("api", "--port", "0"))

    async def worker(self) -> Child:
        """Start `stepway worker`."""
        return await self.run(stepway("worker"))


@asynccontextmanager
async def on_stage(quick: bool) -> AsyncIterator[Stage]:
    """Start and migrate the servers; afterwards stop them and remove their folder."""
    async with AsyncExitStack() as stack:
        # Other users must be able to traverse the folder: for root, Postgres runs as another user.
        folder = Path(
            stack.enter_context(
                TemporaryDirectory(prefix="stepway-bench-", ignore_cleanup_errors=True)
            )
        )
        blueprints = folder / "blueprints"
        blueprints.mkdir()
        servers = EmbeddedServers(Settings(data_dir=folder / "data"))
        settings = await stack.enter_async_context(servers)
        await migrate_all(settings)
        pool = await open_pool(settings.database_url)
        stack.push_async_callback(pool.close)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        temporal = await connect_temporal(settings)
        bare = await Client.connect(settings.temporal_address)
        yield Stage(settings, blueprints, pool, redis, temporal, bare, quick, stack)
