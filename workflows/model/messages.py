"""Input and update arguments of the workflow `InitializeProject`."""

# Annotations stay types here: as text, the data converter would evaluate them for each value anew.
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stepway.workflows.model.plan import Plan
from stepway_tracking.record.facts import StepStatus

WORKFLOW = "InitializeProject"
PLANNED = "wait_until_planned"
RETRY_STEP = "retry_step"
RETRY_INITIALIZATION = "retry_initialization"
SKIP_STEP = "skip_step"
CANCEL = "cancel_initialization"
INITIALIZATION = "initialization"

CANCEL_REQUESTED = "cancel"
"""The change_id of the request to cancel."""

REFUSED = "Refused"
STEP_UNKNOWN = "StepUnknown"
PARAMETERS_CHANGED = "ParametersChanged"
NAME_TAKEN = "NameTaken"
START_EXPIRED = "StartExpired"
TOO_LATE = "TooLate"

INDEX_PAUSE = 5.0
"""The `index_pause` of new initializations."""


def workflow_id(project_id: str) -> str:
    """Return the workflow ID of a project's initialization."""
    return f"initialize-{project_id}"


@dataclass(frozen=True)
class Resumed:
    """The state of an ended initialization that a retry resumes, by step.

    `reopened` are the pending steps whose rows say something else: what was undone, and what
    nobody but the end itself has skipped. `kept` are the completed steps whose results do not fit
    into the input: they are read from the record when a step needs them. `finished` are the
    completed steps in the order of completion, which a rollback reverses.
    """

    states: dict[str, StepStatus]
    results: dict[str, Any]
    errors: dict[str, str]
    reopened: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Continued:
    """The state that a run with a long history passes to the next run.

    `stood` has the state of each step, `finished` the completed steps in the order of completion,
    `since` (ISO 8601) the time of each step's state. `decisions` counts the decisions of people.
    `started_at` (ISO 8601) is the start of the first run, from which the time limit counts.
    """

    stood: Resumed
    rounds: dict[str, int]
    finished: list[str]
    since: dict[str, str]
    status: str
    decisions: int
    started_at: str


@dataclass(frozen=True)
class InitializationInput:
    """All data of an initialization, which therefore depends on no file.

    `definition` is the whole blueprint, kept for a later retry. `deadline` (ISO 8601) is the
    moment after which nothing is created. `usual` holds the p95 duration of steps in ms.
    `resumed` is there when a project that has ended is taken up again, `continued` when an earlier
    run goes on in this one. `index_pause` is how many seconds lie between two writes of what merely
    runs to Temporal's index; without it that is one, and what the start has set is written again,
    as it was before there was this field. `request_id` names the request that this run was started
    for.
    """

    project_id: str
    name: str
    owner: str
    plan: Plan
    parameters: dict[str, Any]
    request_hash: str
    deadline: str
    actor: str
    usual: dict[str, int] = field(default_factory=dict)
    resumed: Resumed | None = None
    index_pause: float | None = None
    continued: Continued | None = None
    definition: dict[str, Any] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True)
class Retry:
    """Run a failed step again, or all uncompleted steps if `step` is empty.

    `parameters` and the `plan` made with them replace the present ones; `changes` is what a
    person has changed in them: by name, `{"from": …, "to": …}`. `based_on` is the digest of the
    parameters that they were changed in: where somebody else has changed those meanwhile, the
    update is refused (ParametersChanged, with the present ones). An update that reaches the
    workflow after `deadline` (ISO 8601) is refused.
    """

    actor: str
    deadline: str
    step: str = ""
    parameters: dict[str, Any] | None = None
    plan: Plan | None = None
    changes: dict[str, Any] | None = None
    based_on: str = ""


@dataclass(frozen=True)
class Skip:
    """Skip a failed step, for a reason."""

    actor: str
    deadline: str
    step: str
    reason: str


@dataclass(frozen=True)
class Cancel:
    """Stop the initialization; `undo` also rolls completed steps back."""

    actor: str
    deadline: str = ""
    undo: bool = False


def digest(parameters: Mapping[str, Any]) -> str:
    """Return a hash that is equal for equal parameters."""
    return hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode()).hexdigest()


def without_definition(given: InitializationInput) -> dict[str, Any]:
    """Return the input without its definition, for a run that older workers must not take.

    Older workers ignore `continued` and `kept` and would run completed steps again. They require a
    definition, so without one their workflow tasks fail until a newer worker takes the run.
    """
    said = asdict(given)
    del said["definition"]
    return said
