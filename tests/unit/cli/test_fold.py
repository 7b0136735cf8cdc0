from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepway.cli.client.fold import Gap, Initialization, fold, from_snapshot, in_order


def _project(**changed: Any) -> dict[str, Any]:
    return {
        "id": "p",
        "name": "shop",
        "status": "initializing",
        "initialization_completed_at": None,
        **changed,
    }


def _step(name: str, sequence: int, **changed: Any) -> dict[str, Any]:
    row = {"step": name, "sequence": sequence, "status": "pending", "progress": 0}
    return {**row, "parent_step": None, **changed}


def _state(*steps: dict[str, Any], **project: Any) -> Initialization:
    data = {"project": _project(**project), "steps": list(steps), "progress": 0, "version": 3}
    return from_snapshot(data)


def _change(version: int, whole: float = 0, /, **step: Any) -> dict[str, Any]:
    return {"version": version, "progress": whole, "step": step}


def test_progress_changes_the_fields_it_names_and_keeps_the_others() -> None:
    state = _state(_step("push", 1, status="running", message="cloning"))
    state = fold(state, "step", _change(4, 12, step="push", progress=40))
    assert state.steps["push"]["progress"] == 40
    assert state.steps["push"]["message"] == "cloning"
    assert (state.progress, state.version) == (12, 4)


def test_step_that_is_not_known_yet_is_inserted() -> None:
    state = _state(_step("push", 1))
    new = _step("push.render", 2, parent_step="push", status="running")
    state = fold(state, "step", _change(4, **new))
    assert [step["step"] for step in in_order(state)] == ["push", "push.render"]


def test_event_that_is_already_in_the_state_changes_nothing() -> None:
    state = _state(_step("push", 1, status="completed"))
    assert fold(state, "step", _change(3, step="push", status="running")) is state
    assert fold(state, "end", {"version": 2, "status": "failed"}) is state


def test_snapshot_replaces_everything_even_with_an_older_version() -> None:
    state = _state(_step("push", 1), _step("gone", 2))
    data = {"project": _project(), "steps": [_step("push", 1)], "progress": 1, "version": 1}
    state = fold(state, "snapshot", data)
    assert list(state.steps) == ["push"]
    assert state.version == 1


def test_end_is_said_by_the_end_event_and_taken_back_by_a_retry() -> None:
    state = _state(_step("push", 1))
    done = {"status": "failed", "initialization_completed_at": "2025-03-01T12:00:00+00:00"}
    state = fold(state, "project", {"version": 4, "progress": 0, "project": done})
    assert (state.status, state.ended) == ("failed", False)
    state = fold(state, "end", {"version": 5, "status": "failed"})
    assert state.ended
    again = {"status": "initializing", "initialization_completed_at": None}
    state = fold(state, "project", {"version": 6, "progress": 0, "project": again})
    assert (state.status, state.ended) == ("initializing", False)


def test_failed_project_that_waits_for_a_person_has_not_ended() -> None:
    assert not _state(status="failed").ended
    assert _state(status="active", initialization_completed_at="2025-03-01T12:00:00+00:00").ended


def test_event_of_an_unknown_type_is_passed_over() -> None:
    state = _state(_step("push", 1))
    after = fold(state, "estimate", {"version": 4, "seconds": 9})
    assert (after.version, after.steps) == (4, state.steps)
    assert fold(state, "estimate", {"seconds": 9}) is state


def test_sub_steps_follow_their_parent_in_the_order_in_which_they_came() -> None:
    state = _state(
        _step("b.two", 2, parent_step="b"),
        _step("c", 3),
        _step("b", 2),
        _step("b.one", 2, parent_step="b"),
        _step("a", 1),
    )
    names = [step["step"] for step in in_order(state)]
    assert names == ["a", "b", "b.two", "b.one", "c"]


def test_missing_events_are_noticed() -> None:
    state = _state(_step("push", 1))
    with pytest.raises(Gap, match="version 5 came after 3"):
        fold(state, "step", _change(5, step="push", status="running"))


def test_unknown_step_that_is_only_partly_told_has_what_any_row_has() -> None:
    state = fold(_state(_step("push", 1)), "step", _change(4, step="surprise", progress=3))
    surprise = in_order(state)[-1]
    assert surprise["step"] == "surprise"
    assert (surprise["status"], surprise["progress"]) == ("pending", 3)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_events_repeated_or_replayed_leave_the_state_of_each_once_in_order(
    seen: list[int],
) -> None:
    events = {v: _change(v, v, step="push", progress=v) for v in range(1, 31)}
    start = from_snapshot({"project": _project(), "steps": [], "progress": 0, "version": 0})
    once = start
    for version in range(1, max(seen) + 1):
        once = fold(once, "step", events[version])
    replayed = once
    for version in seen:
        replayed = fold(replayed, "step", events[version])
    assert replayed == once
