"""Lines of logs: assembled from chunks, bounded, and redacted."""

from __future__ import annotations

import json
import threading
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepway.api.log_formats import COLOUR, encoded
from stepway_tracking.logs.assembler import CUT, HALF, LineAssembler, printable
from stepway_tracking.logs.attempt_log import LINE_OVERHEAD, MOST_WAITING, AttemptKey, AttemptLog
from stepway_tracking.logs.line import LONGEST_LINE, LogLine
from stepway_tracking.logs.redacting import LineRedactor, secrets_of

KEY = AttemptKey("11111111-1111-4111-8111-111111111111", "step", "run", "1", 1)


def assembled(*chunks: bytes) -> list[str]:
    assembler = LineAssembler()
    lines = [line for chunk in chunks for line in assembler.feed(chunk)]
    return [*lines, *assembler.close()]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo", ["one", "two"]),
        (b"\n\n", ["", ""]),
        (b" 10%\r 50%\r100%\ndone\n", ["100%", "done"]),
        (b"caf\xc3\xa9 \xff\xfe\n", ["café \ufffd\ufffd"]),
        (
            b"\x1b[31mred\x1b[0m \x1b[2Kgone \x1b]0;title\x07\x00\n",
            ["\x1b[31mred\x1b[0m gone \ufffd"],
        ),
        (b"a\tb\n", ["a\tb"]),
    ],
)
def test_output_becomes_lines(written: bytes, lines: list[str]) -> None:
    assert assembled(written) == lines
    assert assembled(*(bytes([byte]) for byte in written)) == lines


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_lines_do_not_depend_on_where_chunks_end(chunks: list[bytes]) -> None:
    assert assembled(*chunks) == assembled(b"".join(chunks))


def test_a_line_of_ten_megabytes_keeps_its_ends_in_bounded_memory() -> None:
    assembler = LineAssembler()
    tracemalloc.start()
    try:
        for _ in range(160):
            assert not list(assembler.feed(b"x" * 65_536))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    (line,) = assembler.feed(b"end\n")
    head, left_out, tail = line.split(CUT)
    assert (len(head), len(tail)) == (HALF, HALF)
    assert tail.endswith("xend")
    assert left_out == f"… {160 * 65_536 + 3 - LONGEST_LINE} characters left out …"


def test_a_part_without_an_end_is_shown_and_continued() -> None:
    assembler = LineAssembler()
    assert list(assembler.feed(b"Password")) == []
    assert assembler.waits
    assert list(assembler.flush()) == ["Password" + CUT]
    assert not assembler.waits
    assert list(assembler.feed(b": \n")) == [": "]


def test_a_full_log_keeps_its_oldest_and_newest_lines_and_counts_the_others() -> None:
    log = AttemptLog(KEY)
    text = "x" * 1000
    for _ in range(10_000):
        log.log("info", text)
    oldest, newest = log.take(10**9), log.take(10**9)
    assert oldest is not None and newest is not None
    assert [line.seq for line in oldest.lines] == list(range(1, len(oldest.lines) + 1))
    assert [line.seq for line in newest.lines] == list(range(newest.first_seq, 10_001))
    assert (oldest.offset, newest.offset) == (0, 1000 * (newest.first_seq - 1))
    kept = len(oldest.lines) + len(newest.lines)
    assert log.dropped == 10_000 - kept
    assert abs(kept - MOST_WAITING // (1000 + LINE_OVERHEAD)) <= 1
    assert log.take(10**9) is None
    log.log("info", text)
    assert (last := log.take(10**9)) is not None
    assert (last.first_seq, last.offset) == (10_001, 10_000_000)


def test_many_threads_write_to_one_log() -> None:
    log = AttemptLog(KEY)

    def write() -> None:
        for _ in range(500):
            log.log("info", "line")
            log.output("stdout", b"one\ntwo")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    log.log("info", "too late")
    batch = log.take(10**9)
    assert batch is not None
    assert [line.seq for line in batch.lines] == list(range(1, 4 * 500 * 2 + 2))


def redact(value: object) -> object:
    """Takes the secret away as a whole, over the border of lines, and cut off at an end."""
    text = str(value).replace("secret\nword", "[redacted]")
    for length in range(10, 4, -1):
        part = "secretword"[:length]
        if text.endswith(part):
            text = text[: -len(part)] + "[redacted]"
        if text.startswith(end := "secretword"[-length:]):
            text = "[redacted]" + text[len(end) :]
    return text.replace("secretword", "[redacted]")


def texts(log: AttemptLog) -> list[str]:
    batch = log.take(10**9)
    assert batch is not None
    return [line.text for line in LineRedactor(secrets_of(redact)).redacted(batch.lines)]


def test_a_secret_over_two_chunks_is_redacted() -> None:
    log = AttemptLog(KEY)
    log.output("stdout", b"token secr")
    log.output("stdout", b"etword used\nnext\n")
    assert texts(log) == ["token [redacted] used", "next"]


def test_the_state_of_a_progress_bar_is_shown_only_if_asked_for() -> None:
    log = AttemptLog(KEY)
    log.output("stdout", b"10%\r20%")
    log.flush_partial(bars=False)
    assert log.is_empty
    log.flush_partial(bars=True)
    assert texts(log) == ["20%"]
    log.output("stdout", b"\r30%\r40%\ndone")
    log.flush_partial(bars=False)
    assert texts(log) == ["40%", "done"]


def test_a_secret_in_a_progress_bar_and_in_a_shown_part_of_a_line_is_redacted() -> None:
    log = AttemptLog(KEY)
    log.output("stdout", b"10% secretword\r20% secret")
    log.flush_partial(bars=True)
    log.output("stdout", b"word\n")
    assert texts(log) == ["20% [redacted]", "word"]


def test_a_secret_at_the_cut_of_a_long_line_is_redacted() -> None:
    log = AttemptLog(KEY)
    line = "x" * (HALF - 6) + "secretword" + "y" * LONGEST_LINE
    log.log("info", line)
    (text,) = texts(log)
    assert "secret" not in text
    assert "characters left out" in text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a\x1bcb", "ab"),
        ("a\x1b(0b\x1b(B", "ab"),
        ("a\x1b[>4;2mb", "ab"),
        ("a\x1b[2J\x1b[31mb", "a\x1b[31mb"),
        ("a\x1b[\x1b[2K2Jb", "a2Jb"),
        ("a\x1b\x1b[2K[2Jb", "a\ufffd[2Jb"),
        ("a\x9b2Jb\x85", "ab\ufffd"),
        ("a\u202eb\u2066c\u2069", "abc"),
        ("a\x1bP1$r\x1b\\b", "ab"),
        ("a\x1b", "a\ufffd"),
    ],
)
def test_no_escape_but_a_colour_is_left(written: str, text: str) -> None:
    assert printable(written) == text
    assert assembled(written.encode()) == [text]
    line = LogLine(1, datetime.now(UTC), "info", "stdout", written)
    assert json.loads(encoded("application/x-ndjson", "log", 1, line))["text"] == text
    assert encoded("text/plain", "log", 1, line) == COLOUR.sub("", text) + "\n"


@given(st.text(st.sampled_from("\x1b[[]>(02;mJKcP\\\x07\x9b\u202ex")))
def test_what_is_printable_stays_so(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert "\x1b" not in COLOUR.sub("", shown)


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not {each for each in shown if ord(each) < 32} - {"\t", "\n", "\x1b"}
