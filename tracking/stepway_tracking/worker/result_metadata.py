"""What a step's row shows of its result."""

from __future__ import annotations

import json
from typing import Any

from temporalio.converter import DataConverter

from stepway_tracking.record.facts import LARGEST_SHOWN

SHOWN_START = 1000
"""Characters that are shown of a text that is too large."""

LEFT_OUT = "…"
"""The field that says how much was left out after the fields that are shown."""


def result_metadata(result: Any, converter: DataConverter) -> dict[str, Any]:
    """A step's result as metadata of its row; empty unless the result is a JSON object.

    Of an object with more than LARGEST_SHOWN bytes of JSON, large fields are replaced by a text
    that says how many bytes were left out. The kept result is always whole.
    """
    payload = converter.payload_converter.to_payload(result)
    if not payload.metadata["encoding"].startswith(b"json/"):
        return {}
    try:
        value = json.loads(payload.data)
        return _shown(value) if isinstance(value, dict) else {}
    except RecursionError:
        return {LEFT_OUT: f"{len(payload.data):,} bytes left out: nested too deeply"}


def _shown(result: dict[str, Any]) -> dict[str, Any]:
    if _size(result) <= LARGEST_SHOWN:
        return result
    room = LARGEST_SHOWN
    shown: dict[str, Any] = {}
    for position, (name, value) in enumerate(result.items()):
        # Small fields are shown whole, in the order of the result.
        if _size(value) > LARGEST_SHOWN // 16:
            value = _start(value)
        room -= _size({name: value})
        if room < 0:
            rest = dict([*result.items()][position:])
            return {**shown, LEFT_OUT: f"{len(rest):,} fields, {_size(rest):,} bytes left out"}
        shown[name] = value
    return shown


def _start(value: Any) -> str:
    start = value[:SHOWN_START] if isinstance(value, str) else ""
    return f"{start}… {_size(value) - _size(start):,} bytes left out"


def _size(value: Any) -> int:
    return len(json.dumps(value).encode())
