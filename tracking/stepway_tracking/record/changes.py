"""What can happen to a step or a project, as plain data that workflows may hold.

Times are ISO 8601 text. A change without a fence always applies; one without a `change_id`
may be applied more than once; one with a `version` applies only while the project is at that
version.
"""

# Annotations stay types here: as text, the data converter would evaluate them for each value anew.
from dataclasses import dataclass, field
from typing import Any

from stepway_tracking.record.facts import (
    AttemptOutcome,
    ProjectAction,
    ProjectStatus,
    StepAction,
)


@dataclass(frozen=True)
class StepChange:
    """One change of a step.

    `activity_id` marks what an attempt says of itself: it counts only while that attempt runs.
    """

    step: str
    action: StepAction
    fence: str | None = None
    change_id: str | None = None
    actor: str | None = None
    run_id: str | None = None
    activity_id: str | None = None
    attempt: int | None = None
    worker: str | None = None
    progress: int | None = None
    message: str | None = None
    sub_steps: list[dict[str, Any]] | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None
    error_stack: str | None = None
    metadata: dict[str, Any] | None = None
    result: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class ProjectChange:
    """One change of a project; `ends` closes its initialization with an `end` event."""

    action: ProjectAction
    status: ProjectStatus | None = None
    error: str | None = None
    ends: bool = False
    fence: str | None = None
    change_id: str | None = None
    actor: str | None = None
    run_id: str | None = None
    parameters: dict[str, Any] | None = None
    version: int | None = None


@dataclass(frozen=True)
class Changes:
    """Changes of one project, applied in order in one transaction."""

    project_id: str
    steps: list[StepChange] = field(default_factory=list)
    project: ProjectChange | None = None

    def as_rows(self) -> list[dict[str, Any]]:
        """The JSON that `stepway_record_v2` takes: fields that say nothing are left out."""
        changes: list[StepChange | ProjectChange] = [*self.steps]
        if self.project:
            changes.append(self.project)
        return [
            {name: value for name, value in vars(change).items() if value is not None}
            for change in changes
        ]

    @staticmethod
    def of(given: dict[str, Any]) -> "Changes":
        """The changes that this JSON of them says, in a tenth of the data converter's time."""
        project = given["project"]
        return Changes(
            given["project_id"],
            [StepChange(**step) for step in given["steps"]],
            ProjectChange(**project) if project else None,
        )


@dataclass(frozen=True)
class PlannedRow:
    """A step as it is first written, pending."""

    step: str
    display_name: str
    weight: int = 1
    optional: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewInitialization:
    """A project and its steps as they are first written, at version 1.

    `definition` is the blueprint as it was at the start, whole. `deadline` (ISO 8601) is the
    moment after which nothing is created any more, if there is one.
    """

    project_id: str
    name: str
    owner: str
    blueprint: str
    steps: list[PlannedRow]
    workflow_id: str
    run_id: str
    parameters: dict[str, Any] = field(default_factory=dict)
    definition: dict[str, Any] = field(default_factory=dict)
    request_hash: str = ""
    deadline: str | None = None
    actor: str | None = None
