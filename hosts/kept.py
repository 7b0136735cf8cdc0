"""Keeps answers, so that a host is only asked whether they have changed since.

GitHub does not count a request against the credential's quota if the answer is "not modified".
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

import httpx

MOST_BYTES = 1 << 20
"""Bytes of the answers that are kept for one token."""

MOST_TOKENS = 32
"""Tokens whose answers are kept in this process."""

_LARGEST = 64 << 10
_OF_THE_BODY = {"content-encoding", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Kept:
    """One answer: its ETag, headers and body."""

    etag: str
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    def renewed(self, response: httpx.Response) -> httpx.Response:
        """Return the answer with the headers that the host sends now."""
        headers = {**self.headers, **response.headers}
        kept = {name: value for name, value in headers.items() if name not in _OF_THE_BODY}
        return httpx.Response(200, headers=kept, content=self.body, request=response.request)


class KeptAnswers:
    """The newest answers to the reads of one token, by URL."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def find(self, url: str) -> Kept | None:
        """Return the answer that is kept for a URL."""
        return self._all.get(url)

    def keep(self, url: str, response: httpx.Response) -> None:
        """Keep an answer in place of an older one, if the host has marked it with an ETag."""
        self._drop(url)
        etag, body = response.headers.get("etag", ""), response.content
        if response.status_code != 200 or not etag or len(body) > _LARGEST:
            return
        self._all[url] = Kept(etag, response.headers, body)
        self._bytes += len(body)
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._all)))

    def _drop(self, url: str) -> None:
        if (old := self._all.pop(url, None)) is not None:
            self._bytes -= len(old.body)


_answers: OrderedDict[str, KeptAnswers] = OrderedDict()


def answers_of(token: str) -> KeptAnswers:
    """Return what is kept for a token: nobody else sees its answers."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    found = _answers.setdefault(digest, KeptAnswers())
    _answers.move_to_end(digest)
    while len(_answers) > MOST_TOKENS:
        _answers.popitem(last=False)
    return found
