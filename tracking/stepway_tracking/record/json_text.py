"""Encodes any value as JSON that Postgres accepts as jsonb."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_REFUSED = re.compile("[\x00\ud800-\udfff]")
"""NUL and unpaired surrogates, which file names that are not UTF-8 contain."""


def unstorable(text: str) -> str | None:
    """Why Postgres cannot store the text, as a predicate (`must …`); None if it can."""
    found = _REFUSED.search(text)
    if found is None:
        return None
    if found[0] == "\0":
        return "must not contain NUL characters"
    return "must be valid Unicode: it contains an unpaired surrogate"


def storable(text: str) -> str:
    """The text with U+FFFD in place of characters that Postgres cannot store."""
    return _REFUSED.sub("\N{REPLACEMENT CHARACTER}", text)


def to_jsonb(value: Any) -> str:
    """The value's JSON. U+FFFD replaces characters that jsonb rejects, null infinity and NaN."""
    return json.dumps(_accepted(value))


def _accepted(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_accepted(name): _accepted(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_accepted(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
