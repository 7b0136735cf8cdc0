"""The CLI's fold of the recorded streams; the tests in web/src fold the same files."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from stepway.cli.client.fold import Gap, Initialization, fold, from_snapshot
from tests.fold.record import DERIVED, STORIES
from tests.support.folding import as_json

STREAMS = {file.stem: json.loads(file.read_text()) for file in Path(__file__).parent.glob("*.json")}


def test_there_is_a_file_for_each_stream() -> None:
    assert set(STREAMS) == {*STORIES, *(derive.__name__ for derive in DERIVED)}


@pytest.mark.parametrize("name", STREAMS)
def test_stream_folds_to_what_postgres_said(name: str) -> None:
    stream = STREAMS[name]
    first, *events = stream["events"]
    state, gaps = from_snapshot(first["data"]), []
    told = {0: state}
    for index, event in enumerate(events, 1):
        try:
            state = fold(state, event["type"], event["data"])
        except Gap:
            gaps.append(index)
        told[index] = state
    assert gaps == stream["gaps"]
    assert stream["states"]
    for index, expected in stream["states"].items():
        assert as_json(told[int(index)]) == expected, f"after event {index}"


def test_the_streams_hold_what_is_hard_to_fold() -> None:
    """Cases: new, reset and repeated sub-steps; current and superseded ends; gaps and repeats."""

    def kinds(name: str) -> list[str]:
        return [event["type"] for event in STREAMS[name]["events"]]

    assert kinds("reopened").count("end") == 2
    assert kinds("replayed").count("end") == 1
    assert len(kinds("replayed")) == len(kinds("reopened"))
    assert STREAMS["late"]["gaps"] and STREAMS["jumped"]["gaps"]
    assert kinds("jumped").count("snapshot") == kinds("restored").count("snapshot") == 2
    parts = [e["data"]["step"] for e in STREAMS["reopened"]["events"] if e["type"] == "step"]
    assert {"running", "completed", "pending"} <= {
        part["status"] for part in parts if part.get("parent_step")
    }
    versions = [event["data"]["version"] for event in STREAMS["restored"]["events"]]
    assert any(after < before for before, after in pairwise(versions))
    assert set(kinds("progressed")) == {"snapshot", "step"}


def test_steps_that_an_event_leaves_out_stay_the_same_objects() -> None:
    """Views detect changes by identity."""
    stream = STREAMS["progressed"]["events"]
    before: Initialization = from_snapshot(stream[0]["data"])
    after = fold(before, stream[1]["type"], stream[1]["data"])
    assert after.steps["first"] is before.steps["first"]
    assert after.steps["second"] is not before.steps["second"]
