"""Formats of a log: JSON lines, server-sent events and plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

from stepway_tracking.logs.line import LogLine
from stepway_tracking.logs.store import Chunk

Kind = Literal["log", "gap", "end"]

COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

_LINE_ENDS = re.compile("[\x85\u2028\u2029]")

MEDIA_TYPES = ("application/x-ndjson", "text/event-stream", "text/plain")


def media_type(accept: str) -> str:
    """The first of MEDIA_TYPES that an Accept header names; JSON lines by default."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((name for name in named if name in MEDIA_TYPES), MEDIA_TYPES[0])


@dataclass
class LogReader:
    """Turns rows into lines and gaps.

    `seq` is the number of the last line that the reader has; `place` counts the characters up to
    it, None if that is not known.
    """

    seq: int
    place: int | None

    def items(self, chunk: Chunk) -> Iterator[tuple[Kind, int, Any]]:
        """The kind, number and content of each item of a row."""
        first = chunk.lines[0].seq
        if first > self.seq + 1:
            characters = None if self.place is None else chunk.start - self.place
            gap = {
                "after": self.seq,
                "before": first,
                "lines": first - self.seq - 1,
                "characters": characters,
            }
            yield "gap", self.seq, gap
        for line in chunk.lines:
            if line.seq > self.seq:
                self.seq = line.seq
                yield "log", line.seq, line
        self.place = chunk.start + chunk.size


def encoded(media: str, kind: Kind, seq: int, content: Any) -> str:
    """One item in a format."""
    if media == "text/plain":
        return _plain(kind, content)
    data = _json(content) if kind == "log" else content
    if media == "text/event-stream":
        number = f"id: {seq}\n" if kind == "log" else ""
        return f"{number}event: {kind}\ndata: {_text(data)}\n\n"
    return _text(data if kind == "log" else {kind: data}) + "\n"


def keep_alive(media: str) -> str:
    """What is sent while there are no lines."""
    return {"text/event-stream": ": keep-alive\n\n", "text/plain": ""}.get(media, "\n")


def _plain(kind: Kind, content: Any) -> str:
    if kind == "log":
        return COLOUR.sub("", content.text) + "\n"
    if kind == "gap":
        return f"… {content['lines']} lines left out …\n"
    return ""


def _json(line: LogLine) -> dict[str, Any]:
    at = line.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "seq": line.seq,
        "at": at,
        "level": line.level,
        "stream": line.stream,
        "text": line.text,
    }


def _text(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Readers may take these for the end of a line.
    return _LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", text)
