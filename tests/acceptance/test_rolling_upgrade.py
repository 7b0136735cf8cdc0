"""Upgrades from previous versions during initializations: nothing is lost, no step runs twice."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import yaml
from httpx_sse import aconnect_sse

from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from tests.support.databases import empty_database, functions, schema
from tests.support.previous import (
    PREVIOUS,
    UNSIGNED,
    Version,
    previous_version,
    this_version,
)
from tests.support.record import Record
from tests.support.servers import PATIENCE, Json, Stepway, eventually

CHAIN = 150
"""Number of short steps in the initialization that runs until the file `hurry` exists. They take a
second each, which must last for the whole upgrade on a slow machine."""
LINE = 'echo line >>"$0/$1.$2'
SCRIPTS = {
    "quick": f'{LINE}.starts"; [ -e "$0/hurry" ] || sleep 1; {LINE}.ends"',
    # If a test fails, nothing opens the gate, and its folder is deleted.
    "gated": (
        f'{LINE}.starts"; while [ -d "$0" ] && [ ! -e "$0/gate" ]; do sleep 0.05; done; '
        f'{LINE}.ends"'
    ),
    "mended": f'{LINE}.starts"; [ -e "$0/mended" ] || exit 1; {LINE}.ends"',
}


@dataclass
class Watcher:
    """Follows a project's stream to its end; reconnects to the API that serves."""

    project: str
    urls: list[str]
    seen: list[Json] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)

    async def follow(self) -> None:
        """Return after `end`."""
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            while not (self.seen and self.seen[-1]["event"] == "end"):
                try:
                    await self._connection(http)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)

    async def _connection(self, http: httpx.AsyncClient) -> None:
        url = f"{self.urls[-1]}/api/projects/{self.project}/initialization/events"
        headers = {"Last-Event-ID": str(self.seen[-1]["id"])} if self.seen else {}
        async with aconnect_sse(http, "GET", url, headers=headers) as source:
            assert source.response.status_code == 200, source.response
            self.connections.append(self.urls[-1])
            async for event in source.aiter_sse():
                # httpx-sse yields an event without data for each comment.
                if event.data:
                    self.seen.append({"id": int(event.id), "event": event.event})

    def check(self, version: int) -> None:
        """Assert that it received a snapshot, then every version once, up to the project's."""
        kinds = [event["event"] for event in self.seen]
        assert kinds[0] == "snapshot" and "snapshot" not in kinds[1:]
        first = self.seen[0]["id"]
        assert [event["id"] for event in self.seen] == list(range(first, version + 1))


@pytest.fixture
def folder() -> Any:
    """Folder of the previous version, the data, and the files of the steps."""
    with TemporaryDirectory(prefix="stepway-upgrade-", ignore_cleanup_errors=True) as place:
        yield Path(place)


@pytest.fixture
async def database(servers: Settings, pool: asyncpg.Pool) -> AsyncIterator[str]:
    """The URL of an empty database."""
    async with empty_database(pool, servers.database_url) as url:
        yield url


@pytest.fixture
def settings(servers: Settings, database: str, folder: Path) -> dict[str, str]:
    """The environment of both versions."""
    write_blueprints(folder)
    (folder / "data").mkdir()
    return {
        "STEPWAY_DATABASE_URL": database,
        "STEPWAY_REDIS_URL": servers.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": servers.temporal_address,
        "STEPWAY_TEMPORAL_TASK_QUEUE": f"upgrade-{uuid4().hex[:8]}",
        "STEPWAY_DATA_DIR": str(folder / "data"),
        "STEPWAY_BLUEPRINTS": str(folder),
    }


def write_blueprints(folder: Path) -> None:
    """A long chain, a short chain, and one step of each other kind between two quick ones."""
    once = {"maximum_attempts": 1}
    often = {"maximum_attempts": 0, "initial_interval": 2, "backoff_coefficient": 1}
    for name, steps in {
        "chain": [command(folder, f"step_{number}") for number in range(CHAIN)],
        "short": [command(folder, f"step_{number}") for number in range(8)],
        "long": [
            command(folder, "before"),
            command(folder, "held", "gated"),
            command(folder, "after"),
        ],
        "retrying": [
            command(folder, "before"),
            command(folder, "flaky", "mended", often),
            command(folder, "after"),
        ],
        "waiting": [
            command(folder, "before"),
            command(folder, "broken", "mended", once),
            command(folder, "after"),
        ],
    }.items():
        text = yaml.safe_dump({"name": name, "steps": steps}, sort_keys=False)
        (folder / f"{name}.yaml").write_text(text)


def command(folder: Path, step: str, kind: str = "quick", retry: Json | None = None) -> Json:
    words = ["sh", "-c", SCRIPTS[kind], str(folder), "${{ project.id }}", step]
    more = {"retry": retry} if retry else {}
    return {"step": step, "uses": "run_command", "with": {"command": words}, **more}


def lines(folder: Path, project: str, step: str, kind: str) -> int:
    """Return how many times a step has started or ended."""
    file = folder / f"{project}.{step}.{kind}"
    return len(file.read_text().splitlines()) if file.exists() else 0


async def completed(stepway: Stepway, project: str) -> int:
    """Return the number of completed steps."""
    return [step["status"] for step in (await stepway.steps(project)).values()].count("completed")


async def until_more_completed(stepway: Stepway, project: str, more: int = 2) -> None:
    before = await completed(stepway, project)

    async def reached() -> bool:
        return await completed(stepway, project) >= before + more

    await eventually(reached)


async def leave(process: asyncio.subprocess.Process) -> None:
    """Stop a process as in an upgrade."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("commit", "dropped"),
    [(PREVIOUS, "stepway_record"), (UNSIGNED, "stepway_record_v2")],
    ids=["0.1", "unsigned"],
)
async def test_a_rolling_upgrade_loses_nothing_and_runs_nothing_twice(
    folder: Path, database: str, settings: dict[str, str], commit: str, dropped: str
) -> None:
    old = await previous_version(folder, settings, commit)
    new = this_version(folder, settings)
    assert (await old.run("migrate"))[0] == 0
    async with AsyncExitStack() as stack:
        old_worker, _ = await stack.enter_async_context(old.running("worker"))
        old_api, old_api_line = await stack.enter_async_context(old.running("api", "--port", "0"))
        urls = [old_api_line.removeprefix("ready ")]
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=urls[0], timeout=PATIENCE)
        )
        stepway = Stepway(Settings(), folder, http)
        following = await stack.enter_async_context(asyncio.TaskGroup())
        watchers: list[Watcher] = []

        async def start(blueprint: str) -> str:
            project = await stepway.create(blueprint)
            watchers.append(Watcher(project, urls))
            following.create_task(watchers[-1].follow())
            return project

        chain, long, retrying, waiting = [
            await start(blueprint) for blueprint in ("chain", "long", "retrying", "waiting")
        ]
        await stepway.until_step(long, "held", "running")
        await stepway.until(waiting, "failed")

        async def retry_is_waited_for() -> bool:
            flaky = (await stepway.steps(retrying))["flaky"]
            return "next_attempt_at" in flaky["metadata"]

        await eventually(retry_is_waited_for)
        await until_more_completed(stepway, chain)

        # Apply the new schema while old processes run.
        status, output = await new.run("migrate")
        assert status == 0 and "applied stepway-tracking 0005_pre" in output
        assert dropped in await functions(database)
        assert "0006_post" in output, "it says what is left"
        assert (await old.run("migrate"))[0] == 0, "an old container may be started again"
        await until_more_completed(stepway, chain)
        late = await start("short")
        await until_more_completed(stepway, late)

        # Start new processes in addition to the old ones.
        new_worker, _ = await stack.enter_async_context(new.running("worker"))
        _, new_api_line = await stack.enter_async_context(new.running("api", "--port", "0"))
        urls.append(new_api_line.removeprefix("ready "))
        await until_more_completed(stepway, chain)
        http.base_url = httpx.URL(urls[-1])
        newest = await start("short")
        await until_more_completed(stepway, newest)

        # Stop the old processes; a running step ends within the worker's grace period.
        assert lines(folder, long, "held", "starts") == 1
        leaving = asyncio.gather(leave(old_api), leave(old_worker))
        await old_api.wait()
        assert old_worker.returncode is None
        (folder / "gate").touch()
        await leaving
        await until_more_completed(stepway, chain)

        status, output = await new.run("migrate", "--post")
        assert status == 0 and "applied stepway-tracking 0006_post" in output
        assert dropped not in await functions(database)
        await old_migrate_does_no_harm(old, database)

        (folder / "hurry").touch()
        (folder / "mended").touch()
        answer = await stepway.control(waiting, "steps/broken/retry")
        assert answer.status_code == 202, answer.text
        for watcher in watchers:
            await stepway.until(watcher.project, "active")
        assert new_worker.returncode is None
        listed = (await http.get("/api/projects")).json()["items"]
        assert {one["id"]: one["status"] for one in listed} == {
            watcher.project: "active" for watcher in watchers
        }
        # The task group waits until each watcher has received `end`.
        await check_projects(database, folder, watchers)
        assert [watcher.connections for watcher in watchers[:4]] == [urls] * 4
        attempts = await stepway.attempts(long, "held")
        assert [attempt["outcome"] for attempt in attempts] == ["completed"]


async def old_migrate_does_no_harm(old: Version, database: str) -> None:
    before = await schema(database)
    status, output = await old.run("migrate")
    assert status != 0, output
    assert await schema(database) == before


async def check_projects(database: str, folder: Path, watchers: list[Watcher]) -> None:
    """Assert that the rows of each project, the files of its steps and its watcher agree."""
    async with await open_pool(database) as pool:
        for watcher in watchers:
            record = Record(pool, watcher.project)
            await record.check(upgraded=True)
            version = (await record.project())["version"]

            async def caught_up(watcher: Watcher = watcher, version: int = version) -> bool:
                return bool(watcher.seen) and watcher.seen[-1]["id"] >= version

            await eventually(caught_up)
            watcher.check(version)
            steps = json.loads(
                await pool.fetchval(
                    """SELECT json_agg(step) FROM project_initialization_steps
                       WHERE project_id = $1""",
                    record.project_id,
                )
            )
            for step in steps:
                assert lines(folder, watcher.project, step, "ends") == 1, step
                attempts = await record.attempts(step)
                assert lines(folder, watcher.project, step, "starts") == len(attempts), step
                outcomes = [attempt["outcome"] for attempt in attempts]
                assert outcomes == ["failed"] * (len(attempts) - 1) + ["completed"], step
                assert len(attempts) == 1 or step in ("flaky", "broken")
