"""Response schemas, for OpenAPI.

Postgres builds most bodies as JSON with the same field names; the API passes them on without
parsing. Times are ISO 8601 with offset, durations are milliseconds, progress is 0 to 100.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from stepway_tracking.record.facts import (
    AttemptOutcome,
    EventType,
    ProjectStatus,
    StepStatus,
)

ProjectControl = Literal["retry", "cancel"]
StepControl = Literal["retry", "skip"]


class InvalidPart(BaseModel):
    """One invalid part of the input; `pointer` is a JSON pointer to it.

    For a parameter, `code` is the JSON Schema keyword that failed, `fixed` if the parameter can no
    longer be changed, or `secret`; `expected` is the value of that keyword.
    """

    name: str
    pointer: str
    detail: str
    code: str | None = None
    expected: str | None = None


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[InvalidPart] | None = None


class Rollback(BaseModel):
    """The outcome of a rollback: of `steps` completed steps, `rolled_back` were rolled back,
    `failed` could not be, and `without` have no rollback.
    """

    steps: int
    rolled_back: int
    failed: int
    without: int


class Project(BaseModel):
    """A project and the progress of its initialization.

    `waited` is the time in milliseconds that it waited for a decision after a failure, or had
    ended before a retry. It covers the time up to `waiting_since`, which is set while it waits.
    The time worked is the time from start to end without `waited`. `rollback` is set after a
    cancel that rolled steps back. `cancel_requested_at` is set while a cancel is under way; ignore
    it unless `status` is `initializing` or `failed` and the initialization has not ended.
    """

    id: UUID
    name: str
    owner: str
    blueprint: str
    parameters: dict[str, Any]
    status: ProjectStatus
    progress: int
    workflow_id: str
    run_id: str | None
    version: int
    initialization_started_at: datetime | None
    initialization_completed_at: datetime | None
    initialization_error: str | None
    waited: int
    waiting_since: datetime | None
    rollback: Rollback | None
    cancel_requested_at: datetime | None
    created_at: datetime
    updated_at: datetime
    temporal_url: str | None = None


class Step(BaseModel):
    """A step or sub-step of an initialization.

    `duration` is the time that its last round took. `waited` is the time that it had failed and
    waited for a person, in all rounds; if it is `failed` now, it has also waited since
    `completed_at`.
    """

    id: UUID
    project_id: UUID
    step: str
    display_name: str
    sequence: int
    status: StepStatus
    progress: int
    started_at: datetime | None
    completed_at: datetime | None
    duration: int | None
    waited: int
    error: str | None
    error_stack: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    parent_step: str | None
    message: str | None
    attempt: int
    round: int
    weight: int
    optional: bool
    undone_at: datetime | None
    temporal_url: str | None = None


class Controls(BaseModel):
    """What the caller may do now: with the project, and with each step that takes a control."""

    project: list[ProjectControl]
    steps: dict[str, list[StepControl]]


class Initialization(BaseModel):
    """A project, its steps in order and its progress, at one version.

    Snapshots of the event stream have no `controls`: they are the same for every client.
    """

    project: Project
    steps: list[Step]
    progress: int
    version: int
    controls: Controls | None = None


class ProjectPage(BaseModel):
    """Projects, newest first; pass `next_cursor` as `cursor` to get the next page."""

    items: list[Project]
    next_cursor: str | None


class Attempt(BaseModel):
    """One attempt at a step; `outcome` is null while it runs."""

    project_id: UUID
    step: str
    round: int
    attempt: int
    run_id: str | None
    activity_id: str | None
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    error: str | None
    error_stack: str | None
    error_details: dict[str, Any] | None
    worker: str | None


class ExistingObject(BaseModel):
    """An object that a step created and that still exists; `what` is the step's own metadata."""

    step: str
    display_name: str
    what: dict[str, Any]


class RetryPreview(BaseModel):
    """The steps that a retry would run or keep, and the objects that already exist.

    `parameters` are those that the retried step uses and that may be changed with its retry.
    """

    runs: list[str]
    keeps: list[str]
    objects: list[ExistingObject]
    parameters: list[str] = Field(default_factory=list)


class CancelPreview(BaseModel):
    """What a cancel with `undo` would do: roll back these steps, in this order, and keep what the
    others have made or, if they failed, may have made.
    """

    rolls_back: list[str]
    keeps: list[str]


class HistoryEvent(BaseModel):
    """An event: its action, time and actor."""

    project_id: UUID
    version: int
    type: EventType
    action: str
    step: str | None
    actor: str | None
    payload: dict[str, Any]
    at: datetime


class HistoryPage(BaseModel):
    """Events in order; `next_after` is null on the last page."""

    items: list[HistoryEvent]
    next_after: int | None


class StepStatistics(BaseModel):
    """How often a step ran and failed, and the durations of its completed runs in milliseconds.

    A run is one round of a step: the plan's, or that of a retry. `failures` are runs that failed,
    `skipped` runs in which the step found nothing to do and skipped itself, `cancelled` runs that
    were stopped, which are not among `runs`. A step that the plan or a person skips has no run.
    `attempts` are those of all runs. `first_try_rate` is the share of the steps that completed or
    skipped themselves without a failed attempt, from 0 to 1. Null stands for no completed run.
    """

    step: str
    blueprint: str
    display_name: str
    runs: int
    failures: int
    skipped: int
    cancelled: int
    attempts: int
    failed_attempts: int
    first_try_rate: float | None
    average: int | None
    p50: int | None
    p95: int | None
    max: int | None


class BlueprintStep(BaseModel):
    """A step of a blueprint."""

    step: str
    display_name: dict[str, str]
    uses: str
    needs: list[str]
    after: list[str]
    optional: bool
    weight: int
    undo: bool


class Blueprint(BaseModel):
    """A type of project; `parameters` is a JSON Schema."""

    name: str
    title: dict[str, str]
    description: dict[str, str] | None = None
    parameters: dict[str, Any]
    editable: list[str] | None = None
    steps: list[BlueprintStep]


class Health(BaseModel):
    """Whether the process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether the process can serve requests; without a `degraded` server, events arrive later."""

    status: Literal["ready", "not ready"]
    missing: list[str] = Field(default_factory=list)
    degraded: list[str] = Field(default_factory=list)
