"""Unusual texts, names and IDs."""

from __future__ import annotations

from dataclasses import asdict
from uuid import uuid4

import asyncpg
import pytest
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway_tracking.record.changes import Changes, PlannedRow, StepChange
from stepway_tracking.worker.recorder import Recorder
from tests.support.record import Record, new_initialization, part

ODD = ["a b", "ünï-☃", "'; DROP TABLE projects; --", "a.b", "{}", "%s", "", "😀" * 200]


async def test_steps_may_have_any_name(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(**dict.fromkeys(ODD, 1))
    for number, step in enumerate(ODD):
        attempt = record.attempt(step, number)
        assert await attempt.say("started") == "applied"
        await attempt.progress(50, step, part("' || x", 10))
        assert await attempt.say("completed", metadata={step: step}) == "applied"
    assert (await record.step(ODD[1]))["metadata"] == {ODD[1]: ODD[1]}
    assert (await record.project())["progress"] == 100
    await record.check()


async def test_values_that_jsonb_refuses_are_replaced_and_the_change_is_written(
    pool: asyncpg.Pool,
) -> None:
    record = await Record(pool).plan(build=1)
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.progress(10, "nul \x00", part("x\x00y"))
    await attempt.say(
        "failed",
        error="nul \x00, half of a pair \udcff",
        error_stack="\x00",
        metadata={"\x00": [float("nan"), "\x00", {"deep": float("inf")}]},
    )
    row = await record.step("build")
    assert row["error"] == "nul \N{REPLACEMENT CHARACTER}, half of a pair \N{REPLACEMENT CHARACTER}"
    assert row["metadata"] == {"�": [None, "�", {"deep": None}]}
    await record.check()


async def test_a_text_of_megabytes_is_recorded(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(build=1)
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.say("completed", metadata={"log": "line\n" * 500_000})
    assert len((await record.step("build"))["metadata"]["log"]) == 2_500_000


async def test_a_project_that_is_unknown_or_deleted_is_told_as_unknown(pool: asyncpg.Pool) -> None:
    record = Record(pool, str(uuid4()))
    assert await record.attempt("build", 1).say("started") == "unknown"
    assert await record.workflow(1, action="failed", status="failed") == ["unknown"]
    await record.plan(build=1)
    assert await record.attempt("push", 1).say("started") == "unknown"
    await record.check()


async def test_a_project_without_steps_may_end(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan()
    assert await record.workflow(1, action="activated", status="active", ends=True) == ["applied"]
    assert (await record.project())["progress"] == 100


async def test_an_id_that_is_no_uuid_is_refused_at_once(pool: asyncpg.Pool) -> None:
    with pytest.raises(ValueError, match="hexadecimal UUID"):
        await Record(pool, "my-project").attempt("build", 1).say("started")


async def test_an_action_that_does_not_exist_is_refused_by_name(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(build=1)
    with pytest.raises(asyncpg.DataError, match="unknown action of a step: 'complete'"):
        await record.attempt("build", 1).say("complete")
    assert (await record.step("build"))["status"] == "pending"


async def test_the_database_refuses_a_status_or_a_progress_that_is_none(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(build=1)
    for column, value in (("status", "'done'"), ("progress", "101"), ("progress", "-1")):
        for table, key in (("projects", "id"), ("project_initialization_steps", "project_id")):
            with pytest.raises(asyncpg.CheckViolationError):
                await pool.execute(
                    f"UPDATE {table} SET {column} = {value} WHERE {key} = $1", record.project_id
                )


async def test_a_workflow_is_told_at_once_what_postgres_will_never_take(
    pool: asyncpg.Pool,
) -> None:
    record = Record(pool)
    recorder = Recorder(record.store, None, DataConverter.default)  # type: ignore[arg-type]
    doubled = new_initialization(record.project_id, {"build": 1})
    doubled.steps.append(PlannedRow("build", "Build"))
    with pytest.raises(ApplicationError, match="duplicate key") as refused:
        await recorder.plan(doubled)
    assert refused.value.non_retryable
    await record.plan(build=1)
    with pytest.raises(ApplicationError, match="unknown action of a step:"):
        await recorder.record(asdict(Changes(record.project_id, [StepChange("build", "nothing")])))
