"""The newest events of one project, encoded once and shared by all its streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic_core import from_json, to_json

CHUNK_BYTES = 64 * 1024


class Lagged(Exception):
    """The events after a reader's version have been dropped from the log."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `frame` is its encoding as a server-sent event."""

    version: int
    type: str
    frame: bytes

    @property
    def data(self) -> Any:
        """The event's JSON, decoded."""
        return from_json(self.frame.partition(b"\ndata: ")[2])


def encode(version: int, type_: str, data: bytes) -> Event:
    """Encode an event as a server-sent event; `data` is its JSON."""
    # JSON has line breaks only between tokens. In a server-sent event they would end the field.
    line = data.replace(b"\n", b" ").replace(b"\r", b" ")
    frame = b"id: %d\nevent: %s\ndata: %s\n\n" % (version, type_.encode(), line)
    return Event(version, type_, frame)


class EventLog:
    """Consecutive events up to `version`; a `snapshot` replaces all versions up to its own.

    A reader keeps only the last version it has seen, so a slow reader uses no extra memory. Only
    the newest event can be an `end`: when another event follows, it becomes a `project` event.
    `size` and `max_bytes` limit the log; the oldest events are dropped first.
    """

    def __init__(self, size: int, max_bytes: int) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[Event] = deque()
        self._floor = 0
        self.version = 0
        self.started = False
        self.ended = False

    def start(self, version: int, *, ended: bool) -> None:
        """Clear the log and continue after a version."""
        self._events.clear()
        self._bytes = 0
        self._floor = self.version = version
        self.started, self.ended = True, ended

    def can_resume_from(self, version: int) -> bool:
        """Whether the log has all events after this version."""
        return self.started and version >= self._floor

    def append(self, event: Event) -> None:
        """Add the event of the next version, or a snapshot of any later version.

        Raises ValueError for an event of any other version.
        """
        if event.type == "snapshot":
            self.start(event.version, ended=False)
            self._floor = -1
        elif event.version != self.version + 1:
            raise ValueError(f"version {event.version} does not follow {self.version}")
        self._convert_superseded_end()
        self._events.append(event)
        self._bytes += len(event.frame)
        self.version = event.version
        self.ended = event.type == "end"
        while len(self._events) > self._size or (
            self._bytes > self._max_bytes and len(self._events) > 1
        ):
            self._drop_oldest()

    def prepend(self, older: Sequence[Event]) -> None:
        """Add older events, as far as they connect to the log without a gap."""
        tail = _consecutive_tail(older)
        if not tail or tail[-1].version < (self._floor if self.started else 0):
            return
        newer = [event for event in self._events if event.version > tail[-1].version]
        if newer and newer[0].version != tail[-1].version + 1:
            return
        version, ended = self.version, self.ended
        self.start(tail[0].version - 1, ended=False)
        for event in (*tail, *newer):
            self.append(event)
        if self.version == version:
            self.ended = ended

    def after(self, version: int) -> tuple[bytes, int]:
        """The bytes of the next events after `version`, and the version of the last of them.

        `version` must be lower than the newest. Returns at most about CHUNK_BYTES. Raises Lagged if
        the next event has been dropped.
        """
        if version < self._floor:
            raise Lagged
        count = min(self.version - version, len(self._events))
        if count == 1:
            return self._events[-1].frame, self.version
        return _chunk(islice(self._events, len(self._events) - count, None))

    def _convert_superseded_end(self) -> None:
        if not self._events or self._events[-1].type != "end":
            return
        end = self._events.pop()
        self._bytes -= len(end.frame)
        if not self._events:
            self._floor = end.version
            return
        converted = _as_project(end, self._events[-1])
        self._events.append(converted)
        self._bytes += len(converted.frame)

    def _drop_oldest(self) -> None:
        oldest = self._events.popleft()
        self._bytes -= len(oldest.frame)
        self._floor = oldest.version


def _consecutive_tail(events: Sequence[Event]) -> list[Event]:
    tail: list[Event] = []
    for event in reversed(events):
        if tail and event.version != tail[-1].version - 1:
            break
        tail.append(event)
    return tail[::-1]


def _as_project(end: Event, before: Event) -> Event:
    """An `end` event, converted to the `project` event of the same change."""
    known = before.data
    project = {**known.get("project", {}), "status": end.data["status"], "version": end.version}
    data = {"version": end.version, "progress": known["progress"], "project": project}
    return encode(end.version, "project", to_json(data))


def _chunk(events: Iterable[Event]) -> tuple[bytes, int]:
    frames: list[bytes] = []
    size = version = 0
    for event in events:
        frames.append(event.frame)
        version = event.version
        size += len(event.frame)
        if size >= CHUNK_BYTES:
            break
    return b"".join(frames), version
