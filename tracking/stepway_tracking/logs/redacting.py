"""Removes secrets from lines before they leave the worker."""

from __future__ import annotations

from collections.abc import Sequence

from stepway_tracking.logs.assembler import CUT
from stepway_tracking.logs.line import LogLine
from stepway_tracking.record.store import Redact


def redacted(lines: Sequence[LogLine], redact: Redact) -> list[LogLine]:
    """The lines without secrets, also without one that begins in one line and ends in another."""
    texts = [line.text for line in lines]
    whole = str(redact("\n".join(text.replace(CUT, " ") for text in texts))).split("\n")
    # A secret of several lines has become one word, so each line is redacted by itself.
    found = whole if len(whole) == len(texts) else [str(redact(text)) for text in texts]
    for number, text in enumerate(texts):
        if CUT in text:
            # A secret may be cut off at the end of each part.
            found[number] = " ".join(str(redact(part)) for part in text.split(CUT)).rstrip()
    return [line._replace(text=text) for line, text in zip(lines, found, strict=True)]
