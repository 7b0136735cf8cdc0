"""A completed step stays completed: the workflow's failure of it is answered with its result."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import asyncpg
import pytest

from stepway_tracking.record.changes import Changes, StepChange
from stepway_tracking.record.store import Outcome
from tests.support.record import Record, at

RESULT = base64.b64encode(b"result").decode()
OTHER = base64.b64encode(b"other").decode()


@pytest.fixture
async def record(pool: asyncpg.Pool) -> AsyncIterator[Record]:
    """A record of two steps, checked at the end."""
    record = await Record(pool).plan(a=1, b=2)
    yield record
    await record.check()


async def fail(record: Record, second: float, step: str = "a") -> Outcome:
    """The workflow calls a step failed at this second."""
    change = StepChange(step, "failed", fence=at(second), error="lost", change_id=f"{second}")
    return (await record.store.record(Changes(record.project_id, [change])))[0]


async def test_failure_of_a_completed_step_is_answered_with_its_result(record: Record) -> None:
    attempt = record.attempt("a", 1)
    await attempt.say("started")
    await attempt.say("completed", result=RESULT)
    before = await record.step("a"), await record.events()
    assert await fail(record, 2) == Outcome("kept", RESULT)
    assert (await record.step("a"), await record.events()) == before
    assert await record.store.kept(record.project_id, "a") == ("completed", b"result")


async def test_failure_of_a_step_that_had_nothing_to_do_is_answered_so(record: Record) -> None:
    attempt = record.attempt("a", 1)
    await attempt.say("started")
    await attempt.say("skipped", result=RESULT)
    assert await fail(record, 2) == Outcome("kept", RESULT)
    assert await record.store.kept(record.project_id, "a") == ("skipped", b"result")


async def test_step_that_somebody_completed_by_hand_stays_completed(record: Record) -> None:
    await record.attempt("a", 1).say("started")
    await record.workflow(2, StepChange("a", "completed"))
    assert await fail(record, 3) == Outcome("kept")
    assert await record.store.kept(record.project_id, "a") == ("completed", None)


async def test_step_that_a_person_skipped_can_be_called_failed(record: Record) -> None:
    await record.workflow(1, StepChange("a", "failed"))
    await record.workflow(2, StepChange("a", "skipped"))
    assert (await fail(record, 3)).said == "applied"


async def test_only_the_present_round_counts(record: Record) -> None:
    first = record.attempt("a", 1)
    await first.say("started")
    await first.say("completed", result=RESULT)
    await record.workflow(2, StepChange("a", "retried"))
    assert await record.store.kept(record.project_id, "a") == ("pending", b"result")
    second = record.attempt("a", 3, activity="2")
    await second.say("started")
    assert await record.store.kept(record.project_id, "a") == ("running", None)
    assert (await fail(record, 4)).said == "applied"
    await record.workflow(5, StepChange("a", "retried"))
    third = record.attempt("a", 6, activity="3")
    await third.say("started")
    await third.say("completed", result=OTHER)
    assert await fail(record, 7) == Outcome("kept", OTHER)


async def test_failure_of_a_running_step_is_written(record: Record) -> None:
    await record.attempt("a", 1).say("started")
    assert (await fail(record, 2)).said == "applied"
    assert (await record.step("a"))["status"] == "failed"


async def test_unknown_step_has_no_status(record: Record) -> None:
    assert await record.store.kept(record.project_id, "nobody") == ("", None)
