"""What a host says in an answer: its JSON, a message for people, how long to wait."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from stepway.net.answers import parsed_json

SHORTEST_WAIT = 1.0
"""Seconds of a host's wait at least: a step may wait only so many times."""
LONGEST_WAIT = 86_400.0
"""Seconds that a host may ask to wait; a request for more is taken as this."""

_SHOWN = 300

NOT_JSON: Any = object()
"""Stands for a text that is no JSON."""


def json_of(response: httpx.Response) -> Any:
    """Return the JSON of an answer: None for an empty one, NOT_JSON for another text."""
    if not response.content:
        return None
    try:
        return parsed_json(response.content)
    except ValueError:
        return NOT_JSON


def kind_of(response: httpx.Response) -> str:
    """Return the media type of an answer, for people."""
    return response.headers.get("content-type", "").partition(";")[0] or "an unknown type"


def message_of(data: Any) -> str:
    """Return a host's message as one short text, whatever its form (texts, lists, objects)."""
    if isinstance(data, Mapping):
        for field in ("message", "error_description", "error"):
            if data.get(field):
                return message_of(data[field])
        return "; ".join(f"{name} {message_of(value)}" for name, value in data.items())[:_SHOWN]
    if isinstance(data, list):
        return "; ".join(message_of(item) for item in data)[:_SHOWN]
    return " ".join(str(data).split())[:_SHOWN]


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that the host asks to wait, from Retry-After or the limit's reset.

    None if it names none that can be read, 0 if that time has passed; else between SHORTEST_WAIT
    and LONGEST_WAIT.
    """
    if (given := response.headers.get("retry-after")) is not None:
        return _seconds(given)
    for prefix in ("x-ratelimit", "ratelimit"):
        if response.headers.get(f"{prefix}-remaining") == "0":
            reset = response.headers.get(f"{prefix}-reset", "")
            if reset.isascii() and reset.isdigit():
                # Seconds since the epoch, or from now on in the newer drafts.
                at = float(reset)
                return _bounded(at - time.time() if at > 1e9 else at)
    return None


def _seconds(given: str) -> float | None:
    try:
        return _bounded(float(given))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(given)
        # A date with the zone -0000 has none; HTTP's dates are in UTC.
        return _bounded((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    if math.isnan(seconds):
        return None
    return 0.0 if seconds <= 0 else min(max(SHORTEST_WAIT, seconds), LONGEST_WAIT)
