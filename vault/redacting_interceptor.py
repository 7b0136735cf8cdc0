"""The worker's interceptor that lets no secret out of an activity.

It acts where the secret was resolved: no other process could know it.
"""

from __future__ import annotations

import traceback
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from stepway.vault.redaction import redact, redact_value


class RedactingInterceptor(Interceptor):
    """Takes secrets out of results, errors and heartbeats; give it last, so that it acts first."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Watch what leaves the activity."""
        return _RedactingInbound(next)


class _RedactingInbound(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(_RedactingOutbound(outbound))

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return redact_value(await super().execute_activity(input))
        except Exception as error:
            clean = redacted_error(error)
            if clean is error:
                raise
            raise clean from clean.__cause__


class _RedactingOutbound(ActivityOutboundInterceptor):
    def heartbeat(self, *details: Any) -> None:
        super().heartbeat(*redact_value(details))


def redacted_error(error: BaseException) -> BaseException:
    """The error itself where nothing in it is secret, else one that says the same without it."""
    said = "".join(traceback.format_exception(error))
    details = error.details if isinstance(error, ApplicationError) else ()
    if redact(said) == said and redact_value(tuple(details)) == tuple(details):
        return error
    clean = _rewritten(error).with_traceback(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    clean.__cause__ = cause and redacted_error(cause)
    return clean


def _rewritten(error: BaseException) -> ApplicationError:
    if not isinstance(error, ApplicationError):
        kind = type(error).__name__
        return ApplicationError(redact(f"{kind}: {error}"), type=kind)
    return ApplicationError(
        redact(error.message),
        *redact_value(tuple(error.details)),
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )
