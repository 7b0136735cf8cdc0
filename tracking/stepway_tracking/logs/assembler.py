"""Turns the chunks of a program's output into lines, in bounded memory."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from stepway_tracking.logs.line import LONGEST_LINE

HALF = LONGEST_LINE // 2

CUT = "\x00"
"""Separates the parts of a line: its end is cut off, or characters in the middle are left out."""

_END = re.compile(r"\r*\n|\r")
# One search from left to right, so that what is left makes no new escape.
_UNPRINTABLE = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|(?P<escape>\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # Titles and other texts.
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]+[0-~]|\x1b[0-~]"
    # Characters that change the writing direction.
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])"
    # Surrogates too: they cannot be encoded.
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
)

LONGEST_ESCAPE = 32
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*)?\Z")


class LineAssembler:
    """Splits one stream of bytes into lines.

    A carriage return starts the line again, as in a terminal, so that a progress bar becomes one
    line with its last state: a "bar". Invalid UTF-8 becomes U+FFFD.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = _Line()
        self._returned = False
        self._escape = ""
        """An escape whose end has not come."""
        self._restarted = False

    @property
    def is_bar(self) -> bool:
        """Whether the line that waits for its end has been started again."""
        return self._returned or self._restarted

    @property
    def waits(self) -> bool:
        """Whether a part of a line waits for its end."""
        return bool(self._line)

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take the next bytes; yield the lines that they complete."""
        text = self._escape + self._decode(chunk)
        begun = _BEGUN.search(text, max(0, len(text) - LONGEST_ESCAPE))
        self._escape = begun[0] if begun else ""
        text = text[: len(text) - len(self._escape)]
        place = 0
        for end in _END.finditer(text):
            begin, place = place, end.end()
            if not self._line and not self._returned and end[0] == "\n":
                yield line_of(text[begin : end.start()])  # Nearly all lines.
                continue
            self._add(text[begin : end.start()])
            if end[0].endswith("\n"):
                yield self._take()
                self._returned = self._restarted = False
            else:
                self._returned = True
        self._add(text[place:])

    def flush(self, begun: Callable[[str], int] = lambda text: 0) -> Iterator[str]:
        """Yield the part of a line that waits for its end, if any. The rest is the next line.

        As many characters at its end as `begun` says go on waiting.
        """
        if not self._line:
            return
        text = self._take()
        shown = len(text) - begun(text)
        self._line.add(text[shown:])
        if shown:
            yield text[:shown] + CUT

    def close(self) -> Iterator[str]:
        """Yield what is left at the end of the output."""
        self._add(self._escape + self._decode(b"", True))
        if self._line:
            yield self._take()

    def _add(self, text: str) -> None:
        if not text:
            return
        if self._returned:
            self._line, self._returned, self._restarted = _Line(), False, True
        self._line.add(text)

    def _take(self) -> str:
        line, self._line = self._line, _Line()
        return line.text()


class _Line:
    """The beginning and the end of a line, and how many characters are between them."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._length = 0
        self._tail = ""

    def __bool__(self) -> bool:
        return self._length > 0

    def add(self, text: str) -> None:
        room = max(0, HALF - self._length)
        if room:
            self._head.append(text[:room])
        self._length += len(text)
        rest = text[room:]
        if rest:
            self._tail = (self._tail + rest)[-HALF:]

    def text(self) -> str:
        head = printable("".join(self._head))
        left_out = self._length - min(self._length, HALF) - len(self._tail)
        if not left_out:
            return head + printable(self._tail)
        return CUT.join((head, f"… {left_out} characters left out …", printable(self._tail)))


def line_of(text: str) -> str:
    """A line that is there as a whole, cut in the middle if it is too long."""
    if len(text) <= HALF:
        return printable(text)
    line = _Line()
    line.add(text)
    return line.text()


def printable(text: str) -> str:
    """The line without control characters and escapes; colours stay."""
    if text.isprintable():
        return text  # Nearly all lines.
    return _UNPRINTABLE.sub(_printed, text)


def _printed(found: re.Match[str]) -> str:
    return found["colour"] or ("" if found["escape"] else "\ufffd")
