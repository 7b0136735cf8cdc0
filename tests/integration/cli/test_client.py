"""The client commands against `stepway up`, in a terminal and in scripts."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

STEPWAY = str(Path(sys.executable).with_name("stepway"))
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 90

ROUGH = """
name: rough
title: Rough road
parameters:
  type: object
  properties:
    flag: {type: string}
    seconds: {type: string, default: "0"}
steps:
  - step: prepare
    display_name: Prepare the ground
    uses: run_command
    with: {command: ["true"]}
  - step: passage
    display_name: Passage
    uses: run_command
    with: {command: [ls, "${{ parameters.flag }}"]}
    retry: {maximum_attempts: 1}
  - step: rest
    display_name: Rest a while
    uses: run_command
    with: {command: [sh, -c, 'echo lying down; sleep "$0"', "${{ parameters.seconds }}"]}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which commands reach a running Stepway."""
    blueprints = tmp_path_factory.mktemp("blueprints")
    (blueprints / "rough.yaml").write_text(ROUGH)
    own = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
    data = str(tmp_path_factory.mktemp("data"))
    command = [STEPWAY, "up", "--port", "0", "--data-dir", data]
    up = subprocess.Popen(
        command,
        env={**own, "STEPWAY_BLUEPRINTS": str(blueprints)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert up.stdout is not None
    try:
        ready = re.fullmatch(r"ready (http://\S+)\n", up.stdout.readline())
        assert ready, "stepway up did not get ready"
        yield {**own, "STEPWAY_API_URL": ready[1], "NO_COLOR": "1"}
    finally:
        up.terminate()
        try:
            assert up.wait(PATIENCE) == 0
        finally:
            up.kill()


def stepway(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STEPWAY, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


def listed(environment: dict[str, str], *arguments: str) -> Any:
    result = stepway(environment, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Terminal:
    """A command in a terminal of 80 columns."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self._screen = screen
        self._raw = ""

    @property
    def shown(self) -> str:
        """The output so far, without terminal control."""
        return STEERING.sub("", self._raw)

    @property
    def left_standing(self) -> str:
        """The output after the last erased line."""
        return STEERING.sub("", self._raw.rpartition("\x1b[2K")[2])

    def wait_for(self, text: str) -> None:
        """Read until the output contains the text. Fails if the command ends without it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.shown}"
            assert self._read(), f"ended without {text!r}:\n{self.shown}"

    def end(self) -> int:
        """Read to the end; return the exit status."""
        while self._read():
            continue
        return self.process.wait(PATIENCE)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def _read(self) -> bool:
        part = b""
        # Linux returns EIO once the other side of a terminal is closed.
        with suppress(OSError):
            part = os.read(self._screen, 65536)
        self._raw += part.decode(errors="replace")
        return bool(part)


@contextmanager
def terminal(
    environment: dict[str, str], *arguments: str, program: str = STEPWAY
) -> Iterator[Terminal]:
    mine, theirs = pty.openpty()
    size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen(
        [program, *arguments],
        env={**environment, **size},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, mine)
    finally:
        process.kill()
        process.wait()
        os.close(mine)


def test_created_project_is_watched_to_its_end_and_then_listed(environment: dict[str, str]) -> None:
    result = stepway(environment, "create", "shop", "--watch")
    assert result.returncode == 0, result.stdout + result.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.stdout)
    assert re.search(r"^\d\d:\d\d:\d\d  push_template +completed", result.stdout, re.MULTILINE)
    assert "shop is active after" in result.stdout

    steps = listed(environment, "steps", "shop")
    assert {step["status"] for step in steps} <= {"completed", "skipped"}
    (project,) = [
        p for p in listed(environment, "list", "--status", "active") if p["name"] == "shop"
    ]
    events = listed(environment, "history", project["id"])
    versions = [event["version"] for event in events]
    assert versions == sorted(versions)
    assert events[-1]["action"] == "ended"
    assert stepway(environment, "watch", project["id"]).returncode == 0


def test_refused_start_is_one_line_and_exit_status_1(environment: dict[str, str]) -> None:
    for arguments in (("create", "Bad_Name"), ("create", "fine", "--blueprint", "no-such")):
        result = stepway(environment, *arguments)
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("error: ")


def test_failed_step_is_mended_retried_and_kept_in_the_attempts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    start = ("create", "mended", "--blueprint", "rough", "--param", f"flag={flag}", "--watch")
    failed = stepway(environment, *start)
    assert failed.returncode == 1, failed.stderr
    assert "mended failed" in failed.stdout
    assert re.search(r"Then run: \S*stepway retry mended passage\n", failed.stdout)
    assert "To change a parameter, add: --param flag=FLAG" in failed.stdout
    # The error leads with what `ls` said; command and output follow.
    assert re.search(r"^  .*No such file or directory \(exit status \d\)$", failed.stdout, re.M)
    assert f"  $ ls {flag}" in failed.stdout.splitlines()
    flag.touch()
    retried = stepway(environment, "retry", "mended", "passage")
    assert retried.returncode == 0, retried.stderr
    assert "Will run: passage, rest" in retried.stdout
    assert stepway(environment, "watch", "mended", "--follow").returncode == 0
    logs = stepway(environment, "logs", "mended", "passage", "--round", "1", "--follow", "--json")
    lines = [json.loads(line) for line in logs.stdout.splitlines()]
    assert [line.get("stream") for line in lines] == ["stderr", None], logs.stderr
    end = {"seq": 1, "outcome": "failed", "complete": True, "superseded": True}
    assert lines[-1]["end"] == end
    whole = stepway(environment, "logs", "mended")
    assert "passage | " + str(flag) in whole.stdout, whole.stderr
    attempts = listed(environment, "attempts", "mended", "passage")
    assert [attempt["outcome"] for attempt in attempts] == ["failed", "completed"]
    assert [attempt["round"] for attempt in attempts] == [1, 2]
    unstarted = stepway(environment, "logs", "mended", "nowhere")
    assert unstarted.returncode == 1
    assert "Unknown step 'nowhere'; available steps: prepare, passage, rest" in unstarted.stderr
    quiet = stepway(environment, "logs", "mended", "prepare")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "no lines\n")
    again = stepway(environment, "retry", "mended", "passage")
    assert again.returncode == 1
    assert "the project is active" in again.stderr


def test_interrupted_watch_leaves_the_initialization_running_until_it_is_cancelled(
    environment: dict[str, str],
) -> None:
    parameters = ("--param", "flag=/", "--param", "seconds=60")
    with terminal(environment, "create", "long", "--blueprint", "rough", *parameters, "-w") as tty:
        tty.wait_for("● Rest a while")
        tty.wait_for("│ lying down")
        tty.process.send_signal(signal.SIGINT)
        assert tty.end() == 130
        assert "the initialization continues" in tty.shown
    (step,) = [step for step in listed(environment, "steps", "long") if step["step"] == "rest"]
    assert step["status"] == "running"
    for more in ((), ("--undo",)):
        alone = stepway(environment, "cancel", "long", *more)
        assert alone.returncode == 2
        assert "add --yes" in alone.stderr
    # Also where the output goes into a pipe, a person is asked first.
    piped = f"{STEPWAY} cancel long --undo | cat"
    with terminal(environment, "-c", piped, program="/bin/sh") as tty:
        tty.wait_for("[y/N]")
        tty.wait_for("Will roll back: none")
        tty.wait_for("prepare, passage")
        tty.type("n\n")
        tty.end()
    assert listed(environment, "list", "--status", "cancelled") == []
    with terminal(environment, "cancel", "long") as tty:
        tty.wait_for("[y/N]")
        tty.type("y\n")
        assert tty.end() == 0
        assert re.search(r"Will stop: +rest", tty.shown)
    assert stepway(environment, "watch", "long").returncode == 2


def test_watch_in_a_terminal_ends_with_a_summary_of_80_columns(
    environment: dict[str, str],
) -> None:
    with terminal(environment, "create", "seen", "--watch") as tty:
        assert tty.end() == 0, tty.shown
    lines = tty.left_standing.splitlines()
    assert any(re.search(r"✓ Push template +completed +[\d.]+ m?s +1", line) for line in lines)
    assert any(line.startswith("seen is active after") for line in lines)
