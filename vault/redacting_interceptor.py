"""The worker's interceptor that keeps secrets inside an attempt.

Only the process that has resolved a secret can recognize it, so the worker itself redacts. Texts
for people are redacted. In data for the next step or attempt, references replace secrets; the
interceptor resolves them when the next attempt starts, before it decodes the data
(vault/unresolved.py).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import ValidationError
from temporalio import activity
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from stepway.vault.redaction import LONG, redact, redact_value
from stepway.vault.references import References
from stepway.vault.unresolved import unresolved
from stepway_tracking.record.facts import ARGUMENTS_REMEDY, ARGUMENTS_UNFIT
from stepway_tracking.record.progress import Progress, Skipped
from stepway_tracking.worker.encodable import encodable, text_of
from stepway_tracking.workflow.marks import StepMark


class RedactingInterceptor(Interceptor):
    """Removes secrets from results, errors and heartbeats. Must be the last interceptor."""

    def __init__(self, references: References) -> None:
        self._references = references

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Return the interceptor of one activity."""
        return _RedactingInbound(next, self._references)


class _RedactingInbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, references: References) -> None:
        super().__init__(next)
        self._references = references

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = _RedactingOutbound(outbound, self._references)
        super().init(self._outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        mark = StepMark.of(input.headers)
        try:
            project_id = mark.project_id if mark else None
            input.args = await arguments(self._references, project_id, input.args)
            await self._outbound.begin(project_id)
            if mark is None:
                return await super().execute_activity(input)
            return await self._outbound.result(await super().execute_activity(input))
        except Exception as error:
            clean = await _redacted_aside(error)
            if clean is error:
                raise
            raise clean from clean.__cause__


class _RedactingOutbound(ActivityOutboundInterceptor):
    def __init__(self, next: ActivityOutboundInterceptor, references: References) -> None:
        super().__init__(next)
        self._references = references
        self._project_id = ""
        self._details: Sequence[Any] | None = None

    async def begin(self, project_id: str | None) -> None:
        """Resolve the references in the heartbeat details of the previous attempt."""
        self._project_id = project_id or ""
        details = super().info().heartbeat_details
        if any(map(unresolved, details)):
            self._details = [await decoded(self._references, project_id, each) for each in details]

    def info(self) -> activity.Info:
        info = super().info()
        return info if self._details is None else replace(info, heartbeat_details=self._details)

    def heartbeat(self, *details: Any) -> None:
        super().heartbeat(*(self._handed_on(each) for each in details))

    async def result(self, value: Any) -> Any:
        """Return the result with references instead of secrets. Large results use a thread."""
        if isinstance(value, Skipped):
            return redact_value(value)
        payload = activity.payload_converter().to_payload(value)
        put_into = partial(self._references.put_into, self._project_id, payload)
        changed = put_into() if len(payload.data) < LONG else await asyncio.to_thread(put_into)
        return value if changed is payload else RawValue(changed)

    def _handed_on(self, value: Any) -> Any:
        """Redact progress; in other values, replace secrets with references."""
        if isinstance(value, Progress):
            return redact_value(value)
        try:
            payload = activity.payload_converter().to_payload(value)
        except Exception:  # noqa: BLE001 - a conversion of the step's own may raise anything
            # The tracking interceptor leaves it out.
            return value
        changed = self._references.put_into(self._project_id, payload)
        return value if changed is payload else RawValue(changed)


async def arguments(
    references: References, project_id: str | None, args: Sequence[Any]
) -> Sequence[Any]:
    """Return the arguments with their references resolved, if this is a step of a project.

    Raises step_error if a secret is unavailable, and a final ApplicationError if the arguments do
    not fit the types of the activity.
    """
    if not any(map(unresolved, args)):
        return args
    return [await decoded(references, project_id, each) for each in args]


async def decoded(references: References, project_id: str | None, value: Any) -> Any:
    """Resolve and decode an unresolved value; return others as they are. Raises as above."""
    waiting = unresolved(value)
    if waiting is None:
        return value
    payload = waiting.payload
    if project_id is not None:
        payload = await references.resolve(project_id, payload)
    if waiting.type_hint is RawValue:
        return RawValue(payload)
    try:
        return activity.payload_converter().from_payload(payload, waiting.type_hint)
    except Exception as error:  # noqa: BLE001 - a type may raise anything
        unfit = f"{ARGUMENTS_UNFIT}: {_without_input(error)}"
    # Not the cause of the new error: Pydantic's text has parts of the secret.
    raise ApplicationError(unfit, {"remedy": ARGUMENTS_REMEDY}, non_retryable=True)


def _without_input(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join(_named(each["loc"], each["msg"])) for each in found)


def _named(place: Sequence[str | int], message: str) -> list[str]:
    return [".".join(map(str, place)), message] if place else [message]


async def _redacted_aside(error: Exception) -> BaseException:
    if len(text_of(error)) < LONG:
        return redacted_error(error)
    return await asyncio.to_thread(redacted_error, error)


def redacted_error(error: BaseException) -> BaseException:
    """Return the same error if it contains no secret, else a redacted copy."""
    said = "".join(traceback.format_exception(error))
    if redact(said) == said and not _details_change(error):
        return error
    clean = _rewritten(error).with_traceback(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    clean.__cause__ = cause and redacted_error(cause)
    return clean


def _details_change(error: BaseException) -> bool:
    if not isinstance(error, ApplicationError):
        return False
    return any(new is not old for new, old in zip(_details(error), error.details, strict=True))


def _details(error: ApplicationError) -> list[Any]:
    """The details without secrets. Their repr replaces values that Temporal cannot encode."""
    inside = activity.in_activity()
    converter = activity.payload_converter() if inside else PayloadConverter.default
    return [redact_value(encodable(each, converter)) for each in error.details]


def _rewritten(error: BaseException) -> ApplicationError:
    if not isinstance(error, ApplicationError):
        kind = type(error).__name__
        return ApplicationError(redact(f"{kind}: {text_of(error)}"), type=kind)
    return ApplicationError(
        redact(text_of(error.message)),
        *_details(error),
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )
