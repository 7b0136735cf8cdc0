"""The state of an initialization, folded from its snapshot and events. Pure.

These are the rules for every client of the stream. The page follows them too (web/src, fold.ts),
and the recorded streams in tests/fold check both. Folding all events of a project gives what a
snapshot of the same version holds, save for `project.updated_at`, which only `snapshot` and
`project` tell.

- `snapshot` replaces the whole state. Its version may be lower than the state's: the record was
  restored from a backup, and the client has seen versions that no longer exist.
- Any other event applies only to the version just before its own. An event of the state's version
  or a lower one is a repeat and changes nothing. A higher one shows that events are missing: it is
  not applied, and the client reads a snapshot.
- Each event that applies sets `version` of the state and of the project. `step` and `project` also
  set `progress` of both.
- `step` merges the given fields into the step of that name. A step that is not known is inserted;
  fields that the event leaves out are those of `facts.INSERTED_STEP`.
- `project` merges the given fields into the project.
- `end` sets the project's status, and the initialization has ended.
- A snapshot has ended where `initialization_completed_at` is set. A `project` event that sets it to
  null opens the initialization again. No `project` event ends it: the server sends an `end` that a
  retry has overtaken as a `project` event.
- An event of another type changes nothing but the version.
- Steps are in order of `sequence`, a sub-step behind its parent, sub-steps as they were inserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stepway_tracking.record.facts import INSERTED_STEP

Step = Mapping[str, Any]


class Gap(Exception):
    """Events are missing before this one: read a snapshot."""


@dataclass(frozen=True)
class Initialization:
    """What is known of an initialization after the event of `version`.

    `steps` is keyed by the step's name; `progress` is the weighted whole, 0 to 100;
    `ended` is true once nothing more will come, unless somebody retries.
    """

    project: Mapping[str, Any]
    steps: Mapping[str, Step]
    progress: float
    version: int
    ended: bool

    @property
    def status(self) -> str:
        """The project's status."""
        return str(self.project["status"])


def from_snapshot(data: Mapping[str, Any]) -> Initialization:
    """The state that a snapshot `{project, steps, progress, version}` stands for."""
    return Initialization(
        project=data["project"],
        steps={step["step"]: step for step in data["steps"]},
        progress=data["progress"],
        version=data["version"],
        ended=data["project"]["initialization_completed_at"] is not None,
    )


def fold(state: Initialization, event: str, data: Mapping[str, Any]) -> Initialization:
    """The state after one event. Raises Gap."""
    if event == "snapshot":
        return from_snapshot(data)
    version = data.get("version", 0)
    if version <= state.version:
        return state
    if version > state.version + 1:
        raise Gap(f"version {version} came after {state.version}")
    told = {"version": version, "progress": data.get("progress", state.progress)}
    after = replace(state, **told, project={**state.project, **told})
    if event == "step":
        return _with_step(after, data["step"])
    if event == "project":
        return _with_project(after, data["project"])
    if event == "end":
        project = {**after.project, "status": data["status"]}
        return replace(after, project=project, ended=True)
    return after


def _with_step(state: Initialization, change: Step) -> Initialization:
    name = change["step"]
    merged = {**state.steps.get(name, INSERTED_STEP), **change}
    return replace(state, steps={**state.steps, name: merged})


def _with_project(state: Initialization, change: Mapping[str, Any]) -> Initialization:
    project = {**state.project, **change}
    ended = state.ended and project["initialization_completed_at"] is not None
    return replace(state, project=project, ended=ended)


def in_order(state: Initialization) -> list[Step]:
    """The steps by sequence, each followed by its sub-steps."""

    def place(step: Step) -> tuple[int, str, bool]:
        parent = step["parent_step"]
        return step["sequence"], parent or step["step"], parent is not None

    return sorted(state.steps.values(), key=place)
