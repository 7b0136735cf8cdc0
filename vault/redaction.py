"""Redacts known secrets, and texts that look like secrets, in everything that people see.

A process knows the secrets that it has resolved. Records, logs and streams are redacted here. Data
that one step passes to the next is not: see vault/references.py.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from stepway.vault.known import SHORTEST, KnownSecrets, SecretName
from stepway.vault.shapes import begun, find
from stepway.vault.values import map_json_texts, map_texts
from stepway_tracking.logs.redacting import merged

__all__ = ["REDACTED", "SHORTEST", "RedactingFormatter", "Redactor", "SecretName"]

REDACTED = "[redacted]"

LONG = 64 * 1024
"""Texts of this many characters or more are redacted in a thread."""

T = TypeVar("T")


class Redactor:
    """Replaces known secrets and texts that look like secrets. Thread-safe."""

    def __init__(self) -> None:
        self.known = KnownSecrets()

    def learn(self, secret: str, name: SecretName | None = None, *, document: bool = False) -> None:
        """Redact this value from now on, also in JSON, URL and base64 spelling."""
        self.known.learn(secret, name, document=document)

    def text(self, text: str) -> str:
        """Redact a text; also finds a secret that is cut off at an end of the text."""
        return without_shapes(self.known.replaced(text, lambda _: REDACTED))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The start and end of each text that `text` replaces, in order, without overlaps."""
        known = [(start, stop) for start, stop, _ in self.known.found(text)]
        without_known, back = _replaced(text, known)
        return merged([*known, *(back(start, stop) for start, stop in find(without_known))])

    def known_spans(self, text: str) -> list[tuple[int, int]]:
        """The start and end of each whole secret that is known, in order, without overlaps."""
        return [(start, stop) for start, stop, _ in self.known.whole(text)]

    def begun(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a secret."""
        return max(self.known.begun(text), begun(text))

    def ended(self, text: str) -> int:
        """How many characters at the beginning of a text may be the end of a known secret."""
        return self.known.ended(text)

    def contains_secret(self, text: str) -> bool:
        """Whether a text contains a whole secret, or what looks like one.

        For texts that are not cut: a part of a secret at an end does not count.
        """
        return any(self.known.whole(text)) or any(find(text))

    def value(self, value: T) -> T:
        """Redact all texts in a value (vault/values.py)."""
        try:
            return map_texts(value, self.text)  # type: ignore[no-any-return]
        except RecursionError:
            # Nothing but JSON gets that deep.
            return json.loads(map_json_texts(json.dumps(value), self.text))  # type: ignore[no-any-return]


def _replaced(
    text: str, spans: Sequence[tuple[int, int]]
) -> tuple[str, Callable[[int, int], tuple[int, int]]]:
    """Replace the spans; also return what turns a span of the new text into one of the old."""
    parts: list[str] = []
    places: list[int] = []
    place = length = 0
    for start, stop in spans:
        length += start - place
        places.append(length)
        parts += [text[place:start], REDACTED]
        length, place = length + len(REDACTED), stop

    def old(index: int) -> tuple[int, int]:
        number = bisect_right(places, index) - 1
        if number < 0:
            return index, index + 1
        after = index - places[number] - len(REDACTED)
        start, stop = spans[number]
        return (start, stop) if after < 0 else (stop + after, stop + after + 1)

    return "".join((*parts, text[place:])), lambda start, stop: (old(start)[0], old(stop - 1)[1])


def without_shapes(text: str) -> str:
    """Redact texts that look like secrets."""
    parts, place = [], 0
    for start, stop in find(text):
        parts += [text[place:start], REDACTED]
        place = stop
    return "".join((*parts, text[place:])) if parts else text


class RedactingFormatter(logging.Formatter):
    """Formats a log record and its stack, and redacts both."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted text of a record."""
        return redact(super().format(record))


PROCESS = Redactor()
"""Shared by the whole process, because every part can print a secret that another resolved."""

learn = PROCESS.learn
redact = PROCESS.text
redact_value = PROCESS.value
contains_secret = PROCESS.contains_secret
