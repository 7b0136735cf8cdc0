"""Output of steps is taken out of the process' own only while a step captures it."""

from __future__ import annotations

import io
import sys

import pytest

from stepway_tracking.logs.attempt_log import AttemptKey, AttemptLog
from stepway_tracking.logs.capture import capturing
from stepway_tracking.logs.printing import captured_output

KEY = AttemptKey("11111111-1111-4111-8111-111111111111", "step", "run", "1", 1)


def replaced(monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    """The process' standard output and error; not a fixture, as pytest sets its own after those."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", output)
    return output


def test_output_is_the_process_own_after_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    process = replaced(monkeypatch)
    log = AttemptLog(KEY)
    with capturing(log):
        with captured_output():
            with captured_output():
                print("inner")
            assert sys.stdout is not process
            print("outer")
        assert sys.stdout is process and sys.stderr is process
        print("outside")
    batch = log.take(1_000)
    assert batch is not None
    assert [line.text for line in batch.lines] == ["inner", "outer"]
    process.flush()
    assert process.buffer.getvalue() == b"outside\n"  # type: ignore[attr-defined]


def test_what_another_library_has_put_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    process = replaced(monkeypatch)
    other = io.StringIO()
    with captured_output():
        sys.stdout = other
    assert sys.stdout is other
    assert sys.stderr is process


def test_output_has_the_attributes_of_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    process = replaced(monkeypatch)
    with captured_output():
        assert sys.stdout.buffer is process.buffer
        assert sys.stdout.line_buffering is False
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        assert process.line_buffering is True
        with pytest.raises(AttributeError):
            _ = sys.stdout.surplus  # type: ignore[attr-defined]
