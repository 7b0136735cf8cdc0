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
    named = {"step": payload["step"]["step"]} if "step" in payload else {}
    return {"version": version, "type": type, "action": action, "payload": payload, **named}


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
        "COMPLETED",
    )


def failed(version: int, error: str | None, action: str = "failed", **changed: Any) -> Json:
    told = step(status="failed", error=error, **changed)
    return event(version, "step", action, step=told, progress=100)


def told(*more: Json) -> dict[str, Any]:
    """The record's events with more of them before the end."""
    planned, completed, end = true_record().events
    events = [planned, *more, completed, end]
    return {"events": [one | {"version": n} for n, one in enumerate(events, 1)]}


def told_after_completion(*more: Json) -> dict[str, Any]:
    planned, completed, end = true_record().events
    events = [planned, completed, *more, end]
    return {"events": [one | {"version": n} for n, one in enumerate(events, 1)]}


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
        ({"attempts": [attempt(), attempt(activity_id="2", round=2)]}, "a ran again"),
        ({"code_runs": {"a": 2}}, "a ran more often, 2 times, than its 1 attempts"),
        (told(failed(2, "The worker stopped.")), "not its own: The worker stopped."),
        (told(failed(2, None)), "not its own: None"),
        (told(failed(2, "Timed out.", "attempt_failed")), "not its own: Timed out."),
        (told_after_completion(failed(3, "Cancelled by temporal.")), "a completed, then failed"),
        ({"last_status": "CANCELED"}, "its workflow was cancelled, the project is active"),
        ({"project": project(status="cancelled"), "steps": [step(status="pending")]}, "is pending"),
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


def test_step_that_runs_again_after_an_operators_reset_did_not_run_twice() -> None:
    attempts = [attempt(), attempt(run_id="reset", round=2)]
    completions = [Completion("1", {"reset"})]
    record = replace(
        true_record(),
        attempts=attempts,
        completions=completions,
        last_run="reset",
        reset_runs={"reset"},
    )
    assert record_faults(record) == []


def test_step_that_had_nothing_to_do_may_run_again_after_the_end() -> None:
    nothing, again = attempt(outcome="skipped"), attempt(run_id="later", round=2)
    record = replace(
        true_record(),
        attempts=[nothing, again],
        completions=[Completion("1", {"run"}), Completion("1", {"later"})],
        last_run="later",
    )
    assert record_faults(record) == []
    at_once = replace(record, attempts=[nothing, attempt(activity_id="2", round=2)])
    assert any("a ran again" in fault for fault in record_faults(at_once))


@pytest.mark.parametrize(
    "more",
    [
        [failed(2, "RuntimeError: no luck in run 1")],
        [failed(2, "Cancelled by temporal.")],
        [failed(2, "The part failed.", parent_step="other", step="other.part")],
        [failed(2, "RuntimeError: no luck in run 1"), event(3, "step", "retried", step=step())],
    ],
)
def test_failure_by_a_steps_own_error_or_by_an_operator_is_no_fault(more: list[Json]) -> None:
    version = 3 + len(more)
    record = replace(true_record(), project=project(version=version), **told(*more))
    found = [fault for fault in record_faults(record) if "fold" not in fault]
    assert found == []


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
