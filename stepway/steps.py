"""The public API for step modules. Import nothing else: other modules may change at any time.

A step is a Temporal activity that takes one dataclass and returns one. A step module defines
`step_activities(resources: Resources)`, which returns its activities.

- `ProjectRef`: the type of the field `project` of a step's input.
- `Progress`, `SubStep`: argument of `activity.heartbeat`; it is shown live.
- `Skipped`: result of a step that had nothing to do.
- `step_error`: makes an error to raise, with a remedy for people and whether to retry.
- `Removed`, `left_behind`: result and refusal of a rollback.
- `Resources`: argument of `step_activities`. `resources.credentials` is a `Credentials`, which
  opens a `Secret` by name during an attempt; `resources.engine` is an SQLAlchemy engine.
- `StepActivity`: the type of an activity.
- `logger`: Temporal's logger for activities. What it and all of Python's logging write during an
  attempt, in its code, its tasks and `asyncio.to_thread`, is in the step's log. Other threads need
  `contextvars.copy_context().run`.
- `captured_output`: inside, what `print` writes is in the step's log too.
"""

from __future__ import annotations

from temporalio import activity

from stepway.activities.credentials.credentials import Credentials
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, StepActivity
from stepway.activities.rollback import Removed, left_behind
from stepway.vault.vault import Secret
from stepway_tracking.logs.printing import captured_output
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped, SubStep

logger = activity.logger

__all__ = [
    "Credentials",
    "Progress",
    "ProjectRef",
    "Removed",
    "Resources",
    "Secret",
    "Skipped",
    "StepActivity",
    "SubStep",
    "captured_output",
    "left_behind",
    "logger",
    "step_error",
]
