"""An attempt's error text, and whether the server retries: the rules of Temporal's retry.go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.activity import Info as ActivityInfo
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway_tracking.record.errors import LONGEST_WAIT, step_error
from stepway_tracking.record.facts import LONGEST_TEXT
from stepway_tracking.record.progress import SubStep
from stepway_tracking.worker.attempt import interruption_outcome, result_metadata
from stepway_tracking.worker.failures import (
    error_text,
    is_asked_to_wait,
    pause_before_retry,
    remedy_of,
    truncate,
)

POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=2),
    backoff_coefficient=3.0,
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=4,
)


def info(attempt: int = 1, **more: Any) -> ActivityInfo:
    given = {"retry_policy": POLICY, "schedule_to_close_timeout": None, **more}
    return replace(
        ActivityEnvironment.default_info(),
        attempt=attempt,
        scheduled_time=datetime.now(UTC),
        **given,
    )


def seconds(error: BaseException, given: ActivityInfo) -> float | None:
    pause = pause_before_retry(error, given)
    return None if pause is None else pause.total_seconds()


@pytest.mark.parametrize(("attempt", "pause"), [(1, 2.0), (2, 6.0), (3, 10.0), (4, None)])
def test_the_pause_grows_to_its_limit_until_the_attempts_are_used_up(
    attempt: int, pause: float | None
) -> None:
    assert seconds(RuntimeError("x"), info(attempt)) == pause


def test_a_pause_that_the_step_asks_for_is_not_bounded_by_the_policy() -> None:
    asked = ApplicationError("busy", next_retry_delay=timedelta(seconds=7))
    longer = ApplicationError("busy", next_retry_delay=timedelta(hours=1))
    assert seconds(asked, info(3)) == 7.0
    assert seconds(longer, info(1)) == 3600.0
    assert seconds(asked, info(4)) is None


def test_another_system_may_ask_for_six_hours_at_most() -> None:
    assert seconds(step_error("busy", retry_after=3600), info()) == 3600.0
    assert seconds(step_error("busy", retry_after=10 * LONGEST_WAIT), info()) == LONGEST_WAIT
    assert seconds(step_error("busy", retry_after=float("inf")), info()) == LONGEST_WAIT


@pytest.mark.parametrize("asked", [0, 0.0, -7, float("-inf"), float("nan")])
def test_a_wait_that_has_passed_is_left_to_the_policy(asked: float) -> None:
    error = step_error("busy", retry_after=asked)
    assert (error.next_retry_delay, is_asked_to_wait(error)) == (None, False)
    assert [seconds(error, info(attempt)) for attempt in (1, 4)] == [2.0, None]


def test_an_error_that_is_not_to_be_retried_ends_the_step() -> None:
    final = replace(POLICY, non_retryable_error_types=["KeyError", "Refused"])
    assert seconds(step_error("no", retry=False), info()) is None
    assert seconds(KeyError("x"), info(retry_policy=final)) is None
    assert seconds(ApplicationError("x", type="Refused"), info(retry_policy=final)) is None
    assert seconds(ApplicationError("x", type="Other"), info(retry_policy=final)) == 2.0


def test_no_attempt_begins_after_the_time_of_all_attempts() -> None:
    ends_soon = info(schedule_to_close_timeout=timedelta(seconds=1))
    assert seconds(RuntimeError("x"), ends_soon) is None
    assert seconds(RuntimeError("x"), info(schedule_to_close_timeout=timedelta(minutes=1))) == 2.0


def test_without_a_limit_attempts_go_on_for_ever() -> None:
    policy = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2.0)
    assert seconds(RuntimeError("x"), info(100_000, retry_policy=policy)) == 100.0


def test_an_error_is_told_in_the_words_of_the_step_or_with_its_kind() -> None:
    assert error_text(step_error("The host refused the key.")) == "The host refused the key."
    assert error_text(KeyError("name")) == "KeyError: 'name'"
    assert error_text(RuntimeError()) == "RuntimeError"
    assert error_text(SystemExit(3)) == "SystemExit: 3"


def test_a_remedy_is_found_only_where_a_step_gave_one() -> None:
    assert remedy_of(step_error("no", remedy="Add the key.")) == "Add the key."
    assert remedy_of(ApplicationError("no", "details")) == remedy_of(ValueError("no")) == ""


def test_of_a_very_long_text_the_end_is_kept() -> None:
    assert truncate("ab") == "ab"
    long = "a" * LONGEST_TEXT + "the end"
    assert truncate(long).endswith("the end") and len(truncate(long)) == LONGEST_TEXT + 1
    assert truncate("the cause" + long).startswith("the causeaaa")


@pytest.mark.parametrize(
    ("details", "outcome"),
    [
        (None, "interrupted"),
        (ActivityCancellationDetails(worker_shutdown=True), "interrupted"),
        (ActivityCancellationDetails(cancel_requested=True), "cancelled"),
        (ActivityCancellationDetails(cancel_requested=True, worker_shutdown=True), "cancelled"),
        (ActivityCancellationDetails(not_found=True), "lost"),
        (ActivityCancellationDetails(paused=True), "paused"),
        (ActivityCancellationDetails(reset=True), "reset"),
        (ActivityCancellationDetails(timed_out=True), "timed_out"),
    ],
)
def test_an_attempt_that_was_stopped_says_why(
    details: ActivityCancellationDetails | None, outcome: str
) -> None:
    assert interruption_outcome(details) == outcome


def test_metadata_is_what_the_workflow_gets_if_that_is_an_object() -> None:
    converter = DataConverter.default
    part = SubStep("fetch", "Fetch", 3)
    assert result_metadata(part, converter) == {
        "name": "fetch",
        "display_name": "Fetch",
        "percent": 3,
    }
    assert result_metadata({"deep": part}, converter)["deep"]["name"] == "fetch"
    for other in (None, b"bytes", 3, "text", [1]):
        assert result_metadata(other, converter) == {}
