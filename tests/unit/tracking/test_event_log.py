"""The shared log of a project's newest events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepway_tracking.stream.event_log import Event, EventLog, Lagged, encode


def step(version: int) -> Event:
    return made(version, "step", progress=version, step={"step": "a"})


def made(version: int, type_: str, **data: Any) -> Event:
    return encode(version, type_, json.dumps({"version": version, **data}).encode())


def started(version: int = 0, size: int = 10, max_bytes: int = 10**6) -> EventLog:
    log = EventLog(size, max_bytes)
    log.start(version, ended=False)
    return log


def ids(chunk: bytes) -> list[int]:
    return [int(line[4:]) for line in chunk.splitlines() if line.startswith(b"id: ")]


def read_all(log: EventLog, version: int) -> list[int]:
    found: list[int] = []
    while version < log.version:
        chunk, version = log.after(version)
        found += ids(chunk)
    return found


def test_event_is_one_line_of_json_between_blank_lines() -> None:
    event = encode(7, "step", b'{"a":\n[1,\r\n 2]}')
    assert event.frame.startswith(b"id: 7\nevent: step\ndata: ")
    assert event.frame.endswith(b"\n\n")
    assert len(event.frame.splitlines()) == 4
    assert event.data == {"a": [1, 2]}


def test_reader_gets_what_follows_its_version_and_nothing_else() -> None:
    log = started()
    for version in range(1, 6):
        log.append(step(version))
    assert read_all(log, 2) == [3, 4, 5]
    assert read_all(log, 5) == read_all(log, 9) == []


def test_small_events_come_together() -> None:
    log = started()
    for version in range(1, 4):
        log.append(step(version))
    chunk, version = log.after(0)
    assert (ids(chunk), version) == ([1, 2, 3], 3)


def test_log_that_has_not_started_has_nothing_to_resume_from() -> None:
    log = EventLog(10, 10**6)
    assert (log.version, log.started, log.ended) == (0, False, False)
    assert not log.can_resume_from(0)


def test_log_keeps_as_many_bytes_as_it_may() -> None:
    log = started(max_bytes=2 * len(step(1).frame))
    for version in range(1, 10):
        log.append(step(version))
    assert log.can_resume_from(7) and not log.can_resume_from(6)
    log.start(0, ended=False)
    for version in (1, 2):
        log.append(step(version))
    assert log.can_resume_from(0)


def test_overtaken_end_tells_the_status_that_it_had() -> None:
    log = started()
    log.append(step(1))
    log.append(made(2, "end", status="failed"))
    log.append(step(3))
    chunk, _ = log.after(1)
    line = chunk.split(b"\n\n")[0].partition(b"data: ")[2]
    project = {"status": "failed", "version": 2}
    assert json.loads(line) == {"version": 2, "progress": 1, "project": project}


@pytest.mark.parametrize("spare", [0, -1])
def test_overtaken_end_takes_as_many_bytes_as_what_it_becomes(spare: int) -> None:
    told = [step(1), made(2, "end", status="failed"), *(step(version) for version in (3, 4))]
    free = started()
    for event in told:
        free.append(event)
    size = len(free.after(0)[0])
    log = started(max_bytes=size + spare)
    for event in told:
        log.append(event)
    assert log.can_resume_from(0) is (spare == 0)


def test_newest_event_is_shared_and_not_copied() -> None:
    log = started()
    event = step(1)
    log.append(event)
    assert log.after(0)[0] is event.frame


def test_version_that_does_not_follow_is_refused() -> None:
    log = started(3)
    with pytest.raises(ValueError, match="5 does not follow 3"):
        log.append(step(5))


def test_reader_behind_what_is_kept_has_lagged() -> None:
    log = started(size=3)
    for version in range(1, 6):
        log.append(step(version))
    assert read_all(log, 2) == [3, 4, 5]
    assert not log.can_resume_from(1)
    with pytest.raises(Lagged):
        log.after(1)


def test_log_is_bounded_in_bytes_too_but_keeps_the_newest() -> None:
    log = started(max_bytes=2000)
    log.append(step(1))
    log.append(made(2, "step", error="x" * 5000))
    assert not log.can_resume_from(0)
    assert read_all(log, 1) == [2]


def test_long_replay_comes_in_chunks() -> None:
    log = started(size=100)
    for version in range(1, 21):
        log.append(made(version, "step", error="x" * 20_000))
    assert len(log.after(0)[0]) < 100_000
    assert read_all(log, 0) == list(range(1, 21))


def test_snapshot_stands_for_all_versions_up_to_its_own() -> None:
    log = started()
    log.append(step(1))
    log.append(made(9, "snapshot"))
    log.append(step(10))
    assert read_all(log, 0) == [9, 10]
    assert read_all(log, 9) == [10]


def test_end_is_the_end_until_it_is_overtaken() -> None:
    log = started()
    log.append(made(1, "project", progress=40, project={"status": "failed", "name": "a"}))
    log.append(made(2, "end", status="failed"))
    assert log.ended
    log.append(step(3))
    assert not log.ended
    chunk, _ = log.after(1)
    assert b"event: end" not in chunk
    first = chunk.split(b"\n\n")[0]
    assert first.startswith(b"id: 2\nevent: project\n")
    data = json.loads(first.partition(b"data: ")[2])
    assert data["version"] == 2
    assert data["progress"] == 40
    assert data["project"]["status"] == "failed"
    assert data["project"]["version"] == 2
    assert data["project"]["name"] == "a"


def test_overtaken_end_with_nothing_before_it_asks_for_a_snapshot() -> None:
    log = started(1)
    log.append(made(2, "end", status="failed"))
    log.append(step(3))
    assert not log.can_resume_from(1)
    assert read_all(log, 2) == [3]


def test_earlier_events_are_prepended() -> None:
    log = started(5)
    log.append(step(6))
    log.prepend([step(version) for version in range(2, 6)])
    assert read_all(log, 1) == [2, 3, 4, 5, 6]


def test_earlier_events_may_overlap_what_is_kept() -> None:
    log = started(5)
    for version in (6, 7):
        log.append(step(version))
    log.prepend([step(version) for version in range(2, 7)])
    assert read_all(log, 1) == [2, 3, 4, 5, 6, 7]


def test_earlier_events_that_do_not_reach_the_log_are_left_out() -> None:
    log = started(5)
    log.prepend([step(1), step(2)])
    log.prepend([])
    assert log.version == 5
    assert not log.can_resume_from(4)


def test_gap_in_earlier_events_is_not_bridged() -> None:
    log = started(5)
    log.prepend([step(1), step(2), step(4), step(5)])
    assert read_all(log, 3) == [4, 5]
    assert not log.can_resume_from(2)
    log.prepend([step(1), step(2)])
    assert read_all(log, 3) == [4, 5]


def test_end_before_the_start_of_the_log_is_kept() -> None:
    log = EventLog(10, 10**6)
    log.start(3, ended=True)
    log.prepend([step(1), step(2), step(3)])
    assert log.ended
    assert read_all(log, 0) == [1, 2, 3]


@given(
    first=st.integers(0, 30),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=20),
    reader=st.integers(0, 60),
)
def test_reader_gets_each_version_once_and_in_order_or_has_lagged(
    first: int, lengths: list[int], reader: int
) -> None:
    log = started(first, size=8)
    for version in range(first + 1, first + 1 + len(lengths)):
        log.append(made(version, "step", error="x" * lengths[version - first - 1]))
    if log.can_resume_from(reader):
        assert read_all(log, reader) == list(range(reader + 1, log.version + 1))
    else:
        with pytest.raises(Lagged):
            log.after(reader)
