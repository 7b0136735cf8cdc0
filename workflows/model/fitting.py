"""Results and errors that fit into the input of a run, at most 2 MB for Temporal. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def fitting_results(results: Mapping[str, Any], room: int) -> tuple[dict[str, Any], list[str]]:
    """Return the results that fit into `room` bytes of JSON, and the steps of all others."""
    fitting: dict[str, Any] = {}
    too_long: list[str] = []
    for step, result in results.items():
        size = size_of({step: result})
        if size <= room:
            room -= size
            fitting[step] = result
        else:
            too_long.append(step)
    return fitting, too_long


def fitting_errors(errors: Mapping[str, str], room: int) -> dict[str, str]:
    """Return the errors, cut if they do not fit into `room` bytes of JSON."""
    # A character takes 6 bytes at most.
    longest = max(200, room // 6 // max(1, len(errors)))
    return {
        step: error if len(error) <= longest else f"{error[:longest]}…"
        for step, error in errors.items()
    }


def size_of(value: Any) -> int:
    """Return the bytes of a value's JSON."""
    return len(json.dumps(value).encode())
