"""Errors of the record, with one base class.

StepwayError
├── Superseded          a newer attempt owns the step
├── NameTaken           the owner already has a project of that name
├── KeyReused           the idempotency key was used for another request
├── ProjectUnknown      no such project
├── StepUnknown         the project has no such step
├── StartExpired        the start's deadline has passed
├── SchemaError         the database schema does not match this version
├── Refused             the request is not possible in the present state
├── WorkflowClosed      the project has no running workflow
├── TooLarge            Temporal does not accept a request of this size
├── TemporalRefuses     Temporal does not permit or understand the request
└── NotConfirmed        no answer in time

Steps raise plain Temporal errors; `step_error` makes one with a remedy that people see.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

STEP_FAILED = "StepFailed"
"""Type of the error that `step_error` makes."""


class StepwayError(Exception):
    """Base class of Stepway's own errors."""


class Superseded(StepwayError):
    """A newer attempt owns the step; this one must stop."""


class NameTaken(StepwayError):
    """The owner already has a project of that name."""


class KeyReused(StepwayError):
    """The idempotency key was used before, for another request."""


class ProjectUnknown(StepwayError):
    """No project has that id."""


class StepUnknown(StepwayError):
    """The project has no step of that name."""


class AttemptUnknown(StepwayError):
    """The step has no attempt of that number."""


class LogStoreAway(StepwayError):
    """The store of old logs cannot be read. `reason` is the driver's error, not for clients."""

    def __init__(self, text: str, reason: BaseException | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class LogRemoved(StepwayError):
    """The log is older than logs are kept."""


class Refused(StepwayError):
    """The request is not possible in the present state; the text says why, and what is."""


class NotConfirmed(StepwayError):
    """Temporal, Postgres or the workers did not answer in time."""


class TooLarge(StepwayError):
    """Temporal does not accept a request of this size."""


class TemporalRefuses(StepwayError):
    """Temporal does not permit or understand the request; the text has its reason."""


class StartExpired(StepwayError):
    """The start arrived after its deadline; no project was created."""


class SchemaError(StepwayError):
    """The database schema does not match this version; the text names the command to run."""


class WorkflowClosed(StepwayError):
    """The project's workflow has ended or was closed from outside."""


RATE_LIMITED = "RateLimited"
"""The type of the error of a step that has to wait for a rate limit."""

LONGEST_WAIT = 6 * 3600.0
"""Seconds of the longest wait that another system may ask for; then the step tries again."""


def step_error(
    message: str,
    *,
    remedy: str = "",
    retry: bool = True,
    retry_after: float | None = None,
    details: Mapping[str, Any] | None = None,
) -> ApplicationError:
    """An error for a step to raise: `message` is the cause, `remedy` what a person can do.

    `details` are shown below the message, by name: a command, its output. JSON; of more than 64 kB,
    a part is shown.

    With `retry=False` the step fails without further attempts. `retry_after` says that another
    system asks to wait so many seconds, as by HTTP's Retry-After. The next attempt starts then,
    whatever the retry's `maximum_interval` is, at the latest after LONGEST_WAIT (6 hours). This
    attempt is not among `maximum_attempts`. A round of a step may wait 100 times. 0 or less,
    such as for a time that has passed, is no wait: the retry policy counts and decides.
    """
    given: dict[str, Any] = {"remedy": remedy} if remedy else {}
    if details:
        given["details"] = dict(details)
    more = [given] if given else []
    if retry and retry_after is not None and retry_after > 0:
        pause = timedelta(seconds=min(max(0.001, retry_after), LONGEST_WAIT))
        return ApplicationError(message, *more, type=RATE_LIMITED, next_retry_delay=pause)
    return ApplicationError(message, *more, type=STEP_FAILED, non_retryable=not retry)
