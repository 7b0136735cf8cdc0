"""Taking secrets out of whatever people see: the values known here, and texts that look like one.

A process knows the secrets that it has resolved. What is recorded, logged and streamed goes through
here. What one step hands to the next does not: vault/references.py says how that travels.
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
"""Characters from which on a text is redacted in a thread."""

T = TypeVar("T")


class Redactor:
    """Knows secrets, and replaces them. Safe to use from many threads."""

    def __init__(self) -> None:
        self.known = KnownSecrets()

    def learn(self, secret: str, name: SecretName | None = None) -> None:
        """Redact this value from now on, also as JSON, a URL or base64 spell it."""
        self.known.learn(secret, name)

    def text(self, text: str) -> str:
        """The text without secrets; one that was cut through at an end is found too."""
        return without_shapes(self.known.replaced(text, lambda _: REDACTED))

    def value(self, value: T) -> T:
        """Any value without secrets in its texts (vault/values.py)."""
        try:
            return map_texts(value, self.text)  # type: ignore[no-any-return]
        except RecursionError:
            # Nothing but JSON gets that deep.
            return json.loads(map_json_texts(json.dumps(value), self.text))  # type: ignore[no-any-return]


def without_shapes(text: str) -> str:
    """The text without what looks like a secret."""
    parts, place = [], 0
    for start, stop in find(text):
        parts += [text[place:start], REDACTED]
        place = stop
    return "".join((*parts, text[place:])) if parts else text


class RedactingFormatter(logging.Formatter):
    """Formats a log record, its stack included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return redact(super().format(record))


PROCESS = Redactor()
"""One for the process: a secret that one part has resolved must not leave by another."""

learn = PROCESS.learn
redact = PROCESS.text
redact_value = PROCESS.value
