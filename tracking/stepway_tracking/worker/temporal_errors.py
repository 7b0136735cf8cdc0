"""Errors as Temporal accepts them: encodable, and small enough for a history of many errors."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.exceptions import CancelledError as ActivityCancelled

from stepway_tracking.record.facts import (
    LARGEST_SHOWN,
    LONGEST_MESSAGE,
    LONGEST_PART_NAME,
    LONGEST_TEXT,
)
from stepway_tracking.record.json_text import storable, unstorable
from stepway_tracking.record.shortening import shortened
from stepway_tracking.worker.encodable import encodable, encoded_size, text_of
from stepway_tracking.worker.failures import details_of, remedy_of

LARGEST_FAILURE = 3 * LONGEST_TEXT
"""Bytes of an encoded error with its causes and stacks that go to Temporal as they are.

The history of a workflow, of at most 50 MB, has the errors of all its steps.
"""

MOST_CAUSES = 10
"""Causes of a changed error that are kept."""


def error_for_temporal(
    error: BaseException, converter: DataConverter, *, is_last: bool
) -> BaseException:
    """The error itself, or one that Temporal accepts in its place.

    Temporal must not retry the last one. It refuses a failure of megabytes or one that cannot be
    encoded; the record has the stack of such an error.
    """
    if isinstance(error, activity._CompleteAsyncError) or _is_cancellation(error):
        return error
    told = error
    if is_last:
        told = _copy(error, converter, is_last=True)
        told.__cause__ = error
    if _fits(told, converter):
        return told
    told = _copy_with_causes(error, converter, is_last)
    return told if _fits(told, converter) else _copy(error, converter, is_last=is_last)


def _is_cancellation(error: BaseException) -> bool:
    """Whether the attempt was stopped from outside; then Temporal does not read the error."""
    stopped = isinstance(error, asyncio.CancelledError | ActivityCancelled)
    return stopped and activity.cancellation_details() is not None


def _fits(error: BaseException, converter: DataConverter) -> bool:
    failure = Failure()
    try:
        converter.failure_converter.to_failure(error, converter.payload_converter, failure)
    except Exception:  # noqa: BLE001 - a conversion of the step's own may raise anything
        return False
    return failure.ByteSize() <= LARGEST_FAILURE and not _has_unstorable_text(error)


def _has_unstorable_text(error: BaseException | None) -> bool:
    while error is not None:
        if unstorable(text_of(error)):
            return True
        error = _cause_of(error)
    return False


def _copy_with_causes(
    error: BaseException, converter: DataConverter, is_last: bool
) -> ApplicationError:
    told = _copy(error, converter, is_last=is_last).with_traceback(error.__traceback__)
    copy, cause = told, _cause_of(error)
    for _ in range(MOST_CAUSES):
        if cause is None:
            break
        inner = _copy(cause, converter, longest=LONGEST_MESSAGE)
        copy.__cause__ = inner.with_traceback(cause.__traceback__)
        copy, cause = inner, _cause_of(cause)
    return told


def _cause_of(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _copy(
    error: BaseException,
    converter: DataConverter,
    *,
    is_last: bool = False,
    longest: int = LONGEST_TEXT,
) -> ApplicationError:
    """The error without its causes and its stack."""
    if not isinstance(error, ApplicationError):
        kind = type(error).__name__
        text = _text(text_of(error) or kind, longest)
        return ApplicationError(text, type=_text(kind, LONGEST_PART_NAME), non_retryable=is_last)
    delay, category = error.next_retry_delay, error.category
    return ApplicationError(
        _text(error.message, longest),
        *_details(error, converter),
        type=_text(error.type or type(error).__name__, LONGEST_PART_NAME),
        non_retryable=is_last or bool(error.non_retryable),
        next_retry_delay=delay if isinstance(delay, timedelta) else None,
        category=category
        if isinstance(category, ApplicationErrorCategory)
        else ApplicationErrorCategory.UNSPECIFIED,
    )


def _text(value: Any, longest: int) -> str:
    return storable(shortened(text_of(value), longest))


def _details(error: ApplicationError, converter: DataConverter) -> list[Any]:
    """The error's details, as values that can be encoded and have no more than LARGEST_SHOWN bytes.

    Large parts of what `step_error` was given are cut; other large details are left out.
    """
    given = [encodable(each, converter.payload_converter) for each in error.details]
    if _size(given, converter) <= LARGEST_SHOWN:
        return given
    known = {"remedy": remedy_of(error), "details": details_of(error, converter)}
    return [{name: value for name, value in known.items() if value}]


def _size(values: list[Any], converter: DataConverter) -> int:
    return encoded_size(values, converter.payload_converter) or 0
