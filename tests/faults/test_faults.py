"""A short run of the fault harness, and long outages. scripts/faults is the long run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from stepway.workflows.model.messages import workflow_id
from tests.faults import blueprint
from tests.faults.cluster import Cluster
from tests.faults.recovery import recoveries
from tests.faults.rounds import HOSTED, Rounds
from tests.faults.running import running_rounds
from tests.support.servers import eventually

SEED = 20261
ROUNDS = 2
OUTAGE = 8.0
"""Seconds without Postgres: longer than the heartbeat timeout, so heartbeats must continue."""

Harness = tuple[Cluster, Rounds]


@pytest.fixture(scope="module")
async def harness() -> AsyncIterator[Harness]:
    async with running_rounds(SEED) as found:
        yield found


async def runs(cluster: Cluster, project: str, step: str) -> int:
    """Return the number of attempts of a step."""
    [row] = await cluster.fetch(
        "SELECT count(*) AS runs FROM project_initialization_attempts"
        " WHERE project_id = $1 AND step = $2",
        project,
        step,
    )
    return int(row["runs"])


async def is_at(cluster: Cluster, project: str, status: str) -> bool:
    """Whether a project has a status."""
    [row] = await cluster.fetch("SELECT status FROM projects WHERE id = $1", project)
    return bool(row["status"] == status)


async def test_nothing_is_lost_doubled_or_left_behind_whatever_breaks(harness: Harness) -> None:
    _, rounds = harness
    summary = await rounds.run(ROUNDS)
    await rounds.search_secrets()
    assert summary.violations == []
    assert summary.versions > 0
    assert summary.faults.total() >= 20
    assert any(name.startswith("host: ") for name in summary.faults)
    assert summary.hosted.total() == ROUNDS * HOSTED
    assert summary.secrets > 0


async def test_step_runs_again_soon_after_kill_9_of_its_worker(harness: Harness) -> None:
    cluster, rounds = harness
    [seconds] = await recoveries(cluster, 1)
    assert seconds < 3 * rounds.summary.recovery_limit


async def test_postgres_gone_in_the_middle_of_a_step_loses_nothing(harness: Harness) -> None:
    cluster, rounds = harness
    project = await rounds.watch_one(blueprint.ONE_STEP, seconds=OUTAGE / 2)
    await eventually(lambda: runs(cluster, project, "only"))
    await cluster.servers.kill("postgres")
    await asyncio.sleep(OUTAGE)
    await cluster.servers["postgres"].start()
    await rounds.until_ended([project])
    await rounds.check(project)
    assert rounds.summary.violations == []
    assert await runs(cluster, project, "only") == 1


async def test_retry_is_done_though_worker_and_caller_die_when_it_is_written_down(
    harness: Harness,
) -> None:
    cluster, rounds = harness
    project = await rounds.start_faulty()
    await eventually(lambda: is_at(cluster, project, "failed"))
    written = asyncio.Event()
    cluster.proxies["worker-postgres"].lose_answer_to(b'"retried"', hit=lambda _: written.set())
    async with httpx.AsyncClient(base_url=cluster.url, timeout=30) as http:
        path = f"/api/projects/{project}/initialization/retry"
        asking = asyncio.create_task(http.post(path))
        await written.wait()
        for name in tuple(cluster.processes):
            await cluster.restart(name)
        await asyncio.gather(asking, return_exceptions=True)
    await rounds.until_ended([project])
    await rounds.check(project)
    assert rounds.summary.violations == []


async def test_valkey_gone_costs_latency_only(harness: Harness) -> None:
    cluster, rounds = harness
    await cluster.servers.kill("valkey")
    try:
        began = time.monotonic()
        project = await rounds.watch_one(blueprint.ONE_STEP, seconds=2)
        await rounds.until_ended([project])
        await rounds.check(project)
        assert time.monotonic() - began < 30
    finally:
        await cluster.servers["valkey"].start()
    assert rounds.summary.violations == []
    assert await runs(cluster, project, "only") == 1


async def test_terminated_initialization_is_closed_within_a_minute(harness: Harness) -> None:
    cluster, rounds = harness
    project = await rounds.watch_one(blueprint.ONE_STEP, seconds=60)
    await eventually(lambda: runs(cluster, project, "only"))
    await cluster.temporal.get_workflow_handle(workflow_id(project)).terminate("by hand")

    await eventually(lambda: is_at(cluster, project, "failed"), 60)
    await rounds.check(project)
    assert rounds.summary.violations == []
