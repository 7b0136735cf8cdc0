"""Attempts in the record, with real workers on a real Temporal."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped
from tests.support import tracked_step
from tests.support.servers import eventually
from tests.support.tracked import STEP, Tracker
from tests.support.tracked_step import LONG, heartbeat_on, outcomes, step, until


@dataclass(frozen=True)
class Built:
    """The result of the step."""

    image: str
    layers: int = 3


async def test_a_step_is_recorded_from_start_to_end(tracker: Tracker) -> None:
    async with tracker.worker(step(lambda: Built("app:1"))):
        handle, record = await tracker.start()
        assert await handle.result() == {"image": "app:1", "layers": 3}
    row = await record.step(STEP)
    assert (row["status"], row["progress"], row["attempt"]) == ("completed", 100, 1)
    assert row["metadata"] == {"image": "app:1", "layers": 3}
    assert await record.actions(STEP) == ["started", "completed"]
    await record.check()


async def test_an_activity_without_a_mark_leaves_no_trace(tracker: Tracker) -> None:
    @activity.defn(name="gate")
    async def gate() -> None:
        activity.heartbeat(Progress(50))

    async with tracker.worker(gate, step(lambda: None)):
        handle, record = await tracker.start(gate=True)
        assert await handle.result() is None
    assert await record.actions() == ["planned", "started", "completed"]


async def test_each_failure_is_kept_with_its_stack_and_the_third_attempt_completes(
    tracker: Tracker,
) -> None:
    def flaky() -> Built:
        if activity.info().attempt < 3:
            raise RuntimeError(f"no luck in attempt {activity.info().attempt}")
        return Built("app:3")

    async with tracker.worker(step(flaky)):
        handle, record = await tracker.start()
        await handle.result()
    first, second, third = await record.attempts(STEP)
    assert first["error"] == "RuntimeError: no luck in attempt 1"
    assert "in flaky" in first["error_stack"] and second["outcome"] == "failed"
    assert (third["outcome"], third["attempt"], third["round"]) == ("completed", 3, 1)
    row = await record.step(STEP)
    assert (row["status"], row["attempt"], row["error"]) == ("completed", 3, None)
    failed = [e for e in await record.events() if e["action"] == "attempt_failed"]
    assert all(e["payload"]["step"]["status"] == "running" for e in failed)
    assert all(e["payload"]["step"]["metadata"]["next_attempt_at"] for e in failed)
    await record.check()


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (step_error("The host refused the key.", remedy="Add the key.", retry=False), {}),
        (ValueError("The host refused the key."), {"final_types": ["ValueError"]}),
        (ValueError("The host refused the key."), {"attempts": 1}),
        (ValueError("The host refused the key."), {"schedule_to_close": 5, "pause": 30}),
        (
            ApplicationError("The host refused the key.", next_retry_delay=timedelta(seconds=1)),
            {"attempts": 1},
        ),
        (SystemExit("The host refused the key."), {"attempts": 1}),
    ],
)
async def test_a_failure_that_temporal_does_not_retry_is_final_at_once(
    tracker: Tracker, error: BaseException, options: dict[str, Any]
) -> None:
    def broken() -> None:
        raise error

    async with tracker.worker(step(broken)):
        handle, record = await tracker.start(**options)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["status"], row["attempt"]) == ("failed", 1)
    assert row["error"].endswith("The host refused the key.")
    assert "in broken" in row["error_stack"] and row["duration"] is not None
    frames = [line for line in row["error_stack"].splitlines() if line.startswith('  File "')]
    assert tracked_step.__file__ in frames[0], "only the step's own code is of use"
    assert await record.actions(STEP) == ["started", "failed"]
    await record.check()


async def test_the_stack_of_a_step_in_a_thread_begins_with_its_own_code(tracker: Tracker) -> None:
    @activity.defn(name=STEP)
    def build() -> None:
        raise RuntimeError("no luck")

    async with tracker.worker(build):
        handle, record = await tracker.start(attempts=1)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    stack = (await record.step(STEP))["error_stack"].splitlines()
    assert stack[1].startswith(f'  File "{__file__}"') and stack[1].endswith("in build")


async def test_a_remedy_is_told_with_the_error(tracker: Tracker) -> None:
    def broken() -> None:
        raise step_error("The host refused the key.", remedy="Add the key.", retry=False)

    async with tracker.worker(step(broken)):
        handle, record = await tracker.start()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["error"], row["metadata"]) == (
        "The host refused the key.",
        {"remedy": "Add the key."},
    )


async def test_a_cancel_that_the_step_made_up_itself_is_a_failure(tracker: Tracker) -> None:
    def muddled() -> None:
        if activity.info().attempt == 1:
            raise asyncio.CancelledError

    async with tracker.worker(step(muddled)):
        handle, record = await tracker.start()
        await handle.result()
    assert await outcomes(record) == ["failed", "completed"]


async def test_a_result_that_cannot_be_encoded_fails_the_step(tracker: Tracker) -> None:
    async with tracker.worker(step(lambda: object())):
        handle, record = await tracker.start(attempts=1)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["status"] == "failed" and "not JSON serializable" in row["error"]


async def test_a_step_with_nothing_to_do_is_skipped_with_its_reason(tracker: Tracker) -> None:
    async with tracker.worker(step(lambda: Skipped("no cluster"))):
        handle, record = await tracker.start()
        assert await handle.result() == {"skipped": "no cluster"}
    row = await record.step(STEP)
    assert (row["status"], row["metadata"]) == ("skipped", {"reason": "no cluster"})


async def test_a_lost_attempt_is_closed_by_the_next_and_its_late_word_is_not_heard(
    tracker: Tracker,
) -> None:
    let_go, gone = threading.Event(), threading.Event()

    @activity.defn(name=STEP, no_thread_cancel_exception=True)
    def build() -> Built:
        if activity.info().attempt > 1:
            return Built("heir")
        let_go.wait(LONG)
        gone.set()
        return Built("zombie")

    async with tracker.worker(build):
        handle, record = await tracker.start(timeout=1)
        assert (await handle.result())["image"] == "heir"
        before = await record.project()
        let_go.set()
        await asyncio.to_thread(gone.wait, LONG)
    assert await outcomes(record) == ["lost", "completed"]
    assert (await record.step(STEP))["metadata"]["image"] == "heir"
    assert await record.project() == before
    await record.check()


async def test_a_silent_step_has_exceeded_its_limit(tracker: Tracker) -> None:
    async def silent() -> None:
        if activity.info().attempt == 1:
            await asyncio.sleep(LONG)

    async with tracker.worker(step(silent)):
        handle, record = await tracker.start(heartbeat=0.5)
        await handle.result()
    assert await outcomes(record) == ["timed_out", "completed"]
    first, _ = await record.attempts(STEP)
    assert first["error"] == "The step sent no heartbeat for 0.5 s: it does not respond."
    assert "in silent" in first["error_stack"]


async def test_a_cancelled_attempt_is_closed_and_the_step_is_not_called_failed(
    tracker: Tracker,
) -> None:
    async with tracker.worker(step(heartbeat_on)):
        handle, record = await tracker.start()
        await until(record, status="running")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as cancelled:
            await handle.result()
    assert isinstance(cancelled.value.cause, CancelledError)
    assert (await record.step(STEP))["status"] == "running"
    assert await outcomes(record) == ["cancelled"]
    assert await record.actions(STEP) == ["started", "interrupted"]


async def test_a_step_in_a_thread_hears_its_cancel_too(tracker: Tracker) -> None:
    @activity.defn(name=STEP)
    def build() -> None:
        pause = threading.Event()
        while True:
            activity.heartbeat()
            pause.wait(0.05)

    async with tracker.worker(build):
        handle, record = await tracker.start()
        await until(record, status="running")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as cancelled:
            await handle.result()
    assert isinstance(cancelled.value.cause, CancelledError)
    assert await outcomes(record) == ["cancelled"]


async def test_a_step_that_fails_on_its_cancel_has_failed_for_good(tracker: Tracker) -> None:
    async def stubborn() -> None:
        try:
            await heartbeat_on()
        except asyncio.CancelledError:
            raise RuntimeError("could not clean up") from None

    async with tracker.worker(step(stubborn)):
        handle, record = await tracker.start()
        await until(record, status="running")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["status"], row["error"]) == ("failed", "RuntimeError: could not clean up")


async def test_a_worker_that_shuts_down_says_so_and_another_goes_on(tracker: Tracker) -> None:
    async def long() -> None:
        if activity.info().attempt == 1:
            await heartbeat_on()

    async with tracker.worker(step(long)):
        handle, record = await tracker.start()
        await until(record, status="running")
    assert await outcomes(record) == ["interrupted"]
    assert (await record.step(STEP))["status"] == "running"
    async with tracker.worker(step(long)):
        await handle.result()
    assert await outcomes(record) == ["interrupted", "completed"]
    await record.check()


def execution(handle: WorkflowHandle[Any, Any]) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=handle.id)


async def test_paused_is_not_failed_and_goes_on_when_it_is_unpaused(
    tracker: Tracker, temporal: Client
) -> None:
    async def long() -> None:
        if activity.info().attempt == 1:
            await heartbeat_on()

    async with tracker.worker(step(long)):
        handle, record = await tracker.start()
        await until(record, status="running")
        which = {"namespace": "default", "execution": execution(handle), "type": STEP}
        await temporal.workflow_service.pause_activity(PauseActivityRequest(**which))
        row = await until(record, metadata={"paused": True})
        assert (row["status"], row["error"]) == ("running", None)
        await temporal.workflow_service.unpause_activity(UnpauseActivityRequest(**which))
        await handle.result()
    row = await record.step(STEP)
    assert (row["status"], row["metadata"]) == ("completed", {})
    assert await outcomes(record) == ["paused", "completed"]


@pytest.mark.parametrize("failures", [0, 2])
async def test_a_reset_by_an_operator_is_a_new_round(
    tracker: Tracker, temporal: Client, failures: int
) -> None:
    runs: list[int] = []

    async def long() -> None:
        runs.append(activity.info().attempt)
        if len(runs) <= failures:
            raise RuntimeError("no luck")
        if len(runs) == failures + 1:
            await heartbeat_on()

    async with tracker.worker(step(long)):
        handle, record = await tracker.start(attempts=9, heartbeat=1)
        await until(record, status="running", attempt=failures + 1)
        await temporal.workflow_service.reset_activity(
            ResetActivityRequest(namespace="default", execution=execution(handle), type=STEP)
        )
        await handle.result()
    attempts = await record.attempts(STEP)
    assert [a["round"] for a in attempts] == [1] * (failures + 1) + [2]
    assert attempts[-2]["outcome"] in ("reset", "lost")
    assert attempts[-1]["outcome"] == "completed"
    await record.check()


class DiesBeforeTheAck(Interceptor):
    """In the first call, the worker commits the end of the step but never tells Temporal."""

    def __init__(self) -> None:
        self.deaths = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Dying(next, self)


class _Dying(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, owner: DiesBeforeTheAck) -> None:
        super().__init__(next)
        self._owner = owner

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        result = await super().execute_activity(input)
        if activity.info().activity_type == STEP and not self._owner.deaths:
            self._owner.deaths += 1
            await asyncio.sleep(LONG)
        return result


async def test_a_step_whose_worker_died_before_the_ack_is_not_run_again(tracker: Tracker) -> None:
    runs: list[int] = []

    def build() -> Built:
        runs.append(activity.info().attempt)
        return Built(f"app:{len(runs)}")

    dying = DiesBeforeTheAck()
    async with tracker.worker(step(build), outside=[dying]):
        handle, record = await tracker.start(heartbeat=0.5)
        assert await handle.result() == {"image": "app:1", "layers": 3}
    assert (runs, dying.deaths) == ([1], 1)
    assert await record.actions(STEP) == ["started", "completed"]
    assert await outcomes(record) == ["completed"]
    await record.check()


async def test_a_step_of_a_deleted_project_fails_for_good(
    tracker: Tracker, pool: asyncpg.Pool
) -> None:
    deleted = asyncio.Event()
    async with tracker.worker(step(deleted.wait)):
        handle, record = await tracker.start()
        await until(record, status="running")
        await pool.execute("DELETE FROM projects WHERE id = $1", record.project_id)
        deleted.set()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    error = failed.value.cause.__cause__
    assert isinstance(error, ApplicationError) and error.type == "StepUnknown"
    assert error.message == f"The record has no step {STEP} of project {record.project_id}."


async def test_a_step_completed_from_elsewhere_stays_running_until_the_workflow_tells(
    tracker: Tracker, temporal: Client
) -> None:
    tokens: list[bytes] = []

    def elsewhere() -> None:
        activity.heartbeat(Progress(30))
        tokens.append(activity.info().task_token)
        activity.raise_complete_async()

    async with tracker.worker(step(elsewhere)):
        handle, record = await tracker.start()
        await until(record, status="running")
        await eventually(lambda: asyncio.sleep(0, tokens))
        await temporal.get_async_activity_handle(task_token=tokens[0]).complete("made")
        assert await handle.result() == "made"
    assert (await record.step(STEP))["status"] == "running"
    assert await outcomes(record) == [None]


async def test_an_attempt_that_takes_longer_than_usual_is_marked_once(tracker: Tracker) -> None:
    seen = asyncio.Event()
    async with tracker.worker(step(seen.wait)):
        handle, record = await tracker.start(slow_after=50)
        row = await until(record, metadata={"slow": True})
        assert row["status"] == "running"
        seen.set()
        await handle.result()
    assert (await record.step(STEP))["metadata"] == {"slow": True}
    assert await record.actions(STEP) == ["started", "slow", "completed"]


async def test_an_attempt_that_ends_in_its_usual_time_is_not_marked(tracker: Tracker) -> None:
    async with tracker.worker(step(lambda: None)):
        handle, record = await tracker.start(slow_after=30_000)
        await handle.result()
    assert await record.actions(STEP) == ["started", "completed"]


async def test_an_undo_is_recorded_on_its_step(tracker: Tracker) -> None:
    @activity.defn(name=f"undo_{STEP}")
    async def undo() -> None:
        if activity.info().attempt == 1:
            raise RuntimeError("no luck")

    async with tracker.worker(step(lambda: Built("app:1")), undo):
        handle, record = await tracker.start(undo=True)
        await handle.result()
    row = await record.step(STEP)
    assert row["undone_at"] and row["status"] == "completed"
    assert row["metadata"]["undo"] == {"status": "completed"}
    assert (await record.actions(STEP))[-1] == "undone"
    await record.check()


async def test_an_undo_that_is_refused_says_why_on_its_step(tracker: Tracker) -> None:
    @activity.defn(name=f"undo_{STEP}")
    async def undo() -> None:
        raise step_error("Somebody has changed it.", retry=False)

    async with tracker.worker(step(lambda: Built("app:1")), undo):
        handle, record = await tracker.start(undo=True)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["undone_at"] is None
    assert row["metadata"]["undo"] == {"status": "failed", "error": "Somebody has changed it."}
