"""Removes secrets from lines before they leave the worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from stepway_tracking.logs.assembler import CUT
from stepway_tracking.logs.line import LogLine, Stream
from stepway_tracking.record.store import Redact

REDACTED = "[redacted]"

LONGEST_BEGUN = 32 * 1024
"""Characters of a secret that goes on in later rows; what follows is not taken for its rest."""

Span = tuple[int, int]
"""The start and the end of a secret in a text."""


@runtime_checkable
class Secrets(Protocol):
    """Finds secrets in texts."""

    def spans(self, text: str) -> Sequence[Span]:
        """The secrets in a text, also one that is cut off at an end of it."""


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

    def _texts(self, stream: Stream, texts: list[str]) -> list[str]:
        begun = self._begun.get(stream)
        before = [] if begun is None else begun.split("\n")
        text = "\n".join((*before, *texts))
        shown = text.replace(CUT, " ")
        spans = sorted((*self._secrets.spans(shown), *self._parts(text)))
        self._begun.pop(stream, None)
        end = len(shown.rstrip())
        start = min((start for start, stop in spans if stop >= end), default=end)
        if 0 < end - start <= LONGEST_BEGUN:
            self._begun[stream] = shown[start:]
        found = without(shown, spans).split("\n")[len(before) :]
        cut = (CUT in each for each in texts)
        return [each.rstrip() if is_cut else each for each, is_cut in zip(found, cut, strict=True)]

    def _parts(self, text: str) -> Iterable[Span]:
        """Secrets that are cut off at an end of a part of a line."""
        if CUT not in text:
            return
        place = 0
        for line in text.split("\n"):
            if CUT in line:
                start = place
                for part in line.split(CUT):
                    for begin, end in self._secrets.spans(part):
                        yield start + begin, start + end
                    start += len(part) + 1
            place += len(line) + 1


def without(text: str, spans: Iterable[Span]) -> str:
    """Replace the spans, which may overlap, in each of their lines; the ends of lines stay."""
    parts, place = [], 0
    for start, stop in sorted(spans):
        start = max(start, place)
        if start >= stop:
            continue
        hidden = text[start:stop].split("\n")
        parts += [text[place:start], "\n".join(REDACTED if each else "" for each in hidden)]
        place = stop
    return "".join((*parts, text[place:]))


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


def _same_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many items are the same at the beginning, and of the others at the end."""
    before = _same(old, new)
    return before, _same(old[before:][::-1], new[before:][::-1])


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(old), len(new)))
