"""Joins texts for people. Pure."""

from __future__ import annotations


def joined(*texts: str) -> str:
    """Return the texts that are not empty, each but the last with a full stop if it has no end."""
    given = [text.rstrip() for text in texts if text.strip()]
    ended = [text if text.endswith((".", "!", "?", ":", "。")) else f"{text}." for text in given]
    return " ".join([*ended[:-1], *given[-1:]])
