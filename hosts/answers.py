"""Reads answers with a bound, and their JSON."""

from __future__ import annotations

import json
import zlib
from typing import Any

import httpx

LARGEST_ANSWER = 16 << 20
"""Bytes of an answer that are read, also after decompression."""

DEEPEST = 64
"""Levels of lists and objects in the JSON that is taken."""

ENCODING = {"Accept-Encoding": "gzip"}
"""The header of requests whose answers read_answer reads."""

_GZIP = 16 + zlib.MAX_WBITS


async def read_answer(response: httpx.Response) -> None:
    """Read the body of a streamed answer, so that `response.content` has it.

    httpx would decompress an answer of some bytes to any size. Raises httpx.DecodingError for an
    answer that is too large, or not compressed as asked, and the errors of reading.
    """
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise _refused(response, "is too large")
        parts.append(part)
    response._content = _decompressed(response, b"".join(parts))


def _decompressed(response: httpx.Response, raw: bytes) -> bytes:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if not raw or encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise _refused(response, "has an encoding that was not asked for")
    one = zlib.decompressobj(_GZIP)
    try:
        body = one.decompress(raw, LARGEST_ANSWER + 1)
    except zlib.error:
        raise _refused(response, "is not gzip as it says") from None
    if len(body) > LARGEST_ANSWER:
        raise _refused(response, "is too large")
    if not one.eof or one.unused_data:
        raise _refused(response, "is not gzip as it says")
    return body


def _refused(response: httpx.Response, why: str) -> httpx.DecodingError:
    return httpx.DecodingError(f"the answer {why}", request=response.request)


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
