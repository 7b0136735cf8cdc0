"""Redacts known secrets, and texts that look like secrets, in everything that people see.

A process knows the secrets that it has resolved. Records, logs and streams are redacted here. Data
that one step passes to the next is not: see vault/references.py.
"""

from __future__ import annotations

import json
import logging
from typing import TypeVar

from stepway.vault.known import SHORTEST, KnownSecrets, SecretName
from stepway.vault.shapes import find
from stepway.vault.values import map_json_texts, map_texts

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
