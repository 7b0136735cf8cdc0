"""Writes the logs of a worker's attempts in the background. No step waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
from prometheus_client import Counter
from temporalio import activity

from stepway_tracking.logs.archive import LogArchive, archive_forever
from stepway_tracking.logs.attempt_log import AttemptKey, AttemptLog, Batch, Room
from stepway_tracking.logs.blobs import LogBlobs
from stepway_tracking.logs.capture import captured_logging
from stepway_tracking.logs.kept import LogLimits, ProjectSizes
from stepway_tracking.logs.redacting import LineRedactor, Secrets, secrets_of
from stepway_tracking.logs.retention import DAYS, keep_forever
from stepway_tracking.logs.store import LogStore
from stepway_tracking.postgres import REFUSED, UNREACHABLE
from stepway_tracking.record.store import Redact
from stepway_tracking.stream.publisher import Publisher, logs_channel

log = logging.getLogger(__name__)

LINES_LOST = Counter(
    "stepway_log_lines_lost_total",
    "Lines of steps' logs that could not be kept; readers see a gap.",
)

PAUSE = 0.2
"""Seconds between two writes."""

PARTIAL_AFTER = 1.0
"""Seconds after which a line without an end is shown."""

BARS_EVERY = 15.0
"""Seconds after which the state of a progress bar is shown."""

ROW = 256 * 1024
"""Characters in a row, about."""

TRIM_EVERY = 1024 * 1024
"""Characters after which rows before the tail are deleted."""

ROWS_AT_ONCE = 16
"""Rows in one statement, if so few logs have lines."""

LOGS_AT_ONCE = 64
"""Logs in one statement."""

LONG = 64 * 1024
"""Characters from which lines are redacted in a thread."""

WRITE_LIMIT = 5.0
"""Seconds that one write may take."""

RETRY_DELAY = 1.0
"""Seconds after a failed write."""

LAST_PATIENCE = 2.0
"""Seconds that the last lines have left when the worker ends."""


class LogWriter:
    """Opens the logs of attempts and writes their lines every PAUSE seconds.

    While Postgres is unreachable, each log keeps its oldest and newest lines in memory, and drops
    the others. `notify` tells readers that an attempt has new lines.
    """

    def __init__(
        self,
        store: LogStore,
        redact: Redact | Secrets,
        notify: Callable[[AttemptKey, int], None],
        limits: LogLimits | None = None,
    ) -> None:
        self._store = store
        self._secrets = secrets_of(redact)
        self._notify = notify
        self._sizes = ProjectSizes(store, limits or LogLimits())
        self._logs: list[_OpenLog] = []
        self._room = Room()
        self._wake = asyncio.Event()
        self._wakes = False
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_idle(self) -> bool:
        """Whether all logs are closed and written."""
        return not self._logs

    def open(self, key: AttemptKey) -> AttemptLog:
        """The log of an attempt that begins now. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        opened = AttemptLog(key, self._woken, self._room)
        self._logs.append(_OpenLog(opened, self._secrets))
        self._room.logs = len(self._logs)
        if self._task is None or self._task.done():
            self._wakes = False
            self._task = asyncio.create_task(self._run())
        return opened

    async def close(self) -> None:
        """Write what waits, for a moment; what is left then is lost."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_PATIENCE):
                while await self._write_round():
                    pass
        except (TimeoutError, *UNREACHABLE, asyncpg.PostgresError) as error:
            log.warning("The last lines of %s logs are lost: %r", len(self._logs), error)

    def _woken(self) -> None:
        assert self._loop is not None
        if self._wakes or self._wake.is_set() or self._loop.is_closed():
            return
        # A step that logs without a pause would fill the loop with wake-ups that it never runs.
        self._wakes = True
        self._loop.call_soon_threadsafe(self._set_wake)

    def _set_wake(self) -> None:
        self._wakes = False
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wait()
            try:
                await self._write_round()
            except (*UNREACHABLE, asyncpg.PostgresError) as error:
                log.warning("The lines of steps are not written now: %r", error)
                await asyncio.sleep(RETRY_DELAY)
            except Exception:
                # Whatever it is: without this task no line would be written any more.
                log.exception("Writing the lines of steps failed; trying again")
                await asyncio.sleep(RETRY_DELAY)
            if not any(opened.log.is_filling for opened in self._logs):
                await asyncio.sleep(PAUSE)

    async def _wait(self) -> None:
        """Wait for a line or the end of a log, or until part of a line has waited long enough."""
        if any(opened.log.is_filling for opened in self._logs):
            return
        try:
            async with asyncio.timeout(PARTIAL_AFTER if self._logs else None):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _write_round(self) -> bool:
        """Write what waits, some rows of each log; whether there was anything."""
        for opened in self._logs:
            opened.prepare()
        waiting = [opened for opened in self._logs if not opened.is_empty]
        for begin in range(0, len(waiting), LOGS_AT_ONCE):
            await self._write(waiting[begin : begin + LOGS_AT_ONCE])
        self._logs = [opened for opened in self._logs if not opened.is_done]
        self._room.logs = len(self._logs)
        return bool(waiting)

    async def _write(self, logs: Sequence[_OpenLog]) -> None:
        rows = max(1, ROWS_AT_ONCE // len(logs))
        texts = sum(opened.take(rows) for opened in logs)
        if texts > LONG:
            await asyncio.to_thread(self._redact_all, logs)
        else:
            self._redact_all(logs)
        for opened in logs:
            # Before these lines count.
            opened.limit(*await self._sizes.kept(opened.log.key.project_id))
        await self._store_rows([batch for opened in logs for batch in opened.batches])
        for opened in logs:
            last_seq = opened.batches[-1].last_seq
            size = sum(batch.size for batch in opened.batches)
            self._sizes.add(opened.log.key.project_id, size)
            opened.written()
            self._notify(opened.log.key, last_seq)
        for opened in logs:
            await self._trim(opened)

    async def _store_rows(self, batches: list[Batch]) -> None:
        try:
            async with asyncio.timeout(WRITE_LIMIT):
                await self._store.write(batches)
        except REFUSED as error:
            if len(batches) == 1:
                log.error("A row of the log of %s cannot be kept: %r", batches[0].key, error)
                LINES_LOST.inc(len(batches[0].lines))
                return
            # The others must not wait for the one that is refused.
            for batch in batches:
                await self._store_rows([batch])

    def _redact_all(self, logs: Sequence[_OpenLog]) -> None:
        for opened in logs:
            opened.redact()

    async def _trim(self, opened: _OpenLog) -> None:
        end = opened.size - opened.tail
        if end > opened.head and end - opened.trimmed >= min(TRIM_EVERY, opened.tail):
            trimmed = await self._store.trim(opened.log.key, opened.head, end)
            self._sizes.add(opened.log.key.project_id, -trimmed)
            opened.trimmed = end


@asynccontextmanager
async def open_logs(
    pool: asyncpg.Pool,
    publisher: Publisher,
    redact: Redact | Secrets,
    *,
    days: int | None = DAYS,
    limits: LogLimits | None = None,
    blobs: LogBlobs | None = None,
) -> AsyncIterator[LogWriter]:
    """A writer that captures what this process logs in its attempts while the context is open.

    Meanwhile, lines that are older than `days` days are removed; None keeps all. The logs of ended
    attempts are moved into the store `blobs`, if there is one.
    """

    def notify(key: AttemptKey, seq: int) -> None:
        message = json.dumps({"step": key.step, "rollback": key.rollback, "seq": seq})
        publisher.hint(logs_channel(key.project_id), message)

    # Without a level of its own, the root's applies, which is `warning` by default.
    if activity.logger.logger.level == logging.NOTSET:
        activity.logger.logger.setLevel(logging.INFO)
    store = LogStore(pool)
    writer = LogWriter(store, redact, notify, limits)
    tasks = [asyncio.create_task(keep_forever(store, days))]
    if blobs is not None:
        tasks.append(asyncio.create_task(archive_forever(LogArchive(pool, blobs), days)))
    try:
        with captured_logging():
            yield writer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await writer.close()


class _OpenLog:
    """A log with the rows that are being written, which are kept until Postgres has them."""

    def __init__(self, log: AttemptLog, secrets: Secrets) -> None:
        self.log = log
        self.size = 0
        """Characters that are written or were dropped."""
        self.trimmed = 0
        self.head = self.tail = sys.maxsize
        """Characters that are kept of its beginning and its end."""
        self.batches: list[Batch] = []
        self._redactor = LineRedactor(secrets)
        self._redacted = 0
        """How many of the rows are redacted."""
        self._dropped = 0
        self._quiet_since = self._bars_since = time.monotonic()

    @property
    def is_empty(self) -> bool:
        return not self.batches and self.log.is_empty

    @property
    def is_done(self) -> bool:
        return self.log.closed and self.is_empty

    def prepare(self) -> None:
        """Show a part of a line whose end has not come for PARTIAL_AFTER seconds."""
        now = time.monotonic()
        if not self.log.is_empty:
            self._quiet_since = now
        elif now - self._quiet_since >= PARTIAL_AFTER:
            bars = now - self._bars_since >= BARS_EVERY
            self.log.flush_partial(self._redactor.begun, bars=bars)
            self._quiet_since = now
            self._bars_since = now if bars else self._bars_since
        dropped = self.log.dropped
        LINES_LOST.inc(dropped - self._dropped)
        self._dropped = dropped

    def limit(self, head: int, tail: int) -> None:
        """Keep so much from now on, or less as before; what is written of its beginning stays."""
        self.head = min(self.head, max(head, self.size))
        self.tail = min(self.tail, tail)

    def take(self, rows: int) -> int:
        """Take up to so many rows, unless some are there; return the characters to redact."""
        while len(self.batches) < rows and (batch := self.log.take(ROW)):
            self.batches.append(batch)
        return sum(batch.size for batch in self.batches[self._redacted :])

    def redact(self) -> None:
        for number in range(self._redacted, len(self.batches)):
            batch = self.batches[number]
            self.batches[number] = replace(batch, lines=tuple(self._redactor.redacted(batch.lines)))
        self._redacted = len(self.batches)

    def written(self) -> None:
        last = self.batches[-1]
        self.size = last.offset + last.size
        self.batches, self._redacted = [], 0
