"""Finds the secrets that a process has resolved, in one pass and in every usual spelling."""

from __future__ import annotations

import json
import re
import shlex
import threading
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, quote_plus

from ahocorasick_rs import AhoCorasick, MatchKind

SHORTEST = 8
"""Minimum length of a secret: shorter ones would match ordinary words."""

SHORTEST_LINE = 16
"""Minimum length from which a line of a multi-line secret counts as a secret."""

MOST = 2_000
"""Maximum number of secrets that a process remembers, the latest first."""

_AROUND_A_CUT = "…\n "
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class SecretName:
    """The credential of a secret, and the owner that it was resolved for.

    `part` is a part of the credential (vault/parts.py), empty for all of it. A `made` secret is not
    in the vault: it was made with the credential, and expires.
    """

    owner: str
    name: str
    part: str = ""
    made: bool = False


@dataclass(frozen=True)
class Piece:
    """An occurrence of a secret: its spelling, and the slice of the spelling."""

    secret: str
    spelling: str
    start: int = 0
    stop: int | None = None


class KnownSecrets:
    """Learns secrets and finds them in texts. Thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, SecretName | None] = OrderedDict()
        self._documents: set[str] = set()
        self._lock = threading.Lock()
        self._search: _Search | None = None

    def learn(self, secret: str, name: SecretName | None = None, *, document: bool = False) -> None:
        """Find this value from now on; a document is found as a whole only, not by its lines."""
        if len(secret) < SHORTEST:
            return
        with self._lock:
            if secret in self._known:
                self._known[secret] = name or self._known[secret]
                self._known.move_to_end(secret)
                return
            self._known[secret] = name
            if document:
                self._documents.add(secret)
            if len(self._known) > MOST:
                oldest, _ = self._known.popitem(last=False)
                self._documents.discard(oldest)
            self._search = None

    def name_of(self, secret: str) -> SecretName | None:
        """Return the credential of a secret, if it is known."""
        return self._known.get(secret)

    def whole(self, text: str) -> Iterator[tuple[int, int, Piece]]:
        """Yield the start and end of each whole secret, in order, without overlaps."""
        search = self._current()
        return search.whole(text) if search else iter(())

    def replaced(self, text: str, by: Callable[[Piece], str]) -> str:
        """Replace the secrets in a text, also one that is cut off at an end."""
        search = self._current()
        if search is None:
            return text
        found = list(search.whole(text))
        first, last = (found[0][0], found[-1][1]) if found else (len(text), 0)
        start = search.cut_start(text[:first])
        end = search.cut_end(text, max(last, start[1] if start else 0))
        pieces = [each for each in (start, *found, end) if each]
        if not pieces:
            return text
        parts, place = [], 0
        for begin, stop, piece in pieces:
            parts += [text[place:begin], by(piece)]
            place = stop
        return "".join((*parts, text[place:]))

    def _current(self) -> _Search | None:
        search = self._search
        if search is None and self._known:
            with self._lock:
                search = self._search = self._search or _Search(
                    tuple(self._known), frozenset(self._documents)
                )
        return search


class _Search:
    """Searches for a fixed set of secrets, and for parts of them at the ends of a text."""

    def __init__(self, secrets: tuple[str, ...], documents: frozenset[str]) -> None:
        # The beginning of a document is no secret.
        self._secrets = tuple(each for each in secrets if each not in documents)
        # A secret contains no NUL, so a match lies within one secret.
        self._joined = "\0".join(self._secrets)
        spelt: dict[str, Piece] = {}
        for secret in secrets:
            for spelling, text in spellings(secret):
                by_line = spelling.startswith("line-")
                if len(text) >= SHORTEST and not (by_line and secret in documents):
                    spelt.setdefault(text, Piece(secret, spelling))
        self._pieces = list(spelt.values())
        self._automaton = AhoCorasick(
            [_SURROGATES.sub("\ufffd", text) for text in spelt],
            matchkind=MatchKind.LeftmostLongest,
        )

    def whole(self, text: str) -> Iterator[tuple[int, int, Piece]]:
        try:
            found = self._automaton.find_matches_as_indexes(text)
        except UnicodeEncodeError:
            found = self._automaton.find_matches_as_indexes(_SURROGATES.sub("\ufffd", text))
        return ((start, stop, self._pieces[which]) for which, start, stop in found)

    def cut_start(self, text: str) -> tuple[int, int, Piece] | None:
        """Find the end of a secret at the beginning of the text, possibly after "…"."""
        for body in (text, text.removeprefix("…"), text.lstrip(_AROUND_A_CUT)):
            head = body[:SHORTEST]
            if len(head) == SHORTEST and head in self._joined:
                rest, secret = _longest(
                    (_end_that_begins(body, each), each) for each in self._secrets
                )
                if rest:
                    begin = len(text) - len(body)
                    return begin, begin + len(rest), Piece(secret, "plain", -len(rest))
        return None

    def cut_end(self, text: str, after: int) -> tuple[int, int, Piece] | None:
        """Find the beginning of a secret at the end of the text, possibly before "…"."""
        for body in (text, text.removesuffix("…"), text.rstrip(_AROUND_A_CUT)):
            tail = body[max(after, len(body) - SHORTEST) :]
            if len(tail) == SHORTEST and tail in self._joined:
                # Reversed, this is the search of cut_start.
                rest, secret = _longest(
                    (
                        _end_that_begins(
                            body[max(after, len(body) - len(each)) :][::-1], each[::-1]
                        ),
                        each,
                    )
                    for each in self._secrets
                )
                if rest:
                    begin = len(body) - len(rest)
                    return begin, len(body), Piece(secret, "plain", 0, len(rest))
        return None


def spellings(secret: str) -> Iterator[tuple[str, str]]:
    """Yield the usual spellings of a secret, each with its name."""
    raw = secret.encode(errors="surrogatepass")
    yield "plain", secret
    yield "stripped", secret.strip()
    yield "json", json.dumps(secret)[1:-1]
    yield "unicode-json", json.dumps(secret, ensure_ascii=False)[1:-1]
    yield "repr", repr(secret)[1:-1]
    yield from _escaped(secret)
    yield "url", quote(raw, safe="")
    yield "url-path", quote(raw)
    yield "form", quote_plus(raw)
    yield "hex", raw.hex()
    yield "upper-hex", raw.hex().upper()
    yield "base64", b64encode(raw).decode().rstrip("=")
    yield "base64url", urlsafe_b64encode(raw).decode().rstrip("=")
    yield from _within_base64(raw)
    lines = secret.splitlines()
    if len(lines) > 1:
        for number, line in enumerate(lines):
            if len(line.strip()) >= SHORTEST_LINE:
                yield f"line-{number}", line.strip()


def _within_base64(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield what base64 makes of the secret after and before other bytes, such as `user:`.

    Each character stands for six bits; those that also hold bits of other bytes are left out.
    """
    for before in range(3):
        whole = slice(-(-before * 8 // 6), (before + len(raw)) * 8 // 6)
        for name, encoded in (("base64", b64encode), ("base64url", urlsafe_b64encode)):
            yield f"{name}-after-{before}", encoded(bytes(before) + raw).decode()[whole]


def _escaped(secret: str) -> Iterator[tuple[str, str]]:
    """Yield the secret as programs write it into JSON in JSON, HTML, XML and shell commands."""
    in_json, in_unicode_json = json.dumps(secret), json.dumps(secret, ensure_ascii=False)
    yield "json-in-json", json.dumps(in_json[1:-1])[1:-1]
    yield "unicode-json-in-json", json.dumps(in_unicode_json[1:-1])[1:-1]
    yield (
        "unicode-json-in-unicode-json",
        json.dumps(in_unicode_json[1:-1], ensure_ascii=False)[1:-1],
    )
    xml = escape(secret, quote=False)
    yield "xml", xml
    yield "html", escape(secret)
    # Attributes, as libraries for XML and for templates write them.
    yield "xml-attribute", xml.replace('"', "&quot;").replace("'", "&apos;")
    yield "numbered-html", xml.replace('"', "&#34;").replace("'", "&#39;")
    yield "mixed-html", xml.replace('"', "&quot;").replace("'", "&#39;")
    yield "quoted-xml", xml.replace('"', "&quot;")
    quoted = shlex.quote(secret)
    yield "shell", quoted[1:-1] if quoted != secret else secret


def _longest(found: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the longest part that was found, and its secret; the part may be empty."""
    return max(found, key=lambda each: len(each[0]))


def _end_that_begins(text: str, secret: str) -> str:
    """The longest end of the secret, SHORTEST or longer, that the text begins with."""
    head = text[:SHORTEST]
    place = secret.find(head) if len(head) == SHORTEST else -1
    while place != -1:
        if text.startswith(secret[place:]):
            return secret[place:]
        place = secret.find(head, place + 1)
    return ""
