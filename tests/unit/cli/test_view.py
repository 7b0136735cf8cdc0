from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from stepway.cli.client.fold import Initialization, fold, from_snapshot
from stepway.cli.view.live import picture, tailed
from stepway.cli.view.log import changes
from stepway.cli.view.screen import LogView, ScreenView
from stepway.cli.view.summary import rollback_text, step_table, suggested_changes, summary
from stepway.cli.view.text import clean, clock, duration, excerpt, headline
from stepway.cli.view.words import remark, taken

START = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW = START + timedelta(seconds=30)


def _at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def _step(name: str, status: str, sequence: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "step": name,
        "display_name": name.replace("_", " ").capitalize(),
        "sequence": sequence,
        "status": status,
        "progress": 0,
        "started_at": None if status == "pending" else _at(sequence),
        "completed_at": None,
        "duration": None,
        "error": None,
        "metadata": {},
        "parent_step": None,
        "message": None,
        "attempt": 1,
        "undone_at": None,
        "updated_at": _at(sequence),
        **changed,
    }


def _state(*steps: dict[str, Any], **project: Any) -> Initialization:
    row = {
        "id": "5d1c",
        "name": "shop",
        "blueprint": "web-service",
        "status": "initializing",
        "initialization_started_at": _at(0),
        "initialization_completed_at": None,
        "updated_at": _at(0),
        **project,
    }
    return from_snapshot({"project": row, "steps": list(steps), "progress": 42, "version": 7})


def _drawn(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _line(drawn: str, text: str) -> str:
    return next(line for line in drawn.splitlines() if text in line)


BUSY = _state(
    _step("credentials", "completed", 1, duration=120),
    _step("repository", "completed", 2, duration=2340, attempt=3),
    _step("template", "running", 3, progress=45, message="rendering " + "src/ " * 40),
    _step("template.render", "running", 4, progress=60, parent_step="template"),
    _step("environments", "running", 4, progress=20),
    _step("records", "failed", 5, error="no space left", metadata={"remedy": "Free some space"}),
    _step("gitops", "skipped", 6, started_at=None, metadata={"reason": "no cluster"}),
    _step("finalize", "pending", 7),
)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_the_picture_is_wider_than_the_terminal(width: int) -> None:
    drawn = _drawn(picture(BUSY, NOW, width, 40), width)
    assert max(cell_len(line) for line in drawn.splitlines()) <= width
    assert len(drawn.splitlines()) == 3 + len(BUSY.steps) + 2


def test_picture_shows_each_step_with_what_people_need_of_it() -> None:
    drawn = _drawn(picture(BUSY, NOW, 80, 40))
    assert re.search(r"shop  web-service +initializing  30 s", drawn)
    assert "42%" in drawn
    assert re.search(r"✓ Repository +attempt 3 +2\.3 s", drawn)
    assert re.search(r"● Template +━+ +45% rendering src/.*… +27 s", drawn)
    assert re.search(r"● Environments +━+ +20% +26 s", drawn)
    assert re.search(r"^  ● Template\.render", drawn, re.MULTILINE)
    assert drawn.index("no space left") < drawn.index("→ Free some space")
    assert re.search(r"– Gitops +no cluster", drawn)
    assert "○ Finalize" in drawn


def test_low_terminal_keeps_what_runs_and_what_failed_in_sight() -> None:
    steps = [_step(f"done_{i}", "completed", i) for i in range(40)]
    steps += [_step("building", "running", 41), _step("broken", "failed", 42, error="no")]
    steps += [_step(f"later_{i}", "pending", 50 + i) for i in range(40)]
    drawn = _drawn(picture(_state(*steps), NOW, 80, 24))
    assert len(drawn.splitlines()) <= 24
    assert "● Building" in drawn
    assert "✗ Broken" in drawn
    assert "more completed" in drawn
    assert "more pending" in drawn


LOG = {
    "template": ("\x1b[32mrender\x1b[0m a.txt", "render b.txt", "render c.txt"),
    "environments": ("create staging", " ", "create " + "production " * 20),
}


def _tail(step: Mapping[str, Any]) -> tuple[str, ...]:
    return LOG.get(step["step"], ())


def test_picture_shows_the_last_lines_of_running_steps_below_them() -> None:
    drawn = _drawn(picture(BUSY, NOW, 80, 40, tail=_tail))
    lines = [line.rstrip() for line in drawn.splitlines()]
    template = lines.index(_line(drawn, "● Template "))
    assert lines[template + 1 : template + 4] == [
        "  │ render a.txt",
        "  │ render b.txt",
        "  │ render c.txt",
    ]
    environments = lines.index(_line(drawn, "● Environments"))
    assert lines[environments + 1] == "  │ create staging"
    assert re.fullmatch(r"  │ create (production )+.*…", lines[environments + 2])
    assert max(cell_len(line) for line in lines) <= 80
    assert tailed(BUSY, NOW, 80, 40) == [BUSY.steps["template"], BUSY.steps["environments"]]


@pytest.mark.parametrize(("width", "height"), [(59, 40), (80, 16), (80, 10)])
def test_without_room_the_picture_has_no_last_lines(width: int, height: int) -> None:
    plain = _drawn(picture(BUSY, NOW, width, height), width)
    assert _drawn(picture(BUSY, NOW, width, height, tail=_tail), width) == plain
    assert tailed(BUSY, NOW, width, height) == []


@pytest.mark.parametrize("height", [17, 18, 19, 20, 21, 22])
def test_last_lines_take_the_lines_that_are_free_and_no_more(height: int) -> None:
    plain = _drawn(picture(BUSY, NOW, 80, height)).splitlines()
    drawn = _drawn(picture(BUSY, NOW, 80, height, tail=_tail)).splitlines()
    free = height - 16
    assert len(drawn) == len(plain) + min(free, 5)
    shown = [line for line in drawn if "│" in line]
    assert ("create" in "".join(shown)) is (free > 1)
    assert [line for line in drawn if line not in shown] == plain


def test_lost_connection_is_said_below_the_picture() -> None:
    assert "reconnecting" in _drawn(picture(BUSY, NOW, 80, 40, connected=False))
    assert "reconnecting" not in _drawn(picture(BUSY, NOW, 80, 40))


def test_initialization_that_waits_for_a_person_says_how_to_go_on() -> None:
    assert "stepway retry shop" in _drawn(picture(_state(status="failed"), NOW, 80, 40))


def test_markup_in_a_name_is_shown_as_text() -> None:
    state = _state(_step("x", "failed", display_name="[red]<img onerror=1>[/red]", error="[bold]"))
    drawn = _drawn(picture(state, NOW, 80, 40))
    assert "[red]<img onerror=1>[/red]" in drawn
    assert "[bold]" in drawn


@pytest.mark.parametrize(
    ("dirty", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("bell\x07 null\x00 csi\x9b2J", "bell null csi2J"),
        ("right\u202eleft", "rightleft"),
        ("50%\r100%\r\ndone", "50%\n100%\ndone"),
        ("推送模板", "推送模板"),
    ],
)
def test_text_that_would_steer_the_terminal_is_cleaned(dirty: str, shown: str) -> None:
    assert clean(dirty) == shown


def test_huge_error_is_cut_to_its_beginning_and_end() -> None:
    error = "\n".join(f"line {i} " + "x" * 2000 for i in range(2000))
    lines = excerpt(error, 5)
    assert len(lines) == 5
    assert lines[0].startswith("line 0 ")
    assert lines[1] == "… 1996 more lines …"
    assert lines[-1].startswith("line 1999 ")
    assert max(map(len, lines)) < 500


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("no space", "no space"),
        ("\n no space\nleft on device", "no space"),
        ("x" * 200, "x" * 49 + "…" + "x" * 50),
    ],
)
def test_table_shows_the_first_line_of_an_error(text: str, shown: str) -> None:
    assert headline(text) == shown


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0 ms"),
        (45, "45 ms"),
        (340, "340 ms"),
        (4230, "4.2 s"),
        (6000, "6 s"),
        (12_340, "12 s"),
        (59_400, "59 s"),
        (59_960, "1 min"),
        (185_000, "3 min 5 s"),
        (7_380_000, "2 h 3 min"),
        (180_000_000, "2 d 2 h"),
    ],
)
def test_duration_is_said_as_people_say_it(milliseconds: float, said: str) -> None:
    assert duration(milliseconds) == said


def test_clock_behind_the_servers_shows_no_negative_time() -> None:
    assert taken(_step("x", "running", 60), NOW) == "0 s"


def _waiting_undo(until: float) -> dict[str, Any]:
    at = {"next_attempt_at": _at(until), "asked_to_wait": True}
    return {"status": "running", "error": "used up", **at}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metadata": {"next_attempt_at": _at(34.5)}}, "attempt 2 in 4 s"),
        ({"metadata": {"next_attempt_at": _at(29)}}, "attempt 2 is starting"),
        (
            {"metadata": {"next_attempt_at": _at(3630), "asked_to_wait": True}},
            f"waits until {clock(_at(3630))} (1 h left)",
        ),
        (
            {"metadata": {"next_attempt_at": _at(29), "asked_to_wait": True}},
            "attempt 2 is starting",
        ),
        ({"attempt": 2, "message": "cloning"}, "attempt 2, cloning"),
        ({"metadata": {"slow": True}, "message": "cloning"}, "slower than usual, cloning"),
        ({"metadata": {"paused": True}, "attempt": 4}, "paused"),
        ({"status": "completed", "undone_at": _at(20)}, "rolled back"),
        ({"status": "completed", "metadata": {"undo": {"status": "running"}}}, "rolling back"),
        (
            {"status": "completed", "metadata": {"undo": _waiting_undo(3630)}},
            f"rolling back, waits until {clock(_at(3630))} (1 h left)",
        ),
        (
            {"status": "completed", "metadata": {"undo": _waiting_undo(29)}},
            "rolling back, next attempt is starting",
        ),
        (
            {"metadata": {"waiting_for_worker": {"since": _at(-90)}}},
            "waits for a worker: none has asked for work for 2 min",
        ),
        (
            {
                "status": "pending",
                "metadata": {"waiting_for_worker": {"queue": "east", "since": _at(-90)}},
            },
            "waits for a worker of the queue east: none has asked for work for 2 min",
        ),
        ({"metadata": None}, ""),
    ],
)
def test_remark_says_what_the_step_is_at(changed: dict[str, Any], said: str) -> None:
    assert remark({**_step("x", "running"), **changed}, NOW) == said


def test_undo_that_failed_says_what_was_left_behind() -> None:
    undo = {"status": "failed", "error": "somebody pushed to it"}
    state = _state(_step("repository", "completed", metadata={"undo": undo}))
    assert "rollback failed: somebody pushed to it" in _drawn(picture(state, NOW, 80, 40))
    failed = _step("gitops", "failed", error="no such place", metadata={"undo": undo})
    state = _state(failed, status="cancelled")
    for view in (picture(state, NOW, 80, 40), summary(state, NOW)):
        assert "no such place" in _drawn(view)
        assert "rollback failed: somebody pushed to it" in _drawn(view)


def test_summary_of_a_success_lists_times_attempts_and_addresses() -> None:
    steps = [
        _step(
            "repository", "completed", 1, duration=2340, attempt=3, metadata={"url": "/srv/x.git"}
        ),
        _step("template", "completed", 2, metadata={"repository_url": "/srv/x.git"}),
        _step("files", "completed", 4, metadata={"pull_request": {"number": 3, "url": "/pull/3"}}),
        _step("more", "completed", 5, metadata={"pull_request": None}),
        _step("gitops", "skipped", 3, started_at=None),
    ]
    done = {"status": "active", "initialization_completed_at": _at(12)}
    drawn = _drawn(summary(_state(*steps, **done), NOW))
    assert re.search(r"Repository +completed +2\.3 s +3", drawn)
    assert "shop is active after 12 s" in drawn
    assert "Repository: /srv/x.git" in drawn
    assert "Files: /pull/3" in drawn
    assert drawn.count("/srv/x.git") == 1
    assert max(map(len, drawn.splitlines())) <= 80


def test_summary_of_a_failure_says_error_remedy_and_the_next_command() -> None:
    failed = _step("records", "failed", error="no space\nleft", metadata={"remedy": "Free some"})
    drawn = _drawn(summary(_state(failed, status="failed"), NOW))
    assert "shop failed after 30 s and needs your attention" in drawn
    assert "no space" in drawn
    assert "→ Free some" in drawn
    assert "stepway retry shop records" in drawn


def test_summary_says_why_a_step_was_skipped() -> None:
    skipped = _step("gitops", "skipped", metadata={"reason": "no cluster"})
    drawn = _drawn(summary(_state(skipped, status="active"), NOW))
    assert "Gitops was skipped: no cluster" in drawn


def test_summary_of_what_was_cancelled_asks_for_no_retry() -> None:
    failed = _step("records", "failed", error="cancelled by eve")
    drawn = _drawn(summary(_state(failed, status="cancelled"), NOW))
    assert "shop was cancelled" in drawn
    assert "cancelled by eve" in drawn
    assert "stepway retry" not in drawn


def test_failure_of_the_whole_is_said_where_no_step_failed() -> None:
    state = _state(status="failed", initialization_error="past its time limit")
    assert "past its time limit" in _drawn(summary(state, NOW))


def test_log_has_a_line_only_where_a_status_changed() -> None:
    before = _state(_step("a", "running", progress=1), _step("b", "pending", 2))
    assert list(changes(before, before, NOW)) == []
    progressed = fold(
        before, "step", {"version": 8, "progress": 50, "step": {"step": "a", "progress": 50}}
    )
    assert list(changes(before, progressed, NOW)) == []
    done = _step("a", "completed", duration=1500, completed_at=_at(5))
    after = fold(before, "step", {"version": 8, "progress": 60, "step": done})
    (line,) = changes(before, after, NOW)
    assert re.fullmatch(r"\d\d:\d\d:\d\d  a +completed  1\.5 s", line)


def test_log_begins_with_what_has_happened_so_far() -> None:
    lines = list(changes(None, BUSY, NOW))
    text = "\n".join(lines)
    assert re.search(r"repository +completed, attempt 3  2\.3 s", text)
    assert re.search(r"records +failed", text)
    assert "          no space left\n          -> Free some space" in text
    assert "skipped: no cluster" in text
    assert "finalize" not in text
    assert re.search(r"shop +initializing  42%$", lines[-1])


def test_log_tells_what_a_step_waits_for_and_until_when() -> None:
    before = _state(_step("a", "running"))
    metadata = {"next_attempt_at": _at(4000), "last_error": "used up", "asked_to_wait": True}
    waiting = _state(_step("a", "running", metadata=metadata))
    lines = list(changes(before, waiting, NOW))
    assert f"waits until {clock(_at(4000))}" in lines[0]
    assert "used up" in lines[1]


def test_log_tells_what_a_rollback_waits_for_and_until_when() -> None:
    before = _state(_step("a", "completed", metadata={"undo": {"status": "running"}}))
    waiting = _state(_step("a", "completed", metadata={"undo": _waiting_undo(4000)}))
    lines = list(changes(before, waiting, NOW))
    assert f"completed, rolling back, waits until {clock(_at(4000))}" in lines[0]
    assert "used up" in lines[1]


def test_log_tells_that_a_pending_step_waits_for_a_worker_and_that_it_started() -> None:
    before = _state(_step("a", "pending"))
    metadata = {"waiting_for_worker": {"queue": "east", "since": _at(0)}}
    waiting = _state(_step("a", "pending", metadata=metadata))
    (line,) = changes(before, waiting, NOW)
    assert line.endswith("waits for a worker of the queue east")
    (line,) = changes(waiting, _state(_step("a", "running")), NOW)
    assert line.endswith("running")


def test_table_tells_what_steps_wait_for() -> None:
    metadata = {"waiting_for_worker": {"queue": "east", "since": _at(0)}}
    console = Console(record=True, width=160)
    console.print(
        step_table([_step("a", "pending", metadata=metadata), _step("b", "running")], NOW)
    )
    assert "waits for a worker of the queue east" in console.export_text()


def test_a_stopped_step_is_cancelled_and_not_red() -> None:
    stopped = _step("a", "failed", error="Cancelled by ada.", metadata={"reason": "Cancelled"})
    for view in (picture(_state(stopped), NOW, 100, 30), summary(_state(stopped), NOW)):
        console = Console(record=True, width=100, force_terminal=True, color_system="standard")
        with console.capture() as captured:
            console.print(view)
        text = captured.get()
        assert "\x1b[31m" not in text and "■" in text
    (line,) = list(changes(None, _state(stopped), NOW))[:1]
    assert "cancelled" in line


def test_log_tells_of_an_attempt_that_failed_and_of_a_retry_by_hand() -> None:
    before = _state(_step("a", "running"))
    metadata = {"next_attempt_at": _at(40), "last_error": "connection refused"}
    waiting = _state(_step("a", "running", metadata=metadata))
    lines = list(changes(before, waiting, NOW))
    assert "attempt 1 failed, next attempt at" in lines[0]
    assert "connection refused" in lines[1]
    failed, again = _state(_step("a", "failed", error="x")), _state(_step("a", "pending"))
    (line,) = changes(failed, again, NOW)
    assert "will run again" in line


def test_log_has_no_character_that_steers_a_terminal() -> None:
    state = _state(_step("a", "failed", error="\x1b[31mred\x1b[0m\x07", display_name="\x1b[2J"))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(changes(None, state, NOW)))


def test_log_says_once_that_the_connection_is_lost_and_once_that_it_is_back() -> None:
    lines: list[str] = []
    with LogView(lines.append) as view:
        for connected in (True, False, False, False, True, True):
            view.connected(connected)
    assert lines == ["connection lost, reconnecting", "reconnected"]


def test_screen_leaves_nothing_of_its_picture_behind() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24)
    with ScreenView(console) as view:
        view.show(BUSY)
    assert "Repository" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")


@pytest.mark.parametrize(
    ("error", "parameters", "suggested"),
    [
        # The error has the value, or the name, of one of several parameters.
        ("no region us-moon", ["region", "size"], "--param region=REGION"),
        ("size is too large", ["region", "size"], "--param size=SIZE"),
        ("no luck", ["region"], "--param region=REGION"),
        ("no luck", ["region", "size"], ""),
        ("no region us-moon", [], ""),
        ("no us-moon-2", ["region", "size"], ""),
    ],
)
def test_suggested_retry_changes_the_parameter_that_failed(
    error: str, parameters: list[str], suggested: str
) -> None:
    failed = _step("push", "failed", error=error)
    project = {"name": "shop", "parameters": {"region": "us-moon", "size": 3}}
    assert suggested_changes(project, failed, parameters) == suggested


def test_summary_suggests_a_retry_and_apart_from_it_a_change() -> None:
    """The error may have another cause than the parameter: its line can be copied as it is."""
    failed = _step("push", "failed", error="The credential ci does not work")
    state = _state(failed, status="failed", parameters={"credential": "ci"})
    lines = _drawn(summary(state, NOW, changeable={"push": ["credential"]})).splitlines()
    (run,) = [line for line in lines if "Then run:" in line]
    assert run.strip().endswith("retry shop push")
    assert "  To change a parameter, add: --param credential=CREDENTIAL" in map(str.rstrip, lines)


def test_time_worked_and_time_waited_are_told_apart() -> None:
    waiting = {"waited": 5 * 60_000, "waiting_since": _at(20)}
    started = {"initialization_started_at": _at(-600)}
    state = _state(_step("push", "failed"), status="failed", **waiting, **started)
    drawn = " ".join(_drawn(summary(state, NOW)).split())
    assert "failed after 5 min 20 s and needs your attention (idle for 5 min 10 s)" in drawn
    assert "5 min 20 s idle for 5 min 10 s" in " ".join(_drawn(picture(state, NOW, 80, 40)).split())
    ended = {"initialization_completed_at": _at(10), "status": "active", "waited": 60_000}
    drawn = " ".join(_drawn(summary(_state(**ended, **started), NOW)).split())
    assert "active after 9 min 10 s (idle for 1 min)" in drawn


def test_summary_has_the_numbers_of_a_rollback_once() -> None:
    counts = {"steps": 5, "rolled_back": 1, "failed": 0, "without": 4}
    said = "1 of 5 steps rolled back, 4 have no rollback"
    state = _state(
        status="cancelled",
        initialization_completed_at=_at(10),
        initialization_error=f"{said}.",
        rollback=counts,
    )
    assert _drawn(summary(state, NOW)).count(said) == 1
    assert rollback_text({"steps": 1, "rolled_back": 0, "failed": 0, "without": 1}) == (
        "0 of 1 step rolled back, 1 has no rollback"
    )
    assert rollback_text({"steps": 3, "rolled_back": 2, "failed": 1, "without": 0}) == (
        "2 of 3 steps rolled back, 1 could not be"
    )


def test_command_and_output_are_below_the_error() -> None:
    details = {"command": "make image", "exit_status": 2, "output": "a\nb", "hint": "x"}
    failed = _step("push", "failed", error="No space.", metadata={"error_details": details})
    lines = [line.strip() for line in _drawn(summary(_state(failed), NOW)).splitlines()]
    at = lines.index("No space.")
    assert lines[at : at + 5] == ["No space.", "$ make image", "hint: x", "a", "b"]
    log = [line.strip() for line in changes(None, _state(failed), NOW)]
    assert log[1:5] == lines[at : at + 4]


def test_cut_line_keeps_its_beginning_and_its_end() -> None:
    cut = headline("pull failed: " + "x" * 500 + ": manifest unknown")
    assert cut.startswith("pull failed: xx") and cut.endswith("xx: manifest unknown")
    (line,) = excerpt("pull failed: " + "x" * 5000 + ": manifest unknown", 3)
    assert line.endswith(": manifest unknown")


def test_wait_of_a_step_has_a_column_if_there_was_one() -> None:
    mended = _step("push", "completed", duration=3000, waited=11 * 60_000)
    drawn = _drawn(summary(_state(mended, _step("rest", "pending", 2)), NOW))
    (row,) = [line.split() for line in drawn.splitlines() if "Push" in line]
    assert row[2:] == ["completed", "3", "s", "1", "11", "min"]
    assert "Idle" not in _drawn(summary(_state(_step("push", "running")), NOW))


def test_project_that_runs_again_no_longer_waits() -> None:
    """A worker of version 0.2 leaves the time."""
    state = _state(status="initializing", waited=0, waiting_since=_at(-60))
    assert "idle" not in _drawn(picture(state, NOW, 80, 40))


def test_time_of_a_quick_failure_has_milliseconds() -> None:
    waiting = {"waiting_since": (START + timedelta(milliseconds=101)).isoformat()}
    state = _state(_step("push", "failed"), status="failed", **waiting)
    assert "shop failed after 101 ms and needs" in " ".join(_drawn(summary(state, NOW)).split())


def test_sub_step_that_failed_leaves_the_error_to_its_step() -> None:
    part = _step("push.render", "failed", 2, parent_step="push")
    state = _state(_step("push", "failed", error="no such template"), part, status="failed")
    for shown in ("\n".join(changes(None, state, NOW)), _drawn(picture(state, NOW, 80, 40))):
        assert "no such template" in shown
        assert "without an error message" not in shown
    alone = _state(_step("push", "failed"), status="failed")
    assert "without an error message" in "\n".join(changes(None, alone, NOW))


CANCEL = {"cancel_requested_at": _at(20)}


@pytest.mark.parametrize("status", ["initializing", "failed"])
def test_cancel_under_way_is_shown_instead_of_the_status(status: str) -> None:
    state = _state(_step("push", "running"), status=status, **CANCEL)
    drawn = _drawn(picture(state, NOW, 80, 40))
    assert "cancelling" in drawn
    assert status not in drawn
    assert "needs your attention" not in drawn


@pytest.mark.parametrize(
    "project",
    [
        {"status": "active"},
        {"status": "cancelled"},
        {"status": "failed", "initialization_completed_at": _at(25)},
    ],
)
def test_time_of_a_cancel_that_has_ended_is_ignored(project: dict[str, Any]) -> None:
    """A worker of version 0.2 leaves the time."""
    drawn = _drawn(picture(_state(**CANCEL, **project), NOW, 80, 40))
    assert "cancelling" not in drawn
    assert project["status"] in drawn


def test_log_has_a_line_for_the_request_of_a_cancel() -> None:
    before, after = _state(), _state(**CANCEL)
    assert [line.split()[-2:] for line in changes(before, after, NOW)] == [["cancelling", "42%"]]
    assert list(changes(after, after, NOW)) == []
