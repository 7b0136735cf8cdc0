"""Summaries that Temporal shows for activities and workflows."""

from __future__ import annotations

LARGEST_SUMMARY = 400
"""Bytes of UTF-8 that Temporal accepts as a summary."""


def summary(text: str) -> str:
    """Return the text, shortened if Temporal would refuse it."""
    encoded = text.encode()
    if len(encoded) <= LARGEST_SUMMARY:
        return text
    # The ellipsis takes three bytes. Decoding drops a partial character.
    return encoded[: LARGEST_SUMMARY - 3].decode(errors="ignore") + "…"
