"""Values that a step hands over, as values that Temporal's payload converter can encode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.converter import PayloadConverter

from stepway_tracking.record.facts import LONGEST_MESSAGE
from stepway_tracking.record.shortening import shortened

DEEPEST = 20
"""Levels of lists and mappings whose parts are looked at one by one."""


def text_of(value: Any) -> str:
    """The value as a text; its type if its own conversion fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a conversion of the step's own may raise anything
        return f"<{type(value).__name__}>"


def encoded_size(values: Sequence[Any], converter: PayloadConverter) -> int | None:
    """Bytes of the encoded values; None if they cannot be encoded."""
    try:
        return sum(payload.ByteSize() for payload in converter.to_payloads(values))
    except Exception:  # noqa: BLE001 - a conversion of the step's own may raise anything
        return None


def encodable(value: Any, converter: PayloadConverter, deepest: int = DEEPEST) -> Any:
    """The same value if it can be encoded; otherwise a copy with its repr, or those of its parts.

    A repr of more than LONGEST_MESSAGE characters is cut in the middle.
    """
    if encoded_size([value], converter) is not None:
        return value
    if deepest and isinstance(value, Mapping):
        return {
            text_of(name): encodable(each, converter, deepest - 1) for name, each in value.items()
        }
    if deepest and isinstance(value, list | tuple):
        return [encodable(each, converter, deepest - 1) for each in value]
    return shortened(_repr(value), LONGEST_MESSAGE)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a conversion of the step's own may raise anything
        return f"<{type(value).__name__}>"
