"""Reads HTTP answers with a bound, and their JSON.

httpx would decompress an answer of some bytes to any size. Everything here serves httpx and httpx2.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

LARGEST_ANSWER = 16 << 20
"""Bytes of an answer that are read, also after decompression."""

DEEPEST = 64
"""Levels of lists and objects in the JSON that is taken."""

ENCODING = {"Accept-Encoding": "gzip"}
"""The header of requests whose answers read_answer reads."""

_GZIP = 16 + zlib.MAX_WBITS


class Response(Protocol):
    """An answer whose body is not read yet: httpx.Response or httpx2.Response."""

    @property
    def headers(self) -> Any:
        """The headers, by name in lower case."""
        ...

    def aiter_raw(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        ...


class AnswerRefused(ValueError):
    """An answer that is too large, or not compressed as asked; the text says which."""


async def read_answer(response: Response, largest: int | None = None) -> None:
    """Read the body of a streamed answer, so that `response.content` has it.

    `largest` is in bytes, LARGEST_ANSWER by default. Raises AnswerRefused, and the errors of
    reading.
    """
    largest = LARGEST_ANSWER if largest is None else largest
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > largest:
            raise AnswerRefused("the answer is too large")
        parts.append(part)
    body = _decompressed(response, b"".join(parts), largest)
    # Where both versions of httpx keep what they have read.
    response._content = body  # type: ignore[attr-defined]


async def bounded(response: Response) -> None:
    """Read an answer as a client's event hook `response`. Its requests need ENCODING."""
    await read_answer(response)


def _decompressed(response: Response, raw: bytes, largest: int) -> bytes:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if not raw or encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise AnswerRefused("the answer has an encoding that was not asked for")
    one = zlib.decompressobj(_GZIP)
    try:
        body = one.decompress(raw, largest + 1)
    except zlib.error:
        raise AnswerRefused("the answer is not gzip as it says") from None
    if len(body) > largest:
        raise AnswerRefused("the answer is too large")
    if not one.eof or one.unused_data:
        raise AnswerRefused("the answer is not gzip as it says")
    return body


def parsed_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises ValueError if it is not JSON, or too deep for what reads it later.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise ValueError("the JSON is nested too deeply")


def _inside(value: Any) -> list[Any]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in found if isinstance(inner, (dict, list))]
