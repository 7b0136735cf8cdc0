"""Errors of the record of steps, under one base.

StepwayError
├── Superseded          a newer attempt owns the step
├── NameTaken           the owner has a project of that name
├── KeyReused           the idempotency key stands for another request
├── ProjectUnknown      no such project
├── StepUnknown         the project has no such step
├── StartExpired        the start's deadline has passed
├── SchemaError         the database does not have the schema that this version needs
├── Refused             makes no sense now; says why, and what is possible
├── WorkflowClosed      no workflow runs for the project
└── NotConfirmed        no answer in time

A step itself fails with plain Temporal errors; `step_error` adds the remedy that people see.
"""

from __future__ import annotations

from temporalio.exceptions import ApplicationError


class StepwayError(Exception):
    """Base of every error that Stepway raises itself."""


class Superseded(StepwayError):
    """A newer attempt owns the step: stop, and write nothing."""


class NameTaken(StepwayError):
    """The owner already has a project of that name."""


class KeyReused(StepwayError):
    """The idempotency key was used before, for another request."""


class ProjectUnknown(StepwayError):
    """No project has that id."""


class StepUnknown(StepwayError):
    """The project has no step of that name."""


class Refused(StepwayError):
    """What was asked for makes no sense in the present state."""


class NotConfirmed(StepwayError):
    """Temporal, Postgres or every worker was out of reach for too long."""


class StartExpired(StepwayError):
    """The start came after its deadline, and created nothing."""


class SchemaError(StepwayError):
    """The database does not have the schema that this version needs; says what to run."""


class WorkflowClosed(StepwayError):
    """The project's workflow does not run: it has ended, or was closed from outside."""


def step_error(message: str, *, remedy: str = "", retry: bool = True) -> ApplicationError:
    """The error to raise from a step: what was wrong, and what a person can do about it.

    `retry=False` ends the step at once: trying again could not help.
    """
    details = [{"remedy": remedy}] if remedy else []
    return ApplicationError(message, *details, type="StepFailed", non_retryable=not retry)
