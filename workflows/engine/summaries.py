"""Texts that Temporal shows beside an activity or a workflow."""

from __future__ import annotations

LARGEST_SUMMARY = 400
"""Bytes of UTF-8 that Temporal accepts as a summary."""


def summary(text: str) -> str:
    """The text, or its beginning if Temporal would refuse it."""
    encoded = text.encode()
    if len(encoded) <= LARGEST_SUMMARY:
        return text
    # The ellipsis takes three bytes; a character that was cut in two is dropped.
    return encoded[: LARGEST_SUMMARY - 3].decode(errors="ignore") + "…"
