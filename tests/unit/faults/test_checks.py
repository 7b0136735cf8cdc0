"""Each check finds its kind of violation, and none in a correct record."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from stepway.cli.client.fold import from_snapshot
from tests.faults.checks import (
    Completion,
    Json,
    Record,
    Seen,
    record_faults,
    state_faults,
    watcher_faults,
)
from tests.faults.summary import kind_of


def step(**changed: Any) -> Json:
    return {"step": "a", "status": "completed", "progress": 100, "parent_step": None, **changed}


def project(**changed: Any) -> Json:
    return {"version": 3, "status": "active", "initialization_completed_at": "now", **changed}


def event(version: int, type: str, action: str, **payload: Any) -> Json:
    return {"version": version, "type": type, "action": action, "payload": payload}


def attempt(**changed: Any) -> Json:
    return {
        "step": "a",
        "round": 1,
        "attempt": 1,
        "run_id": "run",
        "activity_id": "1",
        "outcome": "completed",
        "ended_at": "now",
        **changed,
    }


def true_record() -> Record:
    return Record(
        project(),
        [step()],
        [attempt()],
        [
            event(1, "snapshot", "planned", steps=[step(status="pending", progress=0)], progress=0),
            event(2, "step", "completed", step=step(), progress=100),
            event(3, "end", "ended"),
        ],
        [Completion("1", {"run"})],
        "run",
    )


def went_back() -> list[Json]:
    planned, completed, end = true_record().events
    lower = deepcopy(completed) | {"action": "progressed"}
    lower["payload"]["progress"] = 40
    return [planned, completed, lower | {"version": 3}, end | {"version": 4}]


def test_true_record_has_no_faults() -> None:
    assert record_faults(true_record()) == []


@pytest.mark.parametrize(
    ("damage", "finds"),
    [
        ({"events": true_record().events[:1] + true_record().events[2:]}, "versions have a hole"),
        ({"events": went_back(), "project": project(version=4)}, "went from 100 to 40"),
        ({"events": true_record().events[:2], "project": project(version=2)}, "not the end"),
        ({"steps": [step(progress=90)]}, "do not fold to the row of a"),
        ({"steps": [step(status="running")]}, "still running: a"),
        ({"steps": [step(status="failed")]}, "active, but a is failed"),
        ({"project": project(initialization_completed_at=None)}, "has not ended"),
        ({"attempts": [attempt(), attempt(attempt=2)]}, "completed twice within one schedule"),
        ({"attempts": [attempt(), attempt(attempt=2, ended_at=None)]}, "attempt still open"),
        ({"attempts": [attempt(outcome="failed")]}, "the record has no such attempt"),
        ({"completions": []}, "Temporal does not say so"),
        ({"completions": [Completion("1", {"other"})]}, "the record has no such attempt"),
    ],
)
def test_damage_of_a_record_is_found(damage: dict[str, Any], finds: str) -> None:
    found = record_faults(replace(true_record(), **damage))
    assert any(finds in fault for fault in found), found


def test_completion_that_a_reset_copied_needs_one_attempt_only() -> None:
    record = replace(true_record(), completions=[Completion("1", {"run", "reset"})])
    assert record_faults(replace(record, last_run="reset")) == []


def test_step_that_ran_again_in_another_schedule_did_not_run_twice() -> None:
    attempts = [attempt(), attempt(activity_id="2", round=2)]
    completions = [Completion("1", {"run"}), Completion("2", {"run"})]
    record = replace(true_record(), attempts=attempts, completions=completions)
    assert record_faults(record) == []


def test_completion_that_temporal_never_heard_of_is_no_fault_where_another_round_followed() -> None:
    attempts = [attempt(), attempt(activity_id="2", round=2)]
    record = replace(true_record(), attempts=attempts, completions=[Completion("2", {"run"})])
    assert record_faults(record) == []


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ([("snapshot", 1), ("step", 2), ("end", 3)], None),
        ([("snapshot", 1), ("snapshot", 3)], None),
        ([("snapshot", 1), ("end", 3)], "gap"),
        ([("step", 2), ("end", 3)], "gap"),
        ([("snapshot", 1), ("step", 2), ("step", 2), ("end", 3)], "duplicate"),
        ([("snapshot", 3), ("snapshot", 2)], "duplicate"),
        ([("snapshot", 1), ("step", 2)], "lost ending"),
        ([], "lost ending"),
    ],
)
def test_watcher_must_have_every_version_once_and_in_order(
    seen: list[tuple[str, int]], kind: str | None
) -> None:
    found = watcher_faults([Seen(id, type) for type, id in seen], 3)
    assert [kind_of(fault) for fault in found] == ([kind] if kind else [])


def test_state_of_a_client_is_held_against_the_rows() -> None:
    record = true_record()
    told = {"project": project(), "steps": [step(link="more")], "progress": 100}
    state = from_snapshot({**told, "version": 3})
    assert state_faults(state, record) == []
    stale = from_snapshot({**told, "steps": [step(status="running")], "version": 3})
    assert state_faults(stale, record) == ["the client's a differs from its row in ['status']"]
