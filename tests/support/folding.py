"""Folding a project's events as the command line does, and states in a form that compares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepway.cli.client.fold import Initialization, fold, from_snapshot, in_order

Json = dict[str, Any]


def folded(events: Iterable[Json]) -> Initialization:
    """The state after rows of `project_initialization_events`, from version 1 on."""
    first, *others = events
    state = from_snapshot(first["payload"])
    for event in others:
        state = fold(state, event["type"], event["payload"])
    return state


def as_json(state: Initialization) -> Json:
    """A folded state, without the one field that not every event tells."""
    project = {k: v for k, v in state.project.items() if k != "updated_at"}
    return {
        "project": project,
        "steps": in_order(state),
        "progress": state.progress,
        "version": state.version,
        "ended": state.ended,
    }


def snapshot_as_json(snapshot: Json) -> Json:
    """What Postgres says of an initialization, in the same form; its steps keep their order."""
    project = {k: v for k, v in snapshot["project"].items() if k != "updated_at"}
    ended = project["initialization_completed_at"] is not None
    return {**snapshot, "project": project, "ended": ended}
