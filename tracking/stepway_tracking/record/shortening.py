"""Shortens texts so that what matters stays: the cause is at the beginning or at the end."""

from __future__ import annotations


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and end with `…` between them: at most `longest` characters and
    the `…`.
    """
    if len(text) <= longest:
        return text
    start = longest // 2
    return f"{text[:start]}…{text[len(text) - (longest - start) :]}"
