"""The state of an initialization, folded from its snapshot and events. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Step = Mapping[str, Any]


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
        ended=data["project"].get("initialization_completed_at") is not None,
    )


def fold(state: Initialization, event: str, data: Mapping[str, Any]) -> Initialization:
    """The state after one event. What is already in it changes nothing; unknown types neither."""
    if event == "snapshot":
        return from_snapshot(data)
    if data.get("version", 0) <= state.version:
        return state
    if event == "step":
        return _with_step(state, data)
    if event == "project":
        return _with_project(state, data)
    if event == "end":
        project = {**state.project, "status": data["status"]}
        return replace(state, project=project, version=data["version"], ended=True)
    return replace(state, version=data["version"])


def _with_step(state: Initialization, data: Mapping[str, Any]) -> Initialization:
    change = data["step"]
    name = change["step"]
    merged = {**state.steps.get(name, {}), **change}
    return replace(
        state,
        steps={**state.steps, name: merged},
        progress=data["progress"],
        version=data["version"],
    )


def _with_project(state: Initialization, data: Mapping[str, Any]) -> Initialization:
    project = {**state.project, **data["project"]}
    return replace(
        state,
        project=project,
        progress=data["progress"],
        version=data["version"],
        # A retry after the end opens it again. The end itself is said by `end` alone.
        ended=state.ended and project.get("initialization_completed_at") is not None,
    )


def in_order(state: Initialization) -> list[Step]:
    """The steps by sequence, each followed by its sub-steps."""

    def place(step: Step) -> tuple[int, str, bool, int]:
        parent = state.steps.get(step.get("parent_step") or "", step)
        nested = parent is not step
        return parent.get("sequence", 0), parent["step"], nested, step.get("sequence", 0)

    return sorted(state.steps.values(), key=place)
