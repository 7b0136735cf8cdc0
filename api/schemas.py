"""What the API's answers look like; OpenAPI is made from these.

Postgres builds the bodies itself, with these very names, so that most of them pass through as
they are. Times are ISO 8601 with offset, durations milliseconds, progress 0 to 100.
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


class InvalidPart(BaseModel):
    """One part of the input that was not accepted; `pointer` is a JSON pointer into it.

    For a parameter, `code` is the keyword of the JSON Schema that refused it, `fixed` where it
    cannot be changed any more, or `secret`; `expected` is the keyword's value.
    """

    name: str
    pointer: str
    detail: str
    code: str | None = None
    expected: str | None = None


class Problem(BaseModel):
    """An error, RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[InvalidPart] | None = None


class Project(BaseModel):
    """A project and how far its initialization is."""

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
    created_at: datetime
    updated_at: datetime
    temporal_url: str | None = None


class Step(BaseModel):
    """A step, or a part of one, of an initialization."""

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


class Initialization(BaseModel):
    """A project, its steps in order and its progress, all at one version."""

    project: Project
    steps: list[Step]
    progress: int
    version: int


class ProjectPage(BaseModel):
    """Projects, newest first; `next_cursor` leads to the older ones."""

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
    worker: str | None


class ExistingObject(BaseModel):
    """Something that a step has made and that is still there: `what` as the step told it."""

    step: str
    display_name: str
    what: dict[str, Any]


class RetryPreview(BaseModel):
    """What a retry would run, which completed steps it would keep, and what exists already."""

    runs: list[str]
    keeps: list[str]
    objects: list[ExistingObject]


class HistoryEvent(BaseModel):
    """What happened, when, and by whom."""

    project_id: UUID
    version: int
    type: EventType
    action: str
    step: str | None
    actor: str | None
    payload: dict[str, Any]
    at: datetime


class HistoryPage(BaseModel):
    """Events in order; `next_after` is null when none follow."""

    items: list[HistoryEvent]
    next_after: int | None


class StepStatistics(BaseModel):
    """How long a step takes, in milliseconds; null where none has completed."""

    step: str
    blueprint: str
    display_name: str
    runs: int
    failures: int
    average: int | None
    p50: int | None
    p95: int | None
    max: int | None


class BlueprintStep(BaseModel):
    """A step as its blueprint describes it."""

    step: str
    display_name: dict[str, str]
    uses: str
    needs: list[str]
    after: list[str]
    optional: bool
    weight: int
    undo: bool


class Blueprint(BaseModel):
    """A type of project; `parameters` is the JSON Schema of what it takes."""

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
    """Whether the process can serve; what is `degraded` costs latency only."""

    status: Literal["ready", "not ready"]
    missing: list[str] = Field(default_factory=list)
    degraded: list[str] = Field(default_factory=list)
