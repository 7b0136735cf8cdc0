"""Folds a project's events as the CLI does, and converts states to comparable JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepway.cli.client.fold import Initialization, fold, from_snapshot, in_order

Json = dict[str, Any]


def folded(events: Iterable[Json]) -> Initialization:
    """Fold rows of `project_initialization_events`, starting at version 1."""
    first, *others = events
    state = from_snapshot(first["payload"])
    for event in others:
        state = fold(state, event["type"], event["payload"])
    return state


def as_json(state: Initialization) -> Json:
    """Return a state as JSON, without `updated_at`, which not every event contains."""
    project = {k: v for k, v in state.project.items() if k != "updated_at"}
    return {
        "project": project,
        "steps": in_order(state),
        "progress": state.progress,
        "version": state.version,
        "ended": state.ended,
    }


def with_new_columns(state: Json) -> Json:
    """Return a state whose oldest events are from version 0.2, with the columns that came later.

    Version 0.2 also tells of columns that are not for clients.
    """
    new = {"waited": 0, "waiting_since": None, "rollback": None, "cancel_requested_at": None}
    project = {**new, **state["project"]}
    project.pop("task_queue", None)
    steps = [{"waited": 0, **step} for step in state["steps"]]
    for step in steps:
        step.pop("queue", None)
    return {**state, "project": project, "steps": steps}


def snapshot_as_json(snapshot: Json) -> Json:
    """Return a snapshot of Postgres in the form of `as_json`, with its steps in their order."""
    project = {k: v for k, v in snapshot["project"].items() if k != "updated_at"}
    ended = project["initialization_completed_at"] is not None
    return {**snapshot, "project": project, "ended": ended}
