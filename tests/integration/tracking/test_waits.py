"""A step waits as long as another system asks, however short the pauses of its retries are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from stepway_tracking.record.errors import LONGEST_WAIT, step_error
from stepway_tracking.worker import recorded_attempt
from tests.support.servers import eventually
from tests.support.tracked import STEP, Tracker
from tests.support.tracked_step import outcomes, step, until

SILENCE = 20.0
"""A heartbeat timeout that no step here exceeds."""

HOUR = 3600.0
WEEK = 7 * 24 * HOUR


async def next_attempt_at(handle: WorkflowHandle[Any, Any]) -> datetime:
    """When Temporal starts the next attempt."""

    async def scheduled() -> datetime | None:
        pending = (await handle.describe()).raw_description.pending_activities
        if not pending or not pending[0].HasField("next_attempt_schedule_time"):
            return None
        return pending[0].next_attempt_schedule_time.ToDatetime(UTC)

    return await eventually(scheduled)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(HOUR, HOUR), (10 * LONGEST_WAIT, LONGEST_WAIT)],
    ids=["an hour", "longer than the bound"],
)
async def test_the_row_says_until_when_temporal_waits(
    tracker: Tracker, asked: float, waits: float
) -> None:
    def limited() -> None:
        raise step_error("The host's limit is used up.", retry_after=asked)

    async with tracker.worker(step(limited)):
        # The longest pause of the retries is 100 times the first: 10 seconds.
        handle, record = await tracker.start(WEEK, attempts=2, pause=0.1, heartbeat=SILENCE)
        row = await until(record, metadata=lambda metadata: "next_attempt_at" in metadata)
        planned = await next_attempt_at(handle)
        await handle.terminate()
    shown = datetime.fromisoformat(row["metadata"]["next_attempt_at"])
    assert abs(planned - shown) < timedelta(seconds=10)
    wait = planned - datetime.fromisoformat(row["updated_at"])
    assert wait.total_seconds() == pytest.approx(waits, abs=10)
    assert row["status"] == "running"
    assert row["metadata"]["asked_to_wait"] is True
    assert row["metadata"]["last_error"] == "The host's limit is used up."


async def test_a_wait_beyond_the_end_of_the_workflow_is_the_last(tracker: Tracker) -> None:
    def limited() -> None:
        raise step_error("The host's limit is used up.", retry_after=HOUR)

    async with tracker.worker(step(limited)):
        handle, record = await tracker.start(HOUR / 2, attempts=2, heartbeat=SILENCE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["status"], row["error"]) == ("failed", "The host's limit is used up.")
    assert "next_attempt_at" not in row["metadata"]


async def test_waits_and_interruptions_have_separate_bounds(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_attempt, "MOST_LOSSES", 2)
    monkeypatch.setattr(recorded_attempt, "MOST_WAITS", 4)

    def busy() -> None:
        raise step_error("The host is busy.", retry_after=0.05)

    async with tracker.worker(step(busy)):
        handle, record = await tracker.start(attempts=1, heartbeat=SILENCE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["status"] == "failed"
    assert row["error"].startswith("The step has waited 4 times because another system asked it")
    assert await outcomes(record) == ["interrupted"] * 4 + ["failed"]


async def test_more_waits_than_interruptions_are_allowed_do_not_end_a_step(
    tracker: Tracker,
) -> None:
    def busy() -> str:
        if activity.info().attempt <= 50:
            raise step_error("The host is busy.", retry_after=0.02)
        return "made"

    async with tracker.worker(step(busy)):
        handle, record = await tracker.start(attempts=1, heartbeat=SILENCE)
        assert await handle.result() == "made"
    assert await outcomes(record) == ["interrupted"] * 50 + ["completed"]


async def test_a_failure_after_a_wait_is_shown_as_a_failure(tracker: Tracker) -> None:
    def fails_then() -> None:
        if activity.info().attempt == 1:
            raise step_error("The host is busy.", retry_after=0.05)
        raise ApplicationError("The host refused.", next_retry_delay=timedelta(hours=1))

    async with tracker.worker(step(fails_then)):
        handle, record = await tracker.start(WEEK, attempts=3, heartbeat=SILENCE)
        row = await until(record, attempt=2, error="The host refused.")
        await handle.terminate()
    assert "asked_to_wait" not in row["metadata"]
    assert row["metadata"]["last_error"] == "The host refused."


async def test_waits_of_a_rollback_use_no_attempts(tracker: Tracker) -> None:
    @activity.defn(name=f"undo_{STEP}")
    async def undo() -> None:
        if activity.info().attempt <= 5:
            raise step_error("The host is busy.", retry_after=0.05)

    async with tracker.worker(step(lambda: "made"), undo):
        handle, record = await tracker.start(undo=True, attempts=2, heartbeat=SILENCE)
        await handle.result()
    row = await record.step(STEP)
    assert row["undone_at"]
    assert row["metadata"]["undo"] == {"status": "completed"}
    assert (await record.actions(STEP)).count("undo_attempt_failed") == 5


async def test_failures_of_a_rollback_use_its_attempts(tracker: Tracker) -> None:
    @activity.defn(name=f"undo_{STEP}")
    async def undo() -> None:
        if activity.info().attempt <= 3:
            raise step_error("The host is busy.", retry_after=0.05)
        raise ApplicationError("The host refused.")

    async with tracker.worker(step(lambda: "made"), undo):
        handle, record = await tracker.start(undo=True, attempts=2, heartbeat=SILENCE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert (await record.step(STEP))["metadata"]["undo"] == {
        "status": "failed",
        "error": "The host refused.",
    }
    actions = await record.actions(STEP)
    assert (actions.count("undo_started"), actions[-1]) == (5, "undo_failed")


async def test_the_row_says_until_when_a_rollback_waits(tracker: Tracker) -> None:
    @activity.defn(name=f"undo_{STEP}")
    async def undo() -> None:
        raise step_error("The host's limit is used up.", retry_after=HOUR)

    async with tracker.worker(step(lambda: "made"), undo):
        handle, record = await tracker.start(WEEK, undo=True, attempts=2, heartbeat=SILENCE)
        waiting = lambda metadata: "next_attempt_at" in metadata.get("undo", {})  # noqa: E731
        row = await until(record, metadata=waiting)
        planned = await next_attempt_at(handle)
        await handle.terminate()
    undo_state = row["metadata"]["undo"]
    shown = datetime.fromisoformat(undo_state["next_attempt_at"])
    assert abs(planned - shown) < timedelta(seconds=10)
    assert (undo_state["status"], undo_state["asked_to_wait"]) == ("running", True)
    assert undo_state["error"] == "The host's limit is used up."
