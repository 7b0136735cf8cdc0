"""Postgres away for longer than all attempts of a step may take: no step fails, none runs twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import asyncpg
import pytest

from stepway.embedded.server import Server
from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from tests.support.record import Record
from tests.support.servers import Json, Stepway, eventually, running_stepway, write_blueprint

PROJECTS = 50
TIMEOUT, ATTEMPTS = 8.0, 2
"""The limit in seconds is several times what the code takes, also when 50 projects share a core."""

OUTAGE = 2 * TIMEOUT * ATTEMPTS
LONG_AFTER = 180.0
"""Seconds until all projects must have ended on a slow machine."""

SHORT, LONG = 6, 2
"""Numbers of the steps in the two parallel chains of a project."""


@pytest.fixture(scope="module")
async def own_postgres(servers: Settings) -> AsyncIterator[tuple[Server, Settings]]:
    """A Postgres that this module may kill, beside the session's other servers."""
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        given = servers.model_copy(update={"data_dir": Path(folder) / "data", "database_url": ""})
        embedded = EmbeddedServers(given)
        async with embedded as settings:
            await upgrade_database(settings.sqlalchemy_url)
            yield embedded["postgres"], settings


def write_chains(folder: Path) -> str:
    """A chain of short steps beside a chain of longer ones; all have few and short attempts."""
    limits = {"timeout": TIMEOUT, "retry": {"maximum_attempts": ATTEMPTS, "initial_interval": 0.1}}
    steps: list[Json] = []
    for kind, length, seconds in (("short", SHORT, 0.4), ("long", LONG, 1.5)):
        for number in range(length):
            needs = [f"{kind}_{number - 1}"] if number else []
            given = {"seconds": seconds, "folder": "${{ parameters.folder }}"}
            steps.append({"step": f"{kind}_{number}", "needs": needs, "with": given, **limits})
    ends = [f"short_{SHORT - 1}", f"long_{LONG - 1}"]
    steps.append({"step": "last", "needs": ends, "with": {"folder": steps[0]["with"]["folder"]}})
    parameters = {"type": "object", "properties": {"folder": {"type": "string"}}}
    return write_blueprint(folder, steps, parameters=parameters)


async def start_all(stepway: Stepway, folder: Path, blueprint: str) -> dict[str, Path]:
    """Start the projects; return the folder of each, in which its steps note their runs."""
    gate = asyncio.Semaphore(10)

    async def start(number: int) -> tuple[str, Path]:
        own = folder / f"project-{number}"
        await asyncio.to_thread(own.mkdir)
        async with gate:
            return await stepway.create(blueprint, folder=str(own)), own

    return dict(await asyncio.gather(*(start(number) for number in range(PROJECTS))))


async def statuses(pool: asyncpg.Pool, table: str) -> Counter[str]:
    """Return how many rows have each status."""
    return Counter(row["status"] for row in await pool.fetch(f"SELECT status FROM {table}"))


async def in_each_phase(pool: asyncpg.Pool, gone: datetime, back: datetime) -> dict[str, int]:
    """Return how many steps were finishing or running, and how many were starting, meanwhile."""
    row = await pool.fetchrow(
        """
        SELECT (SELECT count(*) FROM project_initialization_attempts
                WHERE started_at < $1 AND ended_at > $2) AS finished,
               -- The time at which Temporal scheduled the attempt is part of the change's id.
               (SELECT count(*) FROM project_initialization_events
                WHERE action = 'started' AND at > $2
                  AND to_timestamp(split_part(change_id, '/', 3)::float8) < $2) AS started
        """,
        gone,
        back,
    )
    return dict(row)


async def test_postgres_away_for_twice_the_time_of_all_attempts_fails_no_step(
    own_postgres: tuple[Server, Settings], tmp_path: Path
) -> None:
    postgres, settings = own_postgres
    blueprint = write_chains(tmp_path)
    async with (
        await open_pool(settings.database_url) as pool,
        running_stepway(settings, tmp_path) as stepway,
    ):
        folders = await start_all(stepway, tmp_path, blueprint)
        steps = PROJECTS * (SHORT + LONG + 1)

        async def is_busy() -> bool:
            found = await statuses(pool, "project_initialization_steps")
            return found["completed"] >= steps / 4

        await eventually(is_busy)
        gone = datetime.now(UTC)
        await postgres.kill()
        try:
            await asyncio.sleep(OUTAGE)
        finally:
            back = datetime.now(UTC)
            await postgres.start()

        async def have_ended() -> bool:
            found = await statuses(pool, "projects")
            assert not found["failed"], "a project needs a person"
            return found["active"] == PROJECTS

        await eventually(have_ended, LONG_AFTER)
        phases = await in_each_phase(pool, gone, back)
        assert min(phases.values()) > 0, phases
        assert await statuses(pool, "project_initialization_steps") == {"completed": steps}
        for project, folder in folders.items():
            await ran_once(pool, project, folder)


async def ran_once(pool: asyncpg.Pool, project: str, folder: Path) -> None:
    """Assert that each step of a project has run once, and that nothing else was recorded."""
    record = Record(pool, project)
    await record.check()
    rows = await pool.fetch(
        "SELECT step, outcome FROM project_initialization_attempts WHERE project_id = $1",
        UUID(project),
    )
    names = {row["step"] for row in rows}
    assert len(rows) == len(names) == SHORT + LONG + 1
    assert {row["outcome"] for row in rows} == {"completed"}
    expected = {"planned", "started", "progressed", "completed", "activated", "ended"}
    assert set(await record.actions()) <= expected
    runs = await asyncio.to_thread(code_runs, folder)
    assert runs.keys() == names
    assert set(runs.values()) == {1}, runs


def code_runs(folder: Path) -> dict[str, int]:
    """Return how many times the code of each step has run."""
    return {file.stem: len(file.read_text().splitlines()) for file in folder.glob("*.runs")}
