"""Latency of writes and reads as the record grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from random import Random
from uuid import UUID

import asyncpg

from benchmarks.measure import Comparison, Metrics, Target, interleave, percentile
from benchmarks.null_publisher import NullPublisher
from benchmarks.stage import Stage
from stepway.migrations.upgrade import upgrade_database
from stepway_tracking.postgres import open_pool
from stepway_tracking.queries.reader import Reader
from stepway_tracking.queries.statistics import Analytics
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.store import Store

ABOUT = (
    "p99 of writing a step's start and of reading a snapshot, for random projects, in databases of "
    "1,000, 100,000 and 1,000,000 projects (7 steps and attempts each, loaded by COPY, spread "
    "over a year), with one client, alternating between the databases. `theirs` is the same in the "
    "smallest database. Analytics cover all steps of 30 days in the largest."
)
STEPS = 7
ROUND = 300
FENCE = "2100-01-01"

PROJECTS = """
SELECT lpad(to_hex(n), 32, '0')::uuid AS id, 'p-' || n AS name, 'local' AS owner,
       'web-service' AS blueprint, 'active' AS status, 100 AS progress,
       'initialize-' || n AS workflow_id, 'run' AS run_id, 16 AS version,
       at AS initialization_started_at, at + interval '1 minute' AS initialization_completed_at,
       at AS created_at, at AS updated_at, 700 AS points, 700 AS points_total
FROM generate_series(1, {projects}) n, LATERAL (
  SELECT now() - interval '365 days' * (1 - n::float8 / {projects}) - interval '2 minutes') t(at)
"""
STEP_ROWS = """
SELECT p.id AS project_id, 'step_' || s AS step, 'Step ' || s AS display_name, s AS sequence,
       'completed' AS status, 100 AS progress, p.created_at AS started_at,
       p.created_at + interval '1 second' * s AS completed_at,
       (abs(hashint4(s)) % 5000 + abs(hashtext(p.name)) % 5000) AS duration,
       '{{"value": "done"}}'::jsonb AS metadata, p.created_at AS created_at,
       p.created_at AS updated_at, 1 AS attempt, 1 AS round, 100 AS points, 'run' AS run_id,
       s::text AS activity_id
FROM projects p, generate_series(0, {steps} - 1) s
"""
ATTEMPT_ROWS = """
SELECT project_id, step, 1 AS round, 1 AS attempt, run_id, activity_id, started_at,
       completed_at AS ended_at, 'completed' AS outcome, 'worker' AS worker
FROM project_initialization_steps
"""
TABLES = (
    ("projects", PROJECTS),
    ("project_initialization_steps", STEP_ROWS),
    ("project_initialization_attempts", ATTEMPT_ROWS),
)


@dataclass(frozen=True)
class Database:
    """A database with this many projects."""

    projects: int
    pool: asyncpg.Pool


async def run(stage: Stage) -> list[Comparison]:
    """Compare writes and reads with the smallest database; measure analytics."""
    sizes = stage.sized((1_000, 100_000, 1_000_000), (100, 1_000))
    databases = [await _load(stage, projects) for projects in sizes]
    smallest, *larger = databases
    for each in databases:
        await _warm(each)
    found = []
    for name, measure in (("step write", _writes), ("snapshot", _snapshots)):
        for each in larger:
            rounds = await interleave(
                _measuring(measure, each), _measuring(measure, smallest), stage.sized(8, 1), "p99"
            )
            target = Target(1.2) if each is larger[-1] else None
            label = f"{name} p99, {each.projects:,} projects"
            against = f"{smallest.projects:,} projects"
            found.append(Comparison(label, "ms", against, rounds.pairs("p99"), target))
    found.append(await _analytics(larger[-1], stage.sized(5, 1)))
    return found


def _measuring(
    measure: Callable[[Database], Awaitable[Metrics]], database: Database
) -> Callable[[], Awaitable[Metrics]]:
    return lambda: measure(database)


async def _load(stage: Stage, projects: int) -> Database:
    name = f"growth_{projects}"
    await stage.pool.execute(f"CREATE DATABASE {name}")
    url = stage.settings.database_url.rpartition("/")[0] + f"/{name}"
    settings = stage.settings.model_copy(update={"database_url": url})
    await upgrade_database(settings.sqlalchemy_url)
    reading, writing = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        # Skip checks of foreign keys: the generated rows satisfy them.
        await writing.execute("SET session_replication_role = replica")
        for table, query in TABLES:
            await _copy(reading, writing, table, query.format(projects=projects, steps=STEPS))
        await writing.execute("VACUUM (ANALYZE)")
        await writing.execute("CHECKPOINT")
    finally:
        await reading.close()
        await writing.close()
    pool = await open_pool(url)
    stage.stack.push_async_callback(pool.close)
    return Database(projects, pool)


async def _copy(
    reading: asyncpg.Connection, writing: asyncpg.Connection, table: str, query: str
) -> None:
    """COPY the rows of a query from one connection into a table over the other."""
    columns = [each.name for each in (await reading.prepare(query)).get_attributes()]
    chunks: asyncio.Queue[bytes | None] = asyncio.Queue(64)

    async def source() -> AsyncIterator[bytes]:
        while (chunk := await chunks.get()) is not None:
            yield chunk

    async def read() -> None:
        await reading.copy_from_query(query, output=chunks.put, format="csv")
        await chunks.put(None)

    await asyncio.gather(
        read(), writing.copy_to_table(table, source=source(), columns=columns, format="csv")
    )


async def _warm(database: Database) -> None:
    for _ in range(2):
        await _writes(database)
        await _snapshots(database)


def _some(database: Database) -> list[str]:
    numbers = Random(database.projects).choices(range(1, database.projects + 1), k=ROUND)
    return [str(UUID(int=number)) for number in numbers]


async def _writes(database: Database) -> Metrics:
    store = Store(database.pool, NullPublisher())
    took = []
    for project in _some(database):
        change = StepChange("step_3", "started", FENCE, run_id="again", activity_id="1", attempt=1)
        began = time.monotonic()
        outcome = await store.update_step_status(project, change)
        took.append(time.monotonic() - began)
        assert outcome.said == "applied", outcome
    return {"p99": percentile(took, 0.99) * 1000}


async def _snapshots(database: Database) -> Metrics:
    reader = Reader(database.pool)
    took = []
    for project in _some(database):
        began = time.monotonic()
        await reader.snapshot(UUID(project))
        took.append(time.monotonic() - began)
    return {"p99": percentile(took, 0.99) * 1000}


async def _analytics(database: Database, times: int) -> Comparison:
    since = await database.pool.fetchval("SELECT now() - interval '30 days'")
    pairs = []
    for _ in range(times):
        began = time.monotonic()
        await Analytics(database.pool).steps(None, since)
        pairs.append((time.monotonic() - began, 1.0))
    label = f"analytics of 30 days, {database.projects:,} projects"
    return Comparison(label, "s", "1 s", pairs, Target(1.0), limit=True)
