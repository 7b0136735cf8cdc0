"""The error text, stack, remedy and details of a failed step, and the time of its next attempt."""

from __future__ import annotations

import concurrent.futures
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import temporalio
from temporalio import activity
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway_tracking.record.errors import RATE_LIMITED
from stepway_tracking.record.facts import LONGEST_REMEDY, LONGEST_TEXT
from stepway_tracking.record.shortening import shortened
from stepway_tracking.worker.encodable import encodable, text_of
from stepway_tracking.worker.result_metadata import result_metadata

CALLER_FOLDERS = (
    str(Path(__file__).parent),
    str(Path(temporalio.__file__).parent),
    str(Path(concurrent.futures.__file__).parent),
)
"""Folders of the code that calls a step; their frames are left out of its stack."""


def error_text(error: BaseException) -> str:
    """The message of an ApplicationError; `TYPE: TEXT` for any other error."""
    if isinstance(error, ApplicationError):
        return text_of(error.message)
    kind, text = type(error).__name__, text_of(error)
    return f"{kind}: {text}" if text else kind


def stack_of(error: BaseException) -> str:
    """The traceback of an error and its causes, from the first frame of the step's own code."""
    frame = error.__traceback__
    while frame and frame.tb_frame.f_code.co_filename.startswith(CALLER_FOLDERS):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame or error.__traceback__))


def remedy_of(error: BaseException) -> str:
    """The remedy that the step gave with its error, at most LONGEST_REMEDY characters; or empty."""
    return truncate(text_of(_given_with(error).get("remedy") or ""), LONGEST_REMEDY)


def details_of(error: BaseException, converter: DataConverter) -> dict[str, Any]:
    """The details that the step gave with its error, as JSON; empty if none, or no mapping.

    Values that cannot be encoded are shown as their repr, of large ones a part.
    """
    details = encodable(_given_with(error).get("details", {}), converter.payload_converter)
    return result_metadata(details, converter)


def _given_with(error: BaseException) -> dict[str, Any]:
    """What `step_error` has put into the error."""
    details = error.details if isinstance(error, ApplicationError) else ()
    return details[0] if details and isinstance(details[0], dict) else {}


def truncate(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, or its beginning and its end with `…` between them."""
    return shortened(text, longest)


def pause_before_retry(error: BaseException, info: activity.Info) -> timedelta | None:
    """How long Temporal waits before the next attempt; None if this attempt was the last.

    The rules are those of the Temporal server. If the clocks differ at the end of
    `schedule_to_close`, the workflow or the next attempt corrects the record.
    """
    policy = info.retry_policy or RetryPolicy()
    if _is_final(error, policy):
        return None
    if policy.maximum_attempts and info.attempt >= policy.maximum_attempts:
        return None
    pause = _retry_delay(error, policy, info.attempt)
    if info.schedule_to_close_timeout:
        ends_at = info.scheduled_time + info.schedule_to_close_timeout
        if datetime.now(UTC) + pause > ends_at:
            return None
    return pause


def next_attempt(error: BaseException, pause: timedelta) -> dict[str, Any]:
    """When the next attempt starts, and whether another system asked for the pause: metadata."""
    at = {"next_attempt_at": (datetime.now(UTC) + pause).isoformat()}
    return at | {"asked_to_wait": True} if is_asked_to_wait(error) else at


def is_asked_to_wait(error: BaseException) -> bool:
    """Whether another system has asked the step to wait: `step_error` had a `retry_after`."""
    return isinstance(error, ApplicationError) and error.type == RATE_LIMITED


def _is_final(error: BaseException, policy: RetryPolicy) -> bool:
    final = policy.non_retryable_error_types or ()
    if isinstance(error, ApplicationError):
        return error.non_retryable or error.type in final
    return type(error).__name__ in final


def _retry_delay(error: BaseException, policy: RetryPolicy, attempt: int) -> timedelta:
    asked = error.next_retry_delay if isinstance(error, ApplicationError) else None
    if isinstance(asked, timedelta) and asked:
        return asked
    longest = (policy.maximum_interval or policy.initial_interval * 100).total_seconds()
    growth = policy.backoff_coefficient ** min(attempt - 1, 64)
    return timedelta(seconds=min(policy.initial_interval.total_seconds() * growth, longest))
