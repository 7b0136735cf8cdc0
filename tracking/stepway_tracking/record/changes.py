"""Changes of steps and projects, as plain data that workflows may hold.

Times are ISO 8601 text. A change with a `fence` is rejected once a change with a later fence is
recorded. A change with a `change_id` is applied once. A change with a `version` applies only while
the project is at that version.
"""

# No `from __future__ import annotations`: the data converter would evaluate the text of each
# annotation for every value.
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

    With an `activity_id`, the change applies only while that activity's attempt is the running one.
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
    error_details: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    result: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class ProjectChange:
    """One change of a project; `ends` closes its initialization with an `end` event.

    `rollback` is the outcome of a cancel that rolled steps back: the number of completed steps
    (`steps`), of those that were rolled back (`rolled_back`), that could not be (`failed`), and
    that have no rollback (`without`).
    """

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
    rollback: dict[str, int] | None = None


@dataclass(frozen=True)
class Changes:
    """Changes of one project, applied in order in one transaction."""

    project_id: str
    steps: list[StepChange] = field(default_factory=list)
    project: ProjectChange | None = None

    def as_rows(self) -> list[dict[str, Any]]:
        """The argument of `stepway_record_v3`: an object for each change, without null fields."""
        changes: list[StepChange | ProjectChange] = [*self.steps]
        if self.project:
            changes.append(self.project)
        return [
            {name: value for name, value in vars(change).items() if value is not None}
            for change in changes
        ]

    @staticmethod
    def of(given: dict[str, Any]) -> "Changes":
        """Changes from their JSON, ten times as fast as by the data converter."""
        project = given["project"]
        return Changes(
            given["project_id"],
            [StepChange(**step) for step in given["steps"]],
            ProjectChange(**project) if project else None,
        )


@dataclass(frozen=True)
class PlannedRow:
    """A planned step, before it is inserted as pending.

    `queue` names the queue of its workers; it is empty for the queue of its workflow.
    """

    step: str
    display_name: str
    weight: int = 1
    optional: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    queue: str = ""


@dataclass(frozen=True)
class NewInitialization:
    """A new project and its steps, inserted as version 1.

    `definition` is the complete blueprint. After `deadline` (ISO 8601, optional) the project is not
    created. `task_queue` is the one of the workflow.
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
    task_queue: str = ""
