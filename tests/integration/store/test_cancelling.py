"""The record has the time of a cancel request for as long as the cancel is under way."""

from __future__ import annotations

import json

import asyncpg
import pytest

from stepway_tracking.record.changes import StepChange
from tests.support.record import Record


@pytest.fixture
async def record(pool: asyncpg.Pool) -> Record:
    """A record of a running project whose cancel was requested."""
    record = await Record(pool).plan(build=1, push=1)
    await record.attempt("build", 1).say("started")
    assert (await record.project())["cancel_requested_at"] is None
    await record.workflow(2, action="cancel_requested")
    return record


async def test_request_is_in_the_row_and_in_its_event(record: Record) -> None:
    project = await record.project()
    assert project["status"] == "initializing"
    assert project["cancel_requested_at"] is not None
    payload = await record.pool.fetchval(
        """
        SELECT payload->'project' FROM project_initialization_events
        WHERE project_id = $1 AND action = 'cancel_requested'
        """,
        record.project_id,
    )
    assert json.loads(payload)["cancel_requested_at"] is not None


async def test_changes_without_a_status_keep_it(record: Record) -> None:
    before = (await record.project())["cancel_requested_at"]
    await record.workflow(3, action="continued")
    await record.workflow(3, StepChange("push", "skipped", metadata={"reason": "cancelled"}))
    assert (await record.project())["cancel_requested_at"] == before


@pytest.mark.parametrize(
    ("status", "ends"),
    [("cancelled", True), ("active", True), ("failed", True), ("failed", False)],
)
async def test_change_of_the_status_clears_it(record: Record, status: str, ends: bool) -> None:
    await record.workflow(3, action=status, status=status, ends=ends)
    assert (await record.project())["cancel_requested_at"] is None
    await record.check()


async def test_start_in_another_run_clears_it(record: Record) -> None:
    """An operator has reset the workflow to a time before the cancel."""
    assert await record.attempt("build", 3, run="run-2").say("started") == "applied"
    assert (await record.project())["cancel_requested_at"] is None


async def test_start_in_the_same_run_keeps_it(record: Record) -> None:
    """It was scheduled before the cancel and is reported late."""
    assert await record.attempt("push", 1, activity="push").say("started") == "applied"
    assert (await record.project())["cancel_requested_at"] is not None


async def test_step_that_the_cancel_skips_makes_no_progress(record: Record) -> None:
    await record.workflow(3, StepChange("push", "skipped", outcome="cancelled"))
    assert (await record.project())["progress"] == 0
    await record.workflow(4, StepChange("build", "failed", error="no", outcome="cancelled"))
    assert (await record.project())["progress"] == 0


async def test_step_that_a_person_skips_is_done(record: Record) -> None:
    await record.workflow(3, StepChange("push", "skipped", actor="ada"))
    assert (await record.project())["progress"] == 50
