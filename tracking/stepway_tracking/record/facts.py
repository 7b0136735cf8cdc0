"""Names and limits that the record, its readers and the pages share, each defined once. Pure.

`scripts/generate` writes them to web/src/api/facts.ts, and tests/integration/test_facts.py compares
them with the constraints and functions of the migrated database.
"""

# Annotations stay types here: dataclasses that use these reach Temporal's data converter.
from typing import Any, Literal, get_args

ProjectStatus = Literal["initializing", "active", "failed", "cancelled", "archived"]
PROJECT_STATUSES: tuple[ProjectStatus, ...] = get_args(ProjectStatus)

EndStatus = Literal["active", "failed", "cancelled"]
"""How an initialization can end. `failed` is also the status while it waits for a person."""
END_STATUSES: tuple[EndStatus, ...] = get_args(EndStatus)

StepStatus = Literal["pending", "running", "completed", "failed", "skipped"]
STEP_STATUSES: tuple[StepStatus, ...] = get_args(StepStatus)

DONE_STATUSES: tuple[StepStatus, ...] = ("completed", "skipped")
"""Statuses in which a step lets the steps `after` it run."""

EventType = Literal["snapshot", "step", "project", "end"]
"""The event's name on the stream."""
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

StepAction = Literal[
    "started",
    "progressed",
    "attempt_failed",
    "interrupted",
    "paused",
    "completed",
    "failed",
    "skipped",
    "retried",
    "slow",
    "undo_started",
    "undone",
    "undo_failed",
]
"""The changes of a step that a writer may ask for."""
STEP_ACTIONS: tuple[StepAction, ...] = get_args(StepAction)

SubStepAction = Literal["started", "progressed", "completed", "failed", "skipped", "reset"]
"""The changes of a sub-step, which follow from those of its step."""
SUB_STEP_ACTIONS: tuple[SubStepAction, ...] = get_args(SubStepAction)

ProjectAction = Literal[
    "failed",
    "retried",
    "resumed",
    "cancel_requested",
    "cancelled",
    "activated",
    "timed_out",
    "reconciled",
]
"""The changes of a project that a writer may ask for."""
PROJECT_ACTIONS: tuple[ProjectAction, ...] = get_args(ProjectAction)

DERIVED_PROJECT_ACTIONS = ("planned", "reopened", "ended")
"""Changes of a project that the record itself adds."""

AttemptOutcome = Literal[
    "completed",
    "skipped",
    "failed",
    "timed_out",
    "cancelled",
    "interrupted",
    "paused",
    "reset",
    "lost",
]
"""How an attempt ended; null while it runs."""
ATTEMPT_OUTCOMES: tuple[AttemptOutcome, ...] = get_args(AttemptOutcome)

ROUND_METADATA = (
    "next_attempt_at",
    "last_error",
    "paused",
    "remedy",
    "reason",
    "skipped_by",
    "slow",
    "undo",
)
"""Fields of a step's metadata that describe its present round; the next round starts without."""

STEPWAY_METADATA = ("display_names", "retry", *ROUND_METADATA)
"""All fields of a step's metadata that Stepway writes; the others are the step's result."""

INSERTED_STEP: dict[str, Any] = {
    "id": "",
    "project_id": "",
    "display_name": "",
    "sequence": 2**31 - 1,
    "status": "pending",
    "progress": 0,
    "started_at": None,
    "completed_at": None,
    "duration": None,
    "error": None,
    "error_stack": None,
    "metadata": {},
    "created_at": "",
    "updated_at": "",
    "parent_step": None,
    "message": None,
    "attempt": 0,
    "round": 0,
    "weight": 0,
    "optional": False,
    "undone_at": None,
}
"""Fields of a step that a reader has never seen, where the event leaves them out."""

MAX_VERSION = 2**63 - 1

LONGEST_TEXT = 100_000
"""Characters of an error or a stack that are kept; of a longer one, the end."""

LONGEST_MESSAGE = 1000
"""Characters of a step's message that are kept; of a longer one, the end."""

FEWEST_FOR_ESTIMATE = 3
"""Completed runs of each remaining step before the time left is estimated."""

FEWEST_FOR_SLOW = 20
"""Completed runs of a step before an attempt of it can be marked slow."""
