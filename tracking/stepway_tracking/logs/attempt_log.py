"""Collects the lines of one attempt until the writer takes them, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from stepway_tracking.logs.assembler import LineAssembler, line_of
from stepway_tracking.logs.line import Level, LogLine, Stream

MOST_WAITING = 4 * 1024 * 1024
"""Characters that wait for the writer; beyond that, lines in the middle are dropped."""

LEAST_WAITING = 64 * 1024
"""What each log may hold, however many there are."""

ALL_WAITING = 64 * 1024 * 1024
"""Characters that wait in all logs of a process; they share it."""

LINE_OVERHEAD = 64
"""What a line counts besides its text, so that empty lines are bounded too."""


@dataclass(frozen=True)
class AttemptKey:
    """The attempt that a log belongs to; the record's row of the attempt has the same values.

    A `rollback` of a step has no such row.
    """

    project_id: str
    step: str
    run_id: str
    activity_id: str
    attempt: int
    rollback: bool = False


@dataclass(frozen=True)
class Batch:
    """Lines of one attempt in the order of their numbers. `offset` counts the characters before.

    The last batch of a log `ends` it: it has no lines, and the number after the last one.
    """

    key: AttemptKey
    lines: tuple[LogLine, ...]
    offset: int
    first_seq: int
    ends: bool = False

    @property
    def last_seq(self) -> int:
        """The number of the last line; of the end itself where there are no lines."""
        return self.first_seq + max(len(self.lines), 1) - 1

    @property
    def size(self) -> int:
        """Characters of all lines."""
        return sum(len(line.text) for line in self.lines)


class Room:
    """How much each of a process' logs may hold in memory."""

    def __init__(self) -> None:
        self.logs = 1

    @property
    def each(self) -> int:
        """Characters, with LINE_OVERHEAD for each line."""
        return min(MOST_WAITING, max(LEAST_WAITING, ALL_WAITING // max(self.logs, 1)))


class AttemptLog:
    """The log of one attempt. Any thread may write to it. `dropped` counts lines without room."""

    def __init__(
        self,
        key: AttemptKey,
        wake: Callable[[], None] = lambda: None,
        room: Room | None = None,
    ) -> None:
        self.key = key
        self.dropped = 0
        self._wake = wake
        self._room = room or Room()
        self._lock = threading.Lock()
        self._oldest = _Lines()
        self._newest = _Lines()
        """Lines after the oldest ones, once those have half of the room; dropped from its front."""
        self._lost_size = 0
        """Characters of lines that were dropped between the oldest and the newest."""
        self._seq = 0
        self._taken = 0
        """Characters of all lines that the writer has taken or that were dropped."""
        self._outputs: dict[Stream, LineAssembler] = {}
        self.closed = False
        self._end_taken = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for the writer."""
        return not self._oldest.lines and not self._newest.lines and not self._end_waits

    @property
    def is_filling(self) -> bool:
        """Whether lines will be dropped soon unless the writer takes some."""
        return self._oldest.size + self._newest.size > self._room.each // 4

    @property
    def _end_waits(self) -> bool:
        # A log without lines has no rows at all.
        return self.closed and self._seq > 0 and not self._end_taken

    def log(self, level: Level, text: str) -> None:
        """Add a message of Python's logging; each of its lines is a line of the log."""
        with self._lock:
            self._add(level, "log", [line_of(line) for line in text.splitlines() or [""]])
        self._wake()

    def output(self, stream: Stream, chunk: bytes) -> None:
        """Add the next bytes of a program's output."""
        with self._lock:
            assembler = self._outputs.setdefault(stream, LineAssembler())
            self._add("info", stream, assembler.feed(chunk))
        self._wake()

    def close(self) -> None:
        """Add what is left of the outputs; nothing is added afterwards."""
        with self._lock:
            for stream, assembler in self._outputs.items():
                self._add("info", stream, assembler.close())
            self._outputs.clear()
            self.closed = True
        if self._seq:
            self._wake()

    def flush_partial(self, begun: Callable[[str], int] = lambda text: 0, *, bars: bool) -> None:
        """Add the parts of lines that wait for their end, without what `begun` counts at it.

        States of progress bars are added only if `bars`.
        """
        with self._lock:
            for stream, assembler in self._outputs.items():
                if bars or not assembler.is_bar:
                    self._add("info", stream, assembler.flush(begun))

    def take(self, most: int) -> Batch | None:
        """Take the oldest lines, about `most` characters of them, then the end; None if empty."""
        with self._lock:
            if not self._oldest.lines:
                self._oldest, self._newest = self._newest, self._oldest
                self._taken += self._lost_size
                self._lost_size = 0
            offset, lines, size = self._taken, [], 0
            if not self._oldest.lines:
                if not self._end_waits:
                    return None
                self._end_taken = True
                return Batch(self.key, (), offset, self._seq + 1, ends=True)
            while self._oldest.lines and size < most:
                line = self._oldest.pop()
                lines.append(line)
                size += len(line.text) + LINE_OVERHEAD
                self._taken += len(line.text)
            return Batch(self.key, tuple(lines), offset, lines[0].seq)

    def _add(self, level: Level, stream: Stream, texts: Iterable[str]) -> None:
        if self.closed:
            return
        now = datetime.now(UTC)
        for text in texts:
            self._seq += 1
            self._keep(LogLine(self._seq, now, level, stream, text))

    def _keep(self, line: LogLine) -> None:
        half = self._room.each // 2
        if not self._newest.lines and self._oldest.size < half:
            self._oldest.add(line)
            return
        self._newest.add(line)
        while self._newest.size > half:
            self._lost_size += len(self._newest.pop().text)
            self.dropped += 1


class _Lines:
    """Lines in order, and their characters with LINE_OVERHEAD for each."""

    def __init__(self) -> None:
        self.lines: deque[LogLine] = deque()
        self.size = 0

    def add(self, line: LogLine) -> None:
        self.lines.append(line)
        self.size += len(line.text) + LINE_OVERHEAD

    def pop(self) -> LogLine:
        line = self.lines.popleft()
        self.size -= len(line.text) + LINE_OVERHEAD
        return line
