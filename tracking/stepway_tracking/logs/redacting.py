"""Removes secrets from lines before they leave the worker."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from stepway_tracking.logs.assembler import CUT
from stepway_tracking.logs.line import LogLine, Stream

if TYPE_CHECKING:
    # It would load the client of Postgres where only texts are redacted.
    from stepway_tracking.record.store import Redact

REDACTED = "[redacted]"

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_WRAPPED = re.compile(r"\x1b\[[0-9;:]*m|\n[ \t]*")
_NOTHING = re.compile(r"(?:\s|\x1b\[[0-9;:]*m)*")

LONGEST_BEGUN = 32 * 1024
"""Characters of a secret that goes on in later rows; what follows is not taken for its rest."""

Span = tuple[int, int]
"""The start and the end of a secret in a text."""


@runtime_checkable
class Secrets(Protocol):
    """Finds secrets in texts."""

    def spans(self, text: str) -> Sequence[Span]:
        """The secrets in a text, also one that is cut off at an end of it."""

    def known_spans(self, text: str) -> Sequence[Span]:
        """The whole secrets in a text, without what only looks like one."""

    def begun(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a secret."""

    def ended(self, text: str) -> int:
        """How many characters at the beginning of a text may be the end of a secret."""


def secrets_of(redact: Redact | Secrets) -> Secrets:
    """The secrets that a function takes out of texts."""
    return redact if isinstance(redact, Secrets) else _Changed(redact)


class LineRedactor:
    """Redacts the lines of one log.

    The lines of a stream are one text, so a secret may have several lines. One that is not complete
    at the end of the lines goes on in the next ones.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._begun: dict[Stream, str] = {}
        """The secret at the end of the lines before."""

    def redacted(self, lines: Sequence[LogLine]) -> list[LogLine]:
        """The next lines without secrets; as many as before."""
        texts: dict[int, str] = {}
        for stream in {line.stream for line in lines}:
            own = [line for line in lines if line.stream == stream]
            found = self._texts(stream, [line.text for line in own])
            texts |= {line.seq: text for line, text in zip(own, found, strict=True)}
        return [line._replace(text=texts[line.seq]) for line in lines]

    def begun(self, text: str) -> int:
        """How many characters at the end of a line without its end may begin a secret."""
        plain = _Shorter(COLOUR, text)
        count = self._secrets.begun(plain.text)
        return len(text) - plain.place(len(plain.text) - count) if count else 0

    def _texts(self, stream: Stream, texts: list[str]) -> list[str]:
        begun = self._begun.get(stream)
        before = [] if begun is None else begun.split("\n")
        text = "\n".join((*before, *texts))
        shown = text.replace(CUT, " ")
        spans = merged((*self._spans(shown), *self._parts(text)))
        self._begun.pop(stream, None)
        start, stop = spans[-1] if spans else (0, 0)
        if stop and _NOTHING.fullmatch(shown, stop) and len(shown) - start <= LONGEST_BEGUN:
            self._begun[stream] = shown[start:]
        found = _hidden(shown, spans).split("\n")[len(before) :]
        cut = (CUT in each for each in texts)
        return [each.rstrip() if is_cut else each for each, is_cut in zip(found, cut, strict=True)]

    def _spans(self, text: str) -> Iterable[Span]:
        """Secrets in the text, and those that colours or ends of lines divide."""
        yield from self._secrets.spans(text)
        if "\x1b" in text:
            plain = _Shorter(COLOUR, text)
            yield from map(plain.back, self._secrets.spans(plain.text))
        if "\n" in text:
            one_line = _Shorter(_WRAPPED, text)
            yield from map(one_line.back, self._secrets.known_spans(one_line.text))

    def _parts(self, text: str) -> Iterable[Span]:
        """Secrets that are cut off at an end of a part of a line."""
        if CUT not in text:
            return
        place = 0
        for line in text.split("\n"):
            if CUT in line:
                start = place
                # Nothing follows a part that was shown before its end came.
                parts = line.removesuffix(CUT).split(CUT)
                for number, part in enumerate(parts):
                    ends = self._ends(part, number > 0, number + 1 < len(parts))
                    for begin, end in (*self._spans(part), *ends):
                        yield start + begin, start + end
                    start += len(part) + 1
            place += len(line) + 1

    def _ends(self, part: str, after_cut: bool, before_cut: bool) -> Iterable[Span]:
        """The ends of a part that a cut made, as far as they may belong to a secret."""
        plain = _Shorter(COLOUR, part)
        length = len(plain.text)
        if after_cut and (ended := self._secrets.ended(plain.text)):
            yield plain.back((0, ended))
        if before_cut and (begun := self._secrets.begun(plain.text)):
            yield plain.back((length - begun, length))


class _Shorter:
    """A text without what a pattern matches."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        parts: list[str] = []
        self._places: list[int] = []
        """Where something is left out in the shorter text."""
        self._left_out: list[int] = []
        """Characters that are left out up to each of these places."""
        place = length = 0
        for match in pattern.finditer(text):
            parts.append(text[place : match.start()])
            length += match.start() - place
            place = match.end()
            self._places.append(length)
            self._left_out.append(place - length)
        self.text = "".join((*parts, text[place:]))

    def back(self, span: Span) -> Span:
        """The span in the longer text, with what is left out within it."""
        start, stop = span
        return self.place(start), self.place(stop - 1) + 1

    def place(self, index: int) -> int:
        """The place of a character in the longer text."""
        number = bisect_right(self._places, index) - 1
        return index if number < 0 else index + self._left_out[number]


def _hidden(text: str, spans: Iterable[Span]) -> str:
    """Replace the spans in each of their lines; the ends of lines stay."""
    parts, place = [], 0
    for start, stop in spans:
        lines = text[start:stop].split("\n")
        parts += [text[place:start], "\n".join(REDACTED if each else "" for each in lines)]
        place = stop
    return "".join((*parts, text[place:]))


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that overlap have become one."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start < found[-1][1]:
            start, stop = found[-1][0], max(stop, found.pop()[1])
        found.append((start, stop))
    return found


class _Changed:
    """The secrets that a function takes out of a text, as its result shows them."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def spans(self, text: str) -> list[Span]:
        lines, found = text.split("\n"), str(self._redact(text)).split("\n")
        if len(lines) != len(found):
            # A secret of several lines is between the lines that have not changed.
            before, after = _same_ends(lines, found)
            start = len("\n".join((*lines[:before], "")))
            return [(start, len("\n".join(lines[: len(lines) - after])))]
        spans, place = [], 0
        for old, new in zip(lines, found, strict=True):
            if old != new:
                before, after = _same_ends(old, new)
                hidden = before + after < len(old)
                stop = len(old) - after if hidden else len(old)
                spans.append((place + (before if hidden else 0), place + stop))
            place += len(old) + 1
        return spans

    def known_spans(self, text: str) -> list[Span]:
        return []

    def begun(self, text: str) -> int:
        return 0

    def ended(self, text: str) -> int:
        return 0


def _same_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many items are the same at the beginning, and of the others at the end."""
    before = _same(old, new)
    return before, _same(old[before:][::-1], new[before:][::-1])


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(old), len(new)))
