"""Folds the snapshot and the events of an initialization into its state. Pure.

These are the rules for every client of the stream. The page follows them too (web/src, fold.ts),
and the recorded streams in tests/fold check both. All events of a project fold to the same state
as a snapshot of the same version, except for `project.updated_at`, which only `snapshot` and
`project` contain.

- `snapshot` replaces the whole state. Its version may be lower than the state's: the record was
  restored from a backup, and the client has seen versions that no longer exist.
- Any other event applies only to the version just before its own. An event of the state's version
  or a lower one is a repeat and changes nothing. A higher one shows that events are missing: it is
  not applied, and the client reads a snapshot.
- Each event that applies sets `version` of the state and of the project. `step` and `project` also
  set `progress` of both.
- `step` merges the given fields into the step of that name. A step that is not known is inserted;
  fields that the event omits are those of `facts.INSERTED_STEP`.
- `project` merges the given fields into the project.
- `end` sets the project's status and ends the initialization.
- A snapshot has ended if `initialization_completed_at` is set. A `project` event that sets it to
  null reopens the initialization. No `project` event ends it: if a retry has already reopened the
  initialization, the server sends its earlier `end` as a `project` event.
- An event of another type changes only the version.
- Steps are in order of `sequence`, each followed by its sub-steps in order of insertion.
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
    """The state of an initialization at `version`.

    `steps` is keyed by step name; `progress` is the weighted total, 0 to 100; once `ended`, no
    more events follow unless a retry reopens the initialization.
    """

    project: Mapping[str, Any]
    steps: Mapping[str, Step]
    progress: float
    version: int
    ended: bool

    @property
    def status(self) -> str:
        return str(self.project["status"])


def from_snapshot(data: Mapping[str, Any]) -> Initialization:
    """Return the state of a snapshot `{project, steps, progress, version}`."""
    return Initialization(
        project=data["project"],
        steps={step["step"]: step for step in data["steps"]},
        progress=data["progress"],
        version=data["version"],
        ended=data["project"]["initialization_completed_at"] is not None,
    )


def fold(state: Initialization, event: str, data: Mapping[str, Any]) -> Initialization:
    """Return the state after one event. Raises Gap."""
    if event == "snapshot":
        return from_snapshot(data)
    version = data.get("version", 0)
    if version <= state.version:
        return state
    if version > state.version + 1:
        raise Gap(f"version {version} came after {state.version}")
    common = {"version": version, "progress": data.get("progress", state.progress)}
    after = replace(state, **common, project={**state.project, **common})
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
    """Return the steps by sequence, each followed by its sub-steps."""

    def place(step: Step) -> tuple[int, str, bool]:
        parent = step["parent_step"]
        return step["sequence"], parent or step["step"], parent is not None

    return sorted(state.steps.values(), key=place)
