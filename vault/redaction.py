"""Taking secrets out of whatever is written or shown: the values known here, and known shapes.

A process knows the secrets that it has resolved. Everything that leaves a step goes through here
in that process (tracking/redacting.py), and everything that is recorded once more (tracking/store).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import threading
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import quote

REDACTED = "[redacted]"

SHORTEST = 8
"""Characters that a secret must have: shorter ones would take ordinary words out."""

SHORTEST_LINE = 16
"""A line of a secret of many lines is one itself from this length on."""

_AROUND_A_CUT = "…\n "

MOST = 10_000
"""Secrets that a process keeps in mind, the latest ones."""

_SHAPES = re.compile(
    r"""
    (?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s/@:"'<>]{0,200}:)[^\s/"'<>]{1,500}(?=@)  # URLs
  | (?P<bearer>\b(?:bearer|basic)\s{1,3})(?=\S{0,999}[0-9])[\w.~+/=-]{16,5000}  # headers
  | (?-i:\bstepway_(?=[a-z0-9_-]{0,42}[A-Z])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])) # our own tokens
  | \bgh[pousr]_[A-Za-z0-9]{36,255}\b | \bgithub_pat_[A-Za-z0-9_]{22,255}\b     # GitHub
  | \bgl(?:pat|dt|rt|oas|ptt|ft|imt|agent|soat|cbt)-[A-Za-z0-9_.-]{20,300}      # GitLab
  | \b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b                              # AWS key ids
  | (?P<aws>\baws.{0,30}?(?:key|token)["']?\s{0,5}[:=]{1,2}\s{0,5}["']?)[A-Za-z0-9/+=]{40,2000}
  | \beyJ[A-Za-z0-9_-]{5,8000}\.eyJ[A-Za-z0-9_-]{2,8000}\.[A-Za-z0-9_-]{0,8000} # JWTs
  | -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY-----(?:[^-]|-(?!----)){0,20000}
    (?:-----END[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY-----)?
    """,
    re.VERBOSE | re.IGNORECASE,
)

T = TypeVar("T")


class Redactor:
    """Knows secrets, and replaces them. Safe to use from many threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()
        self._spellings: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def learn(self, secret: str) -> None:
        """Redact this value from now on, also as JSON, a URL or base64 spell it."""
        with self._lock:
            if secret in self._known or len(secret) < SHORTEST:
                return
            self._known[secret] = None
            if len(self._known) > MOST:
                self._known.popitem(last=False)
            spellings = {each for known in self._known for each in _spellings(known)}
            longest_first = sorted(spellings, key=len, reverse=True)
            self._spellings = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """The text without secrets; one that was cut through at an end is found too."""
        if self._spellings is not None:
            text = self._spellings.sub(REDACTED, text)
            text = self._without_cut_ends(text)
        return _SHAPES.sub(_replaced, text)

    def value(self, value: T) -> T:
        """JSON, or a dataclass of it, without secrets."""
        return self._value(value)  # type: ignore[no-any-return]

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self._value(name): self._value(each) for name, each in value.items()}
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            return type(value)(self._value(each) for each in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value)
        return value

    def _dataclass(self, value: Any) -> Any:
        before = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        changed = {
            name: after for name, each in before.items() if (after := self._value(each)) != each
        }
        return dataclasses.replace(value, **changed) if changed else value

    def _without_cut_ends(self, text: str) -> str:
        for secret in tuple(self._known):
            text = _without_cut_start(text, secret)
            text = _without_cut_end(text, secret)
        return text


def _replaced(found: re.Match[str]) -> str:
    kept = found["keep"] or found["bearer"] or found["aws"] or ""
    return kept + REDACTED


def _spellings(secret: str) -> Iterator[str]:
    raw = secret.encode(errors="surrogatepass")
    yield from (secret, secret.strip(), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(raw, safe="")
    yield from (each.decode().rstrip("=") for each in (b64encode(raw), urlsafe_b64encode(raw)))
    lines = secret.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE)


def _without_cut_start(text: str, secret: str) -> str:
    """The text without the end of the secret that it begins with, maybe behind a "…"."""
    for body in (text, text.removeprefix("…"), text.lstrip(_AROUND_A_CUT)):
        if rest := _end_that_begins(body, secret):
            return text[: len(text) - len(body)] + REDACTED + body[len(rest) :]
    return text


def _without_cut_end(text: str, secret: str) -> str:
    """The text without the beginning of the secret that it ends with, maybe before a "…"."""
    for body in (text, text.removesuffix("…"), text.rstrip(_AROUND_A_CUT)):
        # The same, seen in a mirror.
        if rest := _end_that_begins(body[::-1], secret[::-1]):
            return body[: -len(rest)] + REDACTED + text[len(body) :]
    return text


def _end_that_begins(text: str, secret: str) -> str:
    """The longest end of the secret, SHORTEST or longer, that the text begins with."""
    head = text[:SHORTEST]
    place = secret.find(head) if len(head) == SHORTEST else -1
    while place != -1:
        if text.startswith(secret[place:]):
            return secret[place:]
        place = secret.find(head, place + 1)
    return ""


class RedactingFormatter(logging.Formatter):
    """Formats a log record, its stack included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return redact(super().format(record))


_process = Redactor()
"""One for the process: a secret that one part has resolved must not leave by another."""

learn = _process.learn
redact = _process.text
redact_value = _process.value
