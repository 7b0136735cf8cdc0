"""Everything that a module of steps imports from Stepway. Other modules may change at any time.

A step is a Temporal activity: one dataclass in, one out. A module of steps offers
`step_activities(resources: Resources)`, which returns its activities.

- `ProjectRef`: the project that a step works for; the field `project` of a step's input.
- `Progress`, `SubStep`: the argument of `activity.heartbeat`, shown live.
- `Skipped`: the result of a step that had nothing to do.
- `step_error`: the error to raise, with a remedy for people and whether a retry can help.
- `Removed`, `left_behind`: the result, and the refusal, of a rollback.
- `Resources`: given to `step_activities`; `resources.credentials` is a `Credentials`, which opens
  a `Secret` by name inside an attempt, `resources.engine` is an SQLAlchemy engine.
- `StepActivity`: the type of an activity.
- `logger`: Temporal's logger of the attempt that runs.
"""

from __future__ import annotations

from temporalio import activity

from stepway.activities.credentials.resolve_credentials import Credentials
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, StepActivity
from stepway.activities.rollback import Removed, left_behind
from stepway.vault.vault import Secret
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
    "left_behind",
    "logger",
    "step_error",
]
