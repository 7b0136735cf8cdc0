"""Names and limits that the record, its readers and the pages share, each defined once.

`scripts/generate` writes them to web/src/api/facts.ts. tests/integration/store/test_facts.py
compares them with the constraints and functions of the migrated database.
"""

# No `from __future__ import annotations`: Temporal's data converter reads dataclasses with these
# types.
from typing import Any, Literal, get_args

ProjectStatus = Literal["initializing", "active", "failed", "cancelled", "archived"]
PROJECT_STATUSES: tuple[ProjectStatus, ...] = get_args(ProjectStatus)

EndStatus = Literal["active", "failed", "cancelled"]
"""Final statuses of an initialization. It is also `failed` while it waits for a person."""
END_STATUSES: tuple[EndStatus, ...] = get_args(EndStatus)

StepStatus = Literal["pending", "running", "completed", "failed", "skipped"]
STEP_STATUSES: tuple[StepStatus, ...] = get_args(StepStatus)

DONE_STATUSES: tuple[StepStatus, ...] = ("completed", "skipped")
"""Statuses of a step that let its dependent steps start."""

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
    "awaiting_worker",
    "undo_started",
    "undo_attempt_failed",
    "undone",
    "undo_failed",
]
"""Changes of a step that a writer may request."""
STEP_ACTIONS: tuple[StepAction, ...] = get_args(StepAction)

SubStepAction = Literal["started", "progressed", "completed", "failed", "skipped", "reset"]
"""Changes of a sub-step; each follows from a change of its step."""
SUB_STEP_ACTIONS: tuple[SubStepAction, ...] = get_args(SubStepAction)

ProjectAction = Literal[
    "failed",
    "retried",
    "resumed",
    "continued",
    "cancel_requested",
    "cancelled",
    "activated",
    "timed_out",
    "reconciled",
]
"""Changes of a project that a writer may request."""
PROJECT_ACTIONS: tuple[ProjectAction, ...] = get_args(ProjectAction)

DERIVED_PROJECT_ACTIONS = ("planned", "reopened", "ended")
"""Changes of a project that the record makes by itself."""

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
    "asked_to_wait",
    "waiting_for_worker",
    "paused",
    "remedy",
    "error_details",
    "reason",
    "skipped_by",
    "slow",
    "undo",
)
"""Fields of a step's metadata that are cleared when a new round starts."""

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
    "waited": 0,
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
"""Defaults for the fields that an event leaves out, for a step that the reader sees first."""

MAX_VERSION = 2**63 - 1

LONGEST_TEXT = 20_000
"""Maximum length of an error or a stack, in characters; a longer one is cut in the middle."""

LONGEST_MESSAGE = 1000
"""Maximum length of a step's message, in characters; a longer one is cut in the middle."""

LONGEST_REMEDY = 2000
"""Maximum length of the remedy of an error, in characters; a longer one is cut in the middle."""

LONGEST_PART_NAME = 200
"""Maximum length of a sub-step's name, in characters; a longer name keeps its beginning."""

LARGEST_SHOWN = 64_000
"""Maximum bytes of a result's JSON in a step's metadata; the result itself is kept whole."""

MOST_LOSSES = 20
"""Attempts of a round that may be cut off from outside before it fails."""

MOST_WAITS = 100
"""Attempts of a round that other systems may ask to wait before it fails."""

FEWEST_FOR_ESTIMATE = 3
"""Minimum number of completed runs of each remaining step for an estimate of the time left."""

FEWEST_FOR_SLOW = 20
"""Minimum number of completed runs of a step before an attempt can be marked slow."""

ARGUMENTS_NOT_DECODED = "Failed decoding arguments"
"""The SDK's message if the arguments do not fit the activity's input."""

ARGUMENTS_UNFIT = "The arguments in `with` do not fit the step's input"
"""The beginning of the text about it for people."""

TIMEOUT_REMEDY = (
    "Find out why the step takes longer, then retry. If it needs more time, raise its `timeout` in "
    "the blueprint: this applies to new projects."
)
"""What a person can do about a step that has exceeded its timeout."""

ROLLBACK_TIMEOUT_REMEDY = (
    "Remove by hand what it has left behind. If the rollback needs more time, raise the step's "
    "`timeout` in the blueprint: this applies to new projects."
)
"""What a person can do about a rollback that has exceeded the step's timeout."""

ARGUMENTS_REMEDY = (
    "Retry with another value of the parameter that the argument refers to. If the blueprint is "
    "wrong, correct `with` there and create the project again."
)
"""What a person can do about arguments that do not fit a step's input."""
