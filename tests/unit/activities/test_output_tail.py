"""The tail of an output, in bounded memory."""

from __future__ import annotations

from stepway.activities.command.process import OUTPUT_BYTES, OUTPUT_LINES, OutputTail


def fed(*chunks: bytes) -> OutputTail:
    tail = OutputTail()
    for chunk in chunks:
        tail.feed(chunk)
    return tail


def test_a_short_output_is_kept_whole():
    assert fed(b"one\ntw", b"o\n").text == "one\ntwo"


def test_of_many_lines_the_last_stay_and_the_cut_is_shown():
    lines = fed(b"".join(b"%d\n" % n for n in range(100))).text.splitlines()
    assert lines[0] == "…"
    assert lines[1:] == [str(n) for n in range(100 - OUTPUT_LINES, 100)]


def test_of_one_endless_line_the_end_stays():
    text = fed(*[b"x" * 1000] * 100, b"end").text
    assert text.startswith("…\nx")
    assert text.endswith("xend")
    assert len(text) <= OUTPUT_BYTES + 2


def test_a_character_cut_in_two_does_no_harm():
    text = fed("é".encode() * 10_000, b"\nlast").text
    assert text == "…\nlast"


def test_a_progress_bar_shows_its_newest_state():
    assert fed(b"10 %\r20 %\r30 %\r").last_line == "30 %"


def test_nothing_written_has_no_last_line():
    assert fed(b"\n\n").last_line == ""


def test_the_cause_is_the_last_line_of_standard_error():
    tail = OutputTail()
    tail.feed(b"step 1\n")
    tail.feed(b"warning\nno such image\n\n", error=True)
    tail.feed(b"bye\n")
    assert tail.cause == "no such image"
    assert tail.last_line == "bye"
    assert tail.text == "step 1\nwarning\nno such image\n\nbye"


def test_without_standard_error_the_cause_is_the_last_line():
    assert fed(b"one\ntwo\n").cause == "two"
    assert fed().cause == ""


def test_lines_of_the_two_outputs_are_not_run_together():
    tail = OutputTail()
    tail.feed(b"compiling...")
    tail.feed(b"no space", error=True)
    assert tail.text == "compiling...\nno space"
