"""JSON as Postgres' jsonb takes it, whatever a step has put into its result or its error."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_REFUSED = re.compile("[\x00\ud800-\udfff]")
"""NUL, and halves of a surrogate pair, as in the names of files that are not UTF-8."""


def unstorable(text: str) -> str | None:
    """Why Postgres cannot store a text, to follow its name; None where it can."""
    found = _REFUSED.search(text)
    if found is None:
        return None
    if found[0] == "\0":
        return "must not contain NUL characters"
    return "must be valid Unicode: it contains an unpaired surrogate"


def to_jsonb(value: Any) -> str:
    """The value's JSON; in place of what jsonb refuses, U+FFFD in texts and null for numbers."""
    return json.dumps(_accepted(value))


def _accepted(value: Any) -> Any:
    if isinstance(value, str):
        return _REFUSED.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_accepted(name): _accepted(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_accepted(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
