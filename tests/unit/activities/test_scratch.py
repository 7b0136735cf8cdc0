"""Temporary folders of steps, and those that a killed process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stepway.activities.scratch import scratch

HELD = """
import sys, time
from stepway.activities.scratch import scratch
with scratch() as folder:
    (folder / "secret").write_text("x")
    print(folder, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def start(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that is within `scratch()`; return it and its folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HELD],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("\n")


def test_a_folder_is_gone_afterwards_and_only_ours(temporary: Path) -> None:
    with scratch() as folder:
        (folder / "file").write_text("x")
        assert folder.stat().st_mode & 0o077 == 0
        assert folder.is_relative_to(temporary)
    assert not folder.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(temporary: Path) -> None:
    process, left = start(temporary)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (left / "secret").exists()
    with scratch():
        assert not left.parent.exists()


def test_what_a_running_process_uses_stays(temporary: Path) -> None:
    process, used = start(temporary)
    try:
        with scratch():
            assert (used / "secret").exists()
    finally:
        end(process)


def test_a_process_that_ends_leaves_nothing(temporary: Path) -> None:
    process, _ = start(temporary)
    end(process)
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_folders_that_no_step_made_stay(temporary: Path, mode: int) -> None:
    """One that others may write to, and one without the file that a process locks."""
    folder = temporary / "stepway-mine"
    folder.mkdir()
    if mode == 0o755:
        (folder / ".lock").touch()
    folder.chmod(mode)
    with scratch():
        assert folder.exists()
