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
"""Characters that wait for the writer; the oldest lines are dropped beyond that."""

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
    """Lines of one attempt in the order of their numbers. `offset` counts the characters before."""

    key: AttemptKey
    lines: tuple[LogLine, ...]
    offset: int

    @property
    def size(self) -> int:
        """Characters of all lines."""
        return sum(len(line.text) for line in self.lines)


class AttemptLog:
    """The log of one attempt. Any thread may write to it."""

    def __init__(self, key: AttemptKey, wake: Callable[[], None] = lambda: None) -> None:
        self.key = key
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[LogLine] = deque()
        self._waiting_size = 0
        self._seq = 0
        self._taken = 0
        """Characters of all lines that the writer has taken or that were dropped."""
        self._outputs: dict[Stream, LineAssembler] = {}
        self.closed = False

    @property
    def is_empty(self) -> bool:
        """Whether no line waits for the writer."""
        return not self._waiting

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
        self._wake()

    def flush_partial(self) -> None:
        """Add the parts of lines that wait for their end."""
        with self._lock:
            for stream, assembler in self._outputs.items():
                self._add("info", stream, assembler.flush())

    def take(self, most: int) -> Batch | None:
        """Take the oldest lines, about `most` characters of them; None if there are none."""
        with self._lock:
            if not self._waiting:
                return None
            offset, lines, size = self._taken, [], 0
            while self._waiting and size < most:
                line = self._pop()
                lines.append(line)
                size += len(line.text) + LINE_OVERHEAD
            return Batch(self.key, tuple(lines), offset)

    def _add(self, level: Level, stream: Stream, texts: Iterable[str]) -> None:
        if self.closed:
            return
        now = datetime.now(UTC)
        for text in texts:
            self._seq += 1
            line = LogLine(self._seq, now, level, stream, text)
            self._waiting.append(line)
            self._waiting_size += len(line.text) + LINE_OVERHEAD
            while self._waiting_size > MOST_WAITING:
                self._pop()

    def _pop(self) -> LogLine:
        line = self._waiting.popleft()
        self._waiting_size -= len(line.text) + LINE_OVERHEAD
        self._taken += len(line.text)
        return line
