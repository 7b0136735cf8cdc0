"""Formats of a log: JSON lines, server-sent events and plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

from stepway.vault.sealing import hide_seals
from stepway_tracking.logs.assembler import printable
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
    it, None if that is not known. `complete` says that the end of the log has come.
    """

    seq: int
    place: int | None
    complete: bool = False

    def encoded(self, chunk: Chunk, media: str) -> bytes:
        """The lines of a row that the reader does not have, after the gap before them if any."""
        if chunk.removed:
            return self._skipped(chunk, media)
        gap, new = self._gap(chunk), self.seq < chunk.first_seq
        parts = [] if gap is None else [encoded(media, "gap", self.seq, gap).encode()]
        if new:
            # All readers get the same lines of a row, so they are encoded once.
            if media not in chunk.encoded:
                chunk.encoded[media] = _lines(chunk.lines, media)
            parts.append(chunk.encoded[media])
        else:
            parts.append(_lines([line for line in chunk.lines if line.seq > self.seq], media))
        if chunk.lines:
            self.seq = max(self.seq, chunk.last_seq)
        self.place = chunk.start + chunk.size
        self.complete = chunk.ends
        return b"".join(parts)

    def _skipped(self, chunk: Chunk, media: str) -> bytes:
        """The gap for lines that are gone from the store."""
        after, last = self.seq, chunk.last_seq - chunk.ends
        self.seq, self.place = max(after, last), None
        self.complete = chunk.ends
        if last <= after:
            return b""
        gap = {"after": after, "before": last + 1, "lines": last - after, "characters": None}
        return encoded(media, "gap", after, gap).encode()

    def _gap(self, chunk: Chunk) -> dict[str, Any] | None:
        if chunk.first_seq <= self.seq + 1:
            return None
        return {
            "after": self.seq,
            "before": chunk.first_seq,
            "lines": chunk.first_seq - self.seq - 1,
            "characters": None if self.place is None else chunk.start - self.place,
        }


def encoded(media: str, kind: Kind, seq: int, content: Any) -> str:
    """One item in a format."""
    if media == "text/plain":
        return _plain(kind, content)
    data = _json(content) if kind == "log" else content
    if media == "text/event-stream":
        number = f"id: {seq}\n" if kind == "log" else ""
        return f"{number}event: {kind}\ndata: {_text(data)}\n\n"
    return _text(data if kind == "log" else {kind: data}) + "\n"


def _lines(lines: Sequence[LogLine], media: str) -> bytes:
    text = "".join(encoded(media, "log", line.seq, line) for line in lines)
    return hide_seals(text.encode())


def keep_alive(media: str) -> str:
    """What is sent while there are no lines."""
    return {"text/event-stream": ": keep-alive\n\n", "text/plain": ""}.get(media, "\n")


def _plain(kind: Kind, content: Any) -> str:
    if kind == "log":
        return COLOUR.sub("", printable(content.text)) + "\n"
    if kind == "gap":
        return f"… {_amount(content)} left out …\n"
    return "" if content["complete"] else "… the end of this log is missing …\n"


def _amount(gap: dict[str, Any]) -> str:
    lines = f"{gap['lines']:,} lines"
    megabytes = (gap["characters"] or 0) / 1_000_000
    return lines if megabytes < 1 else f"{lines}, {megabytes:,.0f} MB,"


def _json(line: LogLine) -> dict[str, Any]:
    at = line.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "seq": line.seq,
        "at": at,
        "level": line.level,
        "stream": line.stream,
        # Older workers left other escapes.
        "text": printable(line.text),
    }


def _text(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Readers may take these for the end of a line.
    return _LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", text)
