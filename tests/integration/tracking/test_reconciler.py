"""The sweep: cheap, and not stopped by one project that cannot be looked at."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from stepway_tracking.reconcile import reconciler
from stepway_tracking.reconcile.reconciler import Reconciler
from stepway_tracking.reconcile.state import SweepState
from stepway_tracking.record.changes import NewInitialization, PlannedRow
from stepway_tracking.record.store import Store
from tests.support.databases import empty_database
from tests.support.servers import Json, eventually

SWEEP = timedelta(seconds=20)


class Silent:
    """A publisher without Redis."""

    async def publish(self, project_id: str, messages: list[str]) -> None:
        """Publish nothing."""


class Sweeps:
    """Runs sweeps one after the other, with Temporal's clock at `now`."""

    def __init__(self, pool: asyncpg.Pool, client: Client, types: list[str]) -> None:
        self.pool = pool
        self.client = client
        self.store = Store(pool, Silent())
        self.reconciler = Reconciler(pool, self.store, client, types)
        self.now = datetime.now(UTC)
        self.state: Json | None = None

    async def run(self) -> SweepState:
        """Run one sweep."""
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, scheduled_time=self.now)
        state: SweepState = await environment.run(self.reconciler.reconcile, self.state)
        self.state = json.loads(json.dumps(dataclasses.asdict(state)))
        return state

    async def next(self, after: timedelta = SWEEP) -> SweepState:
        """Run the next sweep, `after` the previous one."""
        self.now += after
        return await self.run()

    async def plan(self, workflow_id: str) -> UUID:
        """Insert a project with one step."""
        project_id = uuid4()
        await self.store.initialize_steps_in_database(
            NewInitialization(
                str(project_id),
                name=f"p-{project_id.hex[:12]}",
                owner="local",
                blueprint="test",
                steps=[PlannedRow("one", "One")],
                workflow_id=workflow_id,
                run_id="run",
            )
        )
        return project_id

    async def error(self, project_id: UUID) -> str | None:
        """Return why a project has ended; None if it has not."""
        error: str | None = await self.pool.fetchval(
            """
            SELECT initialization_error FROM projects
            WHERE id = $1 AND initialization_completed_at IS NOT NULL
            """,
            project_id,
        )
        return error


@pytest.fixture
async def sweeps(
    pool: asyncpg.Pool, servers: Settings, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sweeps]:
    """Sweeps of an empty database; a project may be ended as soon as it is made."""
    monkeypatch.setattr(reconciler, "STALLED_SECONDS", 0.0)
    async with empty_database(pool, servers.database_url) as url:
        await upgrade_database(url)
        own = await open_pool(url)
        yield Sweeps(own, temporal, ["Waits"])
        await own.close()


Workflow = WorkflowHandle[Any, Any]


async def waiting(client: Client, name: str = "Waits") -> Workflow:
    """Start a workflow that no worker takes."""
    return await client.start_workflow(name, id=f"waits-{uuid4()}", task_queue="nobody")


async def indexed(client: Client, handle: Workflow, status: str) -> None:
    """Wait until visibility has this status of a workflow."""
    query = f"WorkflowId = '{handle.id}' AND ExecutionStatus = '{status}'"

    async def found() -> bool:
        return (await client.count_workflows(query)).count == 1

    await eventually(found)


async def terminated(client: Client, handle: Workflow) -> None:
    await handle.terminate(reason="no longer wanted")
    await indexed(client, handle, "Terminated")


@asynccontextmanager
async def counted(client: Client) -> AsyncIterator[Counter[str]]:
    """Count the calls to Temporal by name."""
    calls: Counter[str] = Counter()
    service = client.service_client
    call = service._rpc_call

    async def counting(rpc: str, *given: Any, **more: Any) -> Any:
        calls[rpc] += 1
        return await call(rpc, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_rpc_call", counting)
        yield calls


async def test_ten_thousand_waiting_projects_cost_less_than_a_call_a_second(
    sweeps: Sweeps, temporal: Client
) -> None:
    workflows = [await waiting(temporal) for _ in range(50)]
    await indexed(temporal, workflows[-1], "Running")
    await sweeps.pool.execute(
        """
        INSERT INTO projects (id, name, owner, blueprint, parameters, definition, request_hash,
                              workflow_id, run_id, version, points_total, created_at, updated_at)
        SELECT gen_random_uuid(), 'p' || n, 'local', 'test', '{}', '{}', '',
               ($1::text[])[1 + n % 50], 'run', 1, 100, now() - interval '1 day', now()
        FROM generate_series(1, 10000) n
        """,
        [workflow.id for workflow in workflows],
    )
    async with counted(temporal) as calls:
        await sweeps.run()
        first = calls.total()
        assert first <= 101, "the first look at all of them, in batches"
        for _ in range(180):
            state = await sweeps.next()
            assert (state.closed, state.again) == (0, [])
    hour = calls.total() - first
    assert hour < 3600 / 4
    assert set(calls) == {"list_workflow_executions"}


async def test_each_project_has_its_turn_once_an_hour(sweeps: Sweeps, temporal: Client) -> None:
    workflow = await waiting(temporal)
    await indexed(temporal, workflow, "Running")
    made = {await sweeps.plan(workflow.id) for _ in range(40)}
    await sweeps.pool.execute("UPDATE projects SET created_at = now() - interval '1 day'")
    await sweeps.run()
    seen: Counter[UUID] = Counter()
    for _ in range(180):
        since = sweeps.now
        sweeps.now += SWEEP
        seen.update([*await sweeps.reconciler._unfinished.due(since, sweeps.now, [])])
    assert seen == Counter(made)


async def test_a_terminated_workflow_is_noticed_by_the_next_sweep(
    sweeps: Sweeps, temporal: Client
) -> None:
    workflow = await waiting(temporal)
    project = await sweeps.plan(workflow.id)
    await sweeps.pool.execute("UPDATE projects SET created_at = now() - interval '1 day'")
    await sweeps.run()
    await terminated(temporal, workflow)
    assert (await sweeps.next()).closed == 1
    assert "no longer wanted" in str(await sweeps.error(project))


async def test_workflows_of_another_type_are_noticed_as_fast(
    sweeps: Sweeps, temporal: Client
) -> None:
    await sweeps.run()
    workflow = await waiting(temporal, "OfAnotherTeam")
    await indexed(temporal, workflow, "Running")
    project = await sweeps.plan(workflow.id)
    assert "OfAnotherTeam" in (await sweeps.next()).types
    await sweeps.pool.execute("UPDATE projects SET created_at = now() - interval '1 day'")
    await terminated(temporal, workflow)
    assert (await sweeps.next()).closed == 1
    assert await sweeps.error(project)


async def test_what_closed_while_no_sweep_ran_is_found(sweeps: Sweeps, temporal: Client) -> None:
    workflow = await waiting(temporal)
    project = await sweeps.plan(workflow.id)
    await sweeps.run()
    await terminated(temporal, workflow)
    assert (await sweeps.next(timedelta(minutes=40))).closed == 1
    assert await sweeps.error(project)


async def test_a_workflow_that_temporal_has_lost_is_found_within_the_hour(
    sweeps: Sweeps,
) -> None:
    project = await sweeps.plan(f"never-{uuid4()}")
    await sweeps.pool.execute("UPDATE projects SET created_at = now() - interval '1 day'")
    sweeps.state = dataclasses.asdict(SweepState(sweeps.now.isoformat()))
    closed = [(await sweeps.next()).closed for _ in range(180)]
    assert sum(closed) == 1
    assert await sweeps.error(project) == "Temporal no longer has its workflow."


@pytest.mark.parametrize("broken", ["temporal", "postgres"])
async def test_one_bad_project_does_not_keep_the_others_from_being_closed(
    sweeps: Sweeps,
    temporal: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    workflows = [await waiting(temporal) for _ in range(5)]
    made = sorted([(await sweeps.plan(workflow.id), workflow) for workflow in workflows])
    bad, bad_workflow = made[0]
    for workflow in workflows:
        await terminated(temporal, workflow)

    with monkeypatch.context() as patch:
        if broken == "temporal":
            call = temporal.service_client._rpc_call

            async def refusing(rpc: str, *given: Any, **more: Any) -> Any:
                if rpc == "describe_workflow_execution" and bad_workflow.id in str((given, more)):
                    raise RPCError("unknown shard", RPCStatusCode.INTERNAL, b"")
                return await call(rpc, *given, **more)

            patch.setattr(temporal.service_client, "_rpc_call", refusing)
        else:
            await sweeps.pool.execute(
                f"""
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'this row is broken'; END $$;
                CREATE TRIGGER refuse BEFORE UPDATE ON projects FOR EACH ROW
                WHEN (OLD.id = '{bad}') EXECUTE FUNCTION refuse()
                """
            )
        state = await sweeps.run()
        assert (state.closed, state.again) == (4, [str(bad)])
        assert str(bad) in caplog.text
        assert [await sweeps.error(project) is None for project, _ in made] == [True] + [False] * 4
        assert (await sweeps.next(timedelta(minutes=10))).again == [str(bad)]
    await sweeps.pool.execute("DROP TRIGGER IF EXISTS refuse ON projects")
    state = await sweeps.next(timedelta(minutes=10))
    assert (state.closed, state.again) == (1, [])
    assert await sweeps.error(bad)


async def test_a_project_that_has_just_changed_is_looked_at_again(
    sweeps: Sweeps, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = await waiting(temporal)
    project = await sweeps.plan(workflow.id)
    await terminated(temporal, workflow)
    with monkeypatch.context() as patch:
        patch.setattr(reconciler, "STALLED_SECONDS", 3600.0)
        assert (await sweeps.run()).again == [str(project)]
    assert (await sweeps.next()).closed == 1


async def test_names_that_a_query_cannot_contain_are_asked_about_one_by_one(
    sweeps: Sweeps, temporal: Client
) -> None:
    name = "it's \"quoted\" \\ 'and' %"
    running = await temporal.start_workflow(name, id=f"{name} {uuid4()}", task_queue="nobody")
    gone = await temporal.start_workflow(name, id=f"{name} {uuid4()}", task_queue="nobody")
    projects = [await sweeps.plan(each.id) for each in (running, gone)]
    await gone.terminate()
    assert (await sweeps.run()).closed == 1
    assert [await sweeps.error(each) is None for each in projects] == [True, False]


@pytest.mark.parametrize("last", [None, 7, {}, {"at": "2026-01-01T00:00:00+00:00", "new": 1}])
async def test_without_the_state_of_this_version_every_project_is_looked_at(
    sweeps: Sweeps, temporal: Client, last: Any
) -> None:
    workflow = await waiting(temporal)
    await sweeps.plan(workflow.id)
    await sweeps.pool.execute("UPDATE projects SET created_at = now() - interval '1 day'")
    await terminated(temporal, workflow)
    sweeps.state = last
    assert (await sweeps.run()).closed == 1
