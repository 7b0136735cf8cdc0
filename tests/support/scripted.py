"""The workflow on a Temporal that skips time, with steps that follow a test's script.

The record is real: its SQL, its interceptor and its local activities. Only Temporal's clock is not.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.testservice.v1 import UnlockTimeSkippingRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)

from stepway.worker import RUNNER
from stepway.workflows.initialize_project import InitializeProject
from stepway.workflows.model import messages
from stepway.workflows.model.messages import Cancel, InitializationInput, Resumed, Retry, Skip
from stepway.workflows.model.plan import Plan, PlannedStep, RetryPlan, UndoPlan
from stepway_tracking.record.changes import Changes, NewInitialization
from stepway_tracking.record.progress import Skipped
from stepway_tracking.record.store import Outcome, Store
from stepway_tracking.worker.plugin import TrackingPlugin
from tests.support.clock import ticking

TEST_SERVER = str(Path(sys.executable).parent / "temporal-test-server")

PATIENCE = 120.0
IN_TIME = "9999-12-31T00:00:00+00:00"
"""The deadline of every request here: the clock of a Temporal that skips time runs ahead."""

USES = "scripted"
UNDO = "scripted_undo"

Json = dict[str, Any]


def planned(step: str, **more: Any) -> PlannedStep:
    """A scripted step; every field but `needs` and `after` as in a plan, one attempt by default."""
    more.setdefault("retry", RetryPlan(maximum_attempts=1))
    arguments = {"name": step, **more.pop("arguments", {})}
    return PlannedStep(step, {"en": step.upper()}, USES, arguments, **more)


def undone_by_script(step: str, *, partial: bool = False) -> UndoPlan:
    """An undo that notes that it ran."""
    return UndoPlan(UNDO, {"name": step}, partial)


def a_plan(steps: list[PlannedStep], time_limit: float = 30 * 86400.0) -> Plan:
    """A plan of these steps."""
    return Plan("test", {"en": "Test"}, steps, time_limit)


class Troubled(Store):
    """A record whose writes fail or wait, by project, as `Troubles` say."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool, Silent())
        self.troubles: dict[str, Troubles] = {}

    async def initialize_steps_in_database(self, new: NewInitialization) -> bool:
        """Plan, with troubles."""
        async with self._troubled(new.project_id, "planned"):
            return await super().initialize_steps_in_database(new)

    async def record(self, changes: Changes) -> list[Outcome]:
        """Record, with troubles."""
        actions = [change.action for change in changes.steps]
        if changes.project:
            actions.append(f"project {changes.project.action}")
        async with self._troubled(changes.project_id, *actions):
            return await super().record(changes)

    @asynccontextmanager
    async def _troubled(self, project: str, *actions: str) -> AsyncIterator[None]:
        troubles = self.troubles.setdefault(project, Troubles())
        if troubles.stalled_action in actions:
            troubles.stalled.set()
            await troubles.resumed.wait()
        if troubles.refused_action in actions:
            raise ValueError("It does not fit.")
        if troubles.away > 0:
            troubles.away -= 1
            raise ConnectionError("Postgres is away.")
        yield
        if troubles.losing > 0:
            troubles.losing -= 1
            raise ConnectionError("The answer of a committed write was lost.")


@dataclass
class Troubles:
    """`away` writes fail, and the answers of `losing` are lost.

    Changes of `stalled_action` wait until `resumed`, and those of `refused_action` are refused for
    good; changes of the project are called `project ACTION` here.
    """

    away: int = 0
    losing: int = 0
    stalled_action: str = ""
    refused_action: str = ""
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    resumed: asyncio.Event = field(default_factory=asyncio.Event)


class Silent:
    """A publisher that publishes nothing."""

    async def publish(self, project_id: str, messages: list[str]) -> None:
        """Do nothing."""


class LosesAnswers(ClientInterceptor, Interceptor):
    """Runs outside the record's interceptor: a step is committed, but its result does not reach
    Temporal.
    """

    def __init__(self, scripted: Scripted) -> None:
        self._scripted = scripted

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Fail after the record has a result whose script says `lost`."""
        return _Losing(next, self._scripted)


class _Losing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, scripted: Scripted) -> None:
        super().__init__(next)
        self._scripted = scripted

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        result = await super().execute_activity(input)
        given = input.args[0] if input.args else None
        if activity.info().activity_type == USES and self._scripted.loses(given):
            raise ApplicationError("The answer was lost.", non_retryable=True)
        return result


@dataclass
class Script:
    """The action of each run of each step, in order; the last is repeated. See `Scripted.run`."""

    runs: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, list[Json]] = field(default_factory=dict)
    undone: list[str] = field(default_factory=list)
    undo_results: Json = field(default_factory=dict)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0

    def what(self, step: str, number: int) -> str:
        """The action of the run with this number, from 1."""
        given = self.runs.get(step, ["ok"])
        return given[min(number, len(given)) - 1]


class Scripted:
    """The activities; scripts are found by project."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}

    def activities(self) -> Sequence[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [self.run, self.undo]

    def loses(self, given: Json) -> bool:
        """Whether the answer of the run that has just ended is lost."""
        script, step = self.scripts[given["project"]["id"]], given["name"]
        return script.what(step, len(script.seen[step])).endswith("lost")

    @activity.defn(name=USES)
    async def run(self, given: Json) -> Any:
        """`ok`, `error` (another attempt may follow), `final`, `hang` (until it is stopped), `wait`
        (until released), `stubborn` (until released, whoever stops it), `late` (completes when it
        is stopped), `skip` (nothing to do), `imported` (a result with the one field `skipped`),
        `large` (a result of 600 kB), `larger` (of 1 MB), `largest` (of 1.95 MB). With ` lost`
        behind it, the answer is lost after the commit.
        """
        script, step = self.scripts[given["project"]["id"]], given["name"]
        script.seen.setdefault(step, []).append(given)
        number = len(script.seen[step])
        what = script.what(step, number)
        script.busy += 1
        try:
            return await self._act(script, step, number, what)
        finally:
            script.busy -= 1

    async def _act(self, script: Script, step: str, number: int, what: str) -> Any:
        match what.removesuffix(" lost"):
            case "error":
                raise RuntimeError(f"{step} had no luck in run {number}")
            case "final":
                raise ApplicationError(f"{step} failed for good", non_retryable=True)
            case "hang":
                await self._stay(script, asyncio.Event())
            case "stubborn":
                await self._stay(script, script.released, stubborn=True)
            case "wait":
                await self._stay(script, script.released)
            case "late":
                await self._stay(script, script.released, finishes=True)
            case "skip":
                return Skipped("nothing to do")
            case "imported":
                return {"skipped": 3}
            case "large":
                return {"made": f"{step}/{number}", "text": "x" * 600_000}
            case "larger":
                return {"made": f"{step}/{number}", "text": "x" * 1_000_000}
            case "largest":
                return {"made": f"{step}/{number}", "text": "x" * 1_950_000}
        return {"made": f"{step}/{number}"}

    async def _stay(
        self,
        script: Script,
        released: asyncio.Event,
        *,
        stubborn: bool = False,
        finishes: bool = False,
    ) -> None:
        script.busy -= 1
        try:
            await self._beat_until(released, stubborn, finishes)
        finally:
            script.busy += 1

    async def _beat_until(self, released: asyncio.Event, stubborn: bool, finishes: bool) -> None:
        while not released.is_set():
            try:
                activity.heartbeat()
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                if finishes:
                    return
                if not stubborn:
                    raise

    @activity.defn(name=UNDO)
    async def undo(self, given: Json) -> None:
        """Note that it ran."""
        script = self.scripts[given["project"]["id"]]
        script.undone.append(given["name"])
        script.undo_results[given["name"]] = given["result"]
        if script.runs.get(f"undo {given['name']}") == ["final"]:
            raise ApplicationError("It is in use.", non_retryable=True)


@dataclass
class Initialization:
    """One run of the workflow, with its script and its record."""

    stage: Stage
    project: str
    script: Script
    handle: WorkflowHandle[Any, str]
    steps_planned: list[PlannedStep]

    @property
    def troubles(self) -> Troubles:
        """The faults in its record."""
        return self.stage.store.troubles[self.project]

    async def update(self, name: str, argument: Any) -> None:
        """Send an update; raises WorkflowUpdateFailedError, RPCError."""
        await self.handle.execute_update(name, argument)

    async def retry(self, step: str = "", actor: str = "alice", **more: Any) -> None:
        """Retry a step, or all."""
        name = messages.RETRY_STEP if step else messages.RETRY_INITIALIZATION
        await self.update(name, Retry(actor, IN_TIME, step, **more))

    async def skip(self, step: str) -> None:
        """Skip a step."""
        await self.update(messages.SKIP_STEP, Skip("alice", IN_TIME, step, "not needed"))

    async def cancel(self, *, undo: bool = False) -> None:
        """Ask for a cancel."""
        await self.update(messages.CANCEL, Cancel("alice", IN_TIME, undo))

    async def closes(self) -> str:
        """Skip time until the newest run is closed; `COMPLETED`, `FAILED`, `CANCELED`."""
        # Only the handle of the start skips time; it follows the runs that continue.
        try:
            async with asyncio.timeout(PATIENCE):
                with suppress(WorkflowFailureError):
                    await self.handle.result()
        except TimeoutError:
            raise AssertionError(await self.account()) from None
        await self._let_time_pass_again()
        newest = self.stage.client.get_workflow_handle(self.handle.id)
        status = (await newest.describe()).status
        assert status is not None
        return status.name

    async def _let_time_pass_again(self) -> None:
        """The test server skips no time while an activity runs. It never learns that an activity
        has ended if the workflow was closed first.
        """
        given_up = [row for row in (await self.steps()).values() if "given up" in str(row["error"])]
        for _ in given_up:
            await self.stage.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())

    async def until(self, status: str) -> None:
        """Wait, without skipping time, for the project's status."""
        async with asyncio.timeout(20):
            while (await self.row())["status"] != status:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def until_step(self, step: str, status: str) -> None:
        """Wait, without skipping time, for a step's status."""
        async with asyncio.timeout(20):
            while (await self.statuses()).get(step) != status:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            # The workflow knows of a failure after it is recorded, and refuses controls until then.
            while status == "failed" and not await self._is_known(step):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _is_known(self, step: str) -> bool:
        seen = await self.as_the_workflow_sees_it()
        return seen.get(step, "failed") == "failed"

    async def until_runs(self, step: str, times: int) -> None:
        """Wait until a step has run so many times and the initialization has failed since."""
        async with asyncio.timeout(20):
            while len(self.script.seen.get(step, [])) < times:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await self.until_step(step, "failed")
        await self.until("failed")

    async def rests(self) -> None:
        """Wait until steps only wait, and nothing changes for a moment.

        The test server gets stuck over a cancel of an activity that ends at the same moment.
        """
        quiet, version = 0, None
        async with asyncio.timeout(20):
            while quiet < 4:
                seen = (await self.row()).get("version"), self.script.busy
                quiet = quiet + 1 if seen == version and not self.script.busy else 0
                version = seen
                await asyncio.sleep(0.03)

    async def row(self) -> Any:
        """The project's row; empty before it is planned."""
        row = await self.stage.pool.fetchrow(
            "SELECT * FROM projects WHERE id = $1", UUID(self.project)
        )
        return row or {"status": None}

    async def steps(self) -> dict[str, Any]:
        """The steps' rows by name."""
        rows = await self.stage.pool.fetch(
            "SELECT * FROM project_initialization_steps WHERE project_id = $1 ORDER BY sequence",
            UUID(self.project),
        )
        return {row["step"]: row for row in rows}

    async def statuses(self) -> dict[str, str]:
        """The steps' statuses by name."""
        return {step: row["status"] for step, row in (await self.steps()).items()}

    async def events(self) -> list[Any]:
        """All events of the record, in order."""
        return await self.stage.pool.fetch(  # type: ignore[no-any-return]
            "SELECT version, type, action, step, actor, payload, change_id "
            "FROM project_initialization_events WHERE project_id = $1 ORDER BY version",
            UUID(self.project),
        )

    async def actions(self, step: str) -> list[str]:
        """The actions of a step in the record, in order."""
        return [event["action"] for event in await self.events() if event["step"] == step]

    async def attempts(self) -> list[Any]:
        """All attempts' rows."""
        return await self.stage.pool.fetch(  # type: ignore[no-any-return]
            "SELECT * FROM project_initialization_attempts WHERE project_id = $1",
            UUID(self.project),
        )

    async def as_the_workflow_sees_it(self) -> dict[str, str]:
        """The steps' states in the workflow's memory."""
        handle = self.stage.client.get_workflow_handle(self.handle.id)
        found = await handle.query(messages.INITIALIZATION)
        return {step["step"]: step["status"] for step in found["steps"]}

    async def account(self) -> str:
        """The history and the record as text, to explain a failed test."""
        newest = self.stage.client.get_workflow_handle(self.handle.id)
        history = [EventType.Name(each.event_type) async for each in newest.fetch_history_events()]
        steps = {step: (row["status"], row["error"]) for step, row in (await self.steps()).items()}
        told = [f"{event['step'] or 'project'}: {event['action']}" for event in await self.events()]
        return "\n".join(["The workflow did not close:", *history, str(steps), *told])

    async def runs(self) -> int:
        """How many times the workflow has continued as new, and one."""
        run_ids, run_id = 1, (await self.handle.describe()).run_id
        first = self.handle.first_execution_run_id
        while run_id != first:
            history = self.stage.client.get_workflow_handle(self.handle.id, run_id=run_id)
            async for event in history.fetch_history_events():
                started = event.workflow_execution_started_event_attributes
                run_id = started.continued_execution_run_id
                break
            run_ids += 1
        return run_ids


@dataclass
class Stage:
    """A Temporal that skips time, with a worker."""

    env: WorkflowEnvironment
    client: Client
    pool: asyncpg.Pool
    queue: str
    scripted: Scripted
    store: Troubled

    async def start(
        self,
        steps: list[PlannedStep],
        script: dict[str, list[str]] | None = None,
        troubles: Troubles | None = None,
        **more: Any,
    ) -> Initialization:
        """Start an initialization of these steps."""
        project = str(uuid4())
        found = self.scripted.scripts[project] = Script(runs=dict(script or {}))
        self.store.troubles[project] = troubles or Troubles()
        return await self._start(project, found, steps, **more)

    async def start_again(
        self, ended: Initialization, resumed: Resumed, **more: Any
    ) -> Initialization:
        """Start the run of a retry of an initialization that has ended."""
        return await self._start(
            ended.project, ended.script, ended.steps_planned, resumed=resumed, **more
        )

    async def _start(
        self,
        project: str,
        script: Script,
        steps: list[PlannedStep],
        *,
        time_limit: float = 30 * 86400.0,
        parameters: Json | None = None,
        resumed: Resumed | None = None,
    ) -> Initialization:
        given = InitializationInput(
            project_id=project,
            name=f"p-{project[:8]}",
            owner="alice",
            plan=a_plan(steps, time_limit),
            parameters=parameters or {},
            definition={},
            request_hash="",
            deadline="",
            actor="alice",
            index_pause=messages.INDEX_PAUSE,
            resumed=resumed,
        )
        handle = await self.client.start_workflow(
            messages.WORKFLOW, given, id=messages.workflow_id(project), task_queue=self.queue
        )
        return Initialization(self, project, script, handle, steps)


@asynccontextmanager
async def running_stage(env: WorkflowEnvironment, pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    """A worker with scripted steps, on a record and a Temporal that skips time."""
    config = env.client.config()
    scripted = Scripted()
    config["interceptors"] = [*config["interceptors"], LosesAnswers(scripted)]
    client = Client(**config)
    queue = f"stage-{uuid4().hex[:8]}"
    store = Troubled(pool)
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[InitializeProject],
        activities=scripted.activities(),
        plugins=[TrackingPlugin(store)],
        workflow_runner=RUNNER,
        max_heartbeat_throttle_interval=timedelta(seconds=0.1),
        default_heartbeat_throttle_interval=timedelta(seconds=0.1),
    )
    async with worker, ticking(env.client, queue):
        yield Stage(env, client, pool, queue, scripted, store)
