"""The reports and the result of a step never change whether it completes or fails."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from stepway.vault.redacting_interceptor import RedactingInterceptor
from stepway.vault.references import References
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.facts import (
    LARGEST_SHOWN,
    LONGEST_MESSAGE,
    LONGEST_PART_NAME,
    LONGEST_REMEDY,
    LONGEST_TEXT,
)
from stepway_tracking.record.progress import Progress, SubStep
from tests.support.record import Json, Record
from tests.support.tracked import STEP, Tracker
from tests.support.tracked_step import outcomes, step

INFINITE = float("inf")


class Broken:
    """A value that cannot be shown, compared or encoded."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


async def no_secret(project_id: str, name: str) -> None:
    """A vault without secrets."""


async def reported(tracker: Tracker, *progress: Any) -> Record:
    """The record of a step that has reported this and completed, in one attempt."""

    async def build() -> str:
        for each in progress:
            activity.heartbeat(each)
            await asyncio.sleep(0)
        return "made"

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=1)
        assert await handle.result() == "made"
    assert await outcomes(record) == ["completed"]
    await record.check()
    return record


async def parts(record: Record) -> dict[str, Json]:
    rows = await record.pool.fetch(
        "SELECT step FROM project_initialization_steps WHERE project_id = $1 AND parent_step = $2",
        record.project_id,
        STEP,
    )
    return {row["step"]: await record.step(row["step"]) for row in rows}


@pytest.mark.parametrize(
    ("percent", "shown"),
    [
        (100 * 2 / 7, 28),
        ("28.571", 28),
        (Decimal("28.9"), 28),
        (True, 1),
        (150, 100),
        (10**400, 100),
        (1e300, 100),
        (float("nan"), 0),
        (INFINITE, 0),
        (-INFINITE, 0),
        (-3, 0),
        (None, 0),
        ("half", 0),
        ([50], 0),
        (Broken(), 0),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_any_percentage_is_read_or_ignored(
    tracker: Tracker, percent: Any, shown: int
) -> None:
    record = await reported(
        tracker, Progress(percent), Progress(percent, "", SubStep("fetch", "Fetch", percent))
    )
    told = [e["payload"]["step"] for e in await record.events() if e["action"] == "progressed"]
    assert [each["progress"] for each in told if each["step"] == STEP] == [shown] * bool(shown)
    assert (await record.step(f"{STEP}.fetch"))["status"] == "completed"


@pytest.mark.parametrize(
    ("message", "shown"), [(3, "3"), (b"x", "b'x'"), (["a"], "['a']"), (Broken(), "<Broken>")]
)
async def test_any_message_is_shown_as_text(tracker: Tracker, message: Any, shown: str) -> None:
    record = await reported(tracker, Progress(10, message))
    assert (await record.step(STEP))["message"] == shown


async def test_a_sub_step_of_any_name_is_recorded_or_left_out(tracker: Tracker) -> None:
    record = await reported(
        tracker,
        Progress(10, "", SubStep("n" * 5000, "d" * 5000)),
        Progress(20, "", SubStep("é" * 3000, None)),  # type: ignore[arg-type]
        Progress(30, "", SubStep(7, 8)),  # type: ignore[arg-type]
        Progress(40, "", SubStep("", "nameless")),
        Progress(50, "", "fetch"),  # type: ignore[arg-type]
    )
    found = await parts(record)
    assert len(found) == 3 and found[f"{STEP}.7"]["display_name"] == "8"
    assert max(map(len, found)) == len(STEP) + 1 + LONGEST_PART_NAME
    assert {row["status"] for row in found.values()} == {"completed"}


async def test_ill_formed_progress_is_warned_of_once(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "stepway_tracking"):
        await reported(tracker, Progress(1.5), Progress(2.5), Progress(3))  # type: ignore[arg-type]
    warnings = [line.getMessage() for line in caplog.records if "changed to fit" in line.msg]
    assert len(warnings) == 1 and warnings[0].startswith(f"Step {STEP} reported progress")


async def test_progress_that_postgres_refuses_fails_no_step(
    tracker: Tracker, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        """CREATE FUNCTION refuse_progress() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE data_exception USING MESSAGE = 'refused'; END $$"""
    )
    await pool.execute(
        """CREATE TRIGGER refuse_progress BEFORE INSERT ON project_initialization_events
           FOR EACH ROW WHEN (NEW.action = 'progressed') EXECUTE FUNCTION refuse_progress()"""
    )
    try:
        record = await reported(tracker, Progress(50, "half"))
    finally:
        await pool.execute("DROP FUNCTION refuse_progress CASCADE")
    assert await record.actions(STEP) == ["started", "completed"]


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("depth", [90, 400, 900])
async def test_a_result_of_any_depth_completes_its_step(tracker: Tracker, depth: int) -> None:
    async with tracker.worker(step(lambda: json.dumps(nested(depth)) and nested(depth))):
        handle, record = await tracker.start(attempts=1)
        await handle.result()
    assert await outcomes(record) == ["completed"]


async def test_of_a_large_result_the_row_shows_the_small_fields_and_all_is_kept(
    tracker: Tracker,
) -> None:
    made = {"url": "https://x", "log": "l" * 1_000_000, "files": ["f"] * 9000, "count": 3}
    async with tracker.worker(step(lambda: made)):
        handle, record = await tracker.start(attempts=1)
        assert await handle.result() == made
    shown = (await record.step(STEP))["metadata"]
    assert (shown["url"], shown["count"]) == ("https://x", 3)
    assert shown["log"].startswith("lll") and shown["log"].endswith("… 999,000 bytes left out")
    assert shown["files"] == "… 44,998 bytes left out"
    (attempt,) = await record.attempts(STEP)
    assert len(attempt["result"]) > 1_000_000


async def test_of_a_result_with_very_many_fields_the_row_shows_the_first(tracker: Tracker) -> None:
    made = {f"field-{number}": number for number in range(20_000)}
    async with tracker.worker(step(lambda: made)):
        handle, record = await tracker.start(attempts=1)
        await handle.result()
    shown = (await record.step(STEP))["metadata"]
    assert shown["field-0"] == 0
    assert shown["…"].endswith("bytes left out")
    assert len(json.dumps(shown)) < LARGEST_SHOWN + 100


async def test_a_result_that_temporal_refuses_fails_the_step_and_says_so(tracker: Tracker) -> None:
    async with tracker.worker(step(lambda: "r" * 2_500_000)):
        handle, record = await tracker.start(heartbeat=20)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["status"], row["attempt"]) == ("failed", 1)
    assert row["error"].startswith("The step returned 2,500,")


@pytest.mark.parametrize("retry", [True, False])
async def test_an_error_of_megabytes_with_causes_is_told_to_temporal_in_short(
    tracker: Tracker, retry: bool
) -> None:
    def broken() -> None:
        try:
            raise ValueError("c" * 3_000_000)
        except ValueError as cause:
            remedy = "r" * 3_000_000
            raise step_error("e" * 3_000_000, remedy=remedy, retry=retry) from cause

    async with tracker.worker(step(broken)):
        handle, record = await tracker.start(attempts=2, heartbeat=20)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    cause = failed.value.cause.__cause__
    assert isinstance(cause, ApplicationError) and cause.type == "StepFailed"
    assert len(cause.message) == LONGEST_TEXT + 1
    assert await outcomes(record) == ["failed"] * (1 + retry)
    await record.check()


async def test_details_of_an_error_are_kept_with_the_attempt_and_shown_with_the_step(
    tracker: Tracker,
) -> None:
    tries: list[int] = []

    def broken() -> None:
        tries.append(1)
        details = {"command": f"try {len(tries)}", "exit_status": 1}
        raise step_error("No such image.", details=details)

    async with tracker.worker(step(broken)):
        handle, record = await tracker.start(attempts=2)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["error"] == "No such image."
    assert row["metadata"]["error_details"] == {"command": "try 2", "exit_status": 1}
    commands = [one["error_details"]["command"] for one in await record.attempts(STEP)]
    assert commands == ["try 1", "try 2"]


@pytest.mark.parametrize("details", [{"at": object()}, {"output": "x" * 3_000_000}])
async def test_details_that_do_not_fit_fail_the_step_with_its_own_error(
    tracker: Tracker, details: dict[str, Any]
) -> None:
    def broken() -> None:
        raise step_error("No such image.", details=details, retry=False)

    async with tracker.worker(step(broken)):
        handle, record = await tracker.start(attempts=1)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["error"] == "No such image."
    assert len(json.dumps(row["metadata"])) < 2 * LARGEST_SHOWN
    await record.check()


async def test_details_are_gone_when_the_step_succeeds(tracker: Tracker) -> None:
    def flaky() -> None:
        if activity.info().attempt == 1:
            raise step_error("No.", details={"command": "make"})

    async with tracker.worker(step(flaky)):
        handle, record = await tracker.start(attempts=2)
        await handle.result()
    assert "error_details" not in (await record.step(STEP))["metadata"]


async def test_an_error_of_a_megabyte_keeps_its_end_and_the_stream_stays_small(
    tracker: Tracker,
) -> None:
    def broken() -> None:
        raise RuntimeError("e" * 1_000_000 + "the cause")

    async with tracker.worker(step(broken)):
        handle, record = await tracker.start(attempts=2)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["error"].endswith("the cause") and len(row["error"]) == LONGEST_TEXT + 1
    largest = max(len(json.dumps(event["payload"])) for event in await record.events())
    assert largest < 3 * LONGEST_TEXT


def not_utf8() -> None:
    """The output of a program whose locale is not UTF-8."""
    raise RuntimeError("no file " + b"caf\xe9".decode(errors="surrogateescape"))


def with_nul() -> None:
    raise RuntimeError("no\0file")


def with_an_object() -> None:
    raise ApplicationError("no file", object())


def with_a_broken_object() -> None:
    raise ApplicationError("no file", Broken())


def with_a_broken_text() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    raise BrokenError


def with_such_a_cause() -> None:
    try:
        not_utf8()
    except RuntimeError as cause:
        raise ValueError("no file") from cause


def with_large_details() -> None:
    details = {"small": "kept", "large": "d" * 3_000_000}
    raise step_error("no file", remedy="r" * 1_000_000, details=details)


RAISING = [
    not_utf8,
    with_nul,
    with_an_object,
    with_a_broken_object,
    with_a_broken_text,
    with_such_a_cause,
    with_large_details,
]


@pytest.mark.parametrize("redacts", [False, True], ids=["plain", "redacting"])
@pytest.mark.parametrize("broken", RAISING)
async def test_an_error_that_temporal_cannot_take_fails_the_step_after_its_attempts(
    tracker: Tracker, broken: Callable[[], None], redacts: bool
) -> None:
    inside = [RedactingInterceptor(References(None, no_secret))] if redacts else []
    async with tracker.worker(step(broken), inside=inside):
        handle, record = await tracker.start(attempts=2)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert await outcomes(record) == ["failed", "failed"]
    row = await record.step(STEP)
    assert row["status"] == "failed" and row["attempt"] == 2
    cause = failed.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert "no file" in row["error"].replace("\ufffd", " ") or "BrokenError" in row["error"]
    assert cause.message and cause.message.split(":")[-1].strip() in row["error"]
    await record.check()


async def test_of_large_details_and_remedy_a_part_is_kept(tracker: Tracker) -> None:
    async with tracker.worker(step(with_large_details)):
        handle, record = await tracker.start(attempts=1)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    shown = (await record.step(STEP))["metadata"]
    assert len(shown["remedy"]) == LONGEST_REMEDY + 1
    assert shown["error_details"]["small"] == "kept"
    assert shown["error_details"]["large"].endswith("bytes left out")
    cause = failed.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert cause.details[0] == {"remedy": shown["remedy"], "details": shown["error_details"]}


@pytest.mark.parametrize(
    "details",
    [
        (Progress(50, "m" * 3_000_000),),
        (Progress(50, "half"), "m" * 3_000_000),
        (object(),),
        (Progress(50, "half"), Broken()),
    ],
    ids=["message", "large detail", "object", "broken"],
)
@pytest.mark.parametrize("in_thread", [False, True], ids=["coroutine", "thread"])
async def test_no_heartbeat_decides_what_becomes_of_the_step(
    tracker: Tracker, caplog: pytest.LogCaptureFixture, details: tuple[Any, ...], in_thread: bool
) -> None:
    @activity.defn(name=STEP)
    def in_a_thread() -> str:
        for _ in range(10):
            activity.heartbeat(*details)
            time.sleep(0.1)
        return "made"

    async def build() -> str:
        for _ in range(10):
            activity.heartbeat(*details)
            await asyncio.sleep(0.1)
        return "made"

    with caplog.at_level(logging.WARNING, "stepway_tracking"):
        async with tracker.worker(in_a_thread if in_thread else step(build)):
            handle, record = await tracker.start(attempts=2)
            assert await handle.result() == "made"
    assert await outcomes(record) == ["completed"]
    if isinstance(details[0], Progress):
        message = (await record.step(STEP))["message"]
        assert message == "half" or len(message) == LONGEST_MESSAGE + 1
    warnings = [each.getMessage() for each in caplog.records if "heartbeat" in each.getMessage()]
    is_cut = len(details) == 1 and isinstance(details[0], Progress)
    assert len(warnings) == (0 if is_cut else 1)
    assert all(STEP in warning for warning in warnings)


async def test_a_heartbeat_that_fails_on_its_way_counts_as_a_failure_of_the_step(
    tracker: Tracker,
) -> None:
    class Once:
        """Can be encoded once."""

        def __init__(self) -> None:
            self.encoded = 0

        def dict(self) -> Json:
            self.encoded += 1
            if self.encoded > 1:
                raise ValueError("gone")
            return {}

    async def build() -> None:
        activity.heartbeat(Once())
        await asyncio.sleep(30)

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=2)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert await outcomes(record) == ["failed", "failed"]
    assert (await record.step(STEP))["error"].startswith("A heartbeat of the step could not")


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
@pytest.mark.parametrize("in_thread", [False, True], ids=["coroutine", "thread"])
async def test_an_iterator_that_is_exhausted_fails_its_step(
    tracker: Tracker, kind: type[Exception], in_thread: bool
) -> None:
    @activity.defn(name=STEP)
    def in_a_thread() -> None:
        raise kind("no more")

    async def build() -> None:
        raise kind("no more")

    async with tracker.worker(in_a_thread if in_thread else step(build)):
        handle, record = await tracker.start(attempts=2, timeout=30)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert await outcomes(record) == ["failed", "failed"]
    row = await record.step(STEP)
    if kind is StopIteration and not in_thread:
        assert row["error"] == "RuntimeError: coroutine raised StopIteration"
    else:
        assert row["error"] == f"RuntimeError: {kind.__name__}: no more"


async def test_an_error_of_a_rollback_that_temporal_cannot_take_is_recorded(
    tracker: Tracker,
) -> None:
    tries: list[int] = []

    @activity.defn(name=f"undo_{STEP}")
    async def undo() -> None:
        tries.append(1)
        not_utf8()

    async with tracker.worker(step(lambda: "made"), undo):
        handle, record = await tracker.start(attempts=2, undo=True)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert len(tries) == 2
    undone = (await record.step(STEP))["metadata"]["undo"]
    assert undone["status"] == "failed" and "no file" in undone["error"]
    cause = failed.value.cause.__cause__
    assert isinstance(cause, ApplicationError) and "no file" in cause.message
