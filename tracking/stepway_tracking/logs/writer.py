"""Writes the logs of a worker's attempts in the background. No step waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
from prometheus_client import Counter
from temporalio import activity

from stepway_tracking.logs.attempt_log import AttemptKey, AttemptLog, Batch
from stepway_tracking.logs.capture import CapturingHandler
from stepway_tracking.logs.kept import LogLimits, ProjectSizes
from stepway_tracking.logs.redacting import redacted
from stepway_tracking.logs.retention import DAYS, keep_forever
from stepway_tracking.logs.store import LogStore
from stepway_tracking.postgres import UNREACHABLE
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

ROW = 256 * 1024
"""Characters in a row, about."""

TRIM_EVERY = 1024 * 1024
"""Characters after which rows before the tail are deleted."""

WRITE_LIMIT = 5.0
"""Seconds that one write may take."""

RETRY_DELAY = 1.0
"""Seconds after a failed write."""

LAST_PATIENCE = 2.0
"""Seconds that the last lines have left when the worker ends."""


class LogWriter:
    """Opens the logs of attempts and writes their lines every PAUSE seconds.

    While Postgres is unreachable, each log keeps its newest lines in memory and drops older ones.
    `notify` tells readers that an attempt has new lines.
    """

    def __init__(
        self,
        store: LogStore,
        redact: Redact,
        notify: Callable[[AttemptKey, int], None],
        limits: LogLimits | None = None,
    ) -> None:
        self._store = store
        self._redact = redact
        self._notify = notify
        self._sizes = ProjectSizes(store, limits or LogLimits())
        self._logs: dict[AttemptKey, _OpenLog] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, key: AttemptKey) -> AttemptLog:
        """The log of an attempt that begins now. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        opened = AttemptLog(key, self._woken)
        self._logs[key] = _OpenLog(opened)
        if self._task is None or self._task.done():
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
        if not self._wake.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        while True:
            # Woken by each line; without one, parts of lines may wait for their time.
            try:
                async with asyncio.timeout(PARTIAL_AFTER):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if not self._logs:
                await self._wake.wait()
            try:
                async with asyncio.timeout(WRITE_LIMIT):
                    await self._write_round()
            except (TimeoutError, *UNREACHABLE, asyncpg.PostgresError) as error:
                log.warning("The lines of steps are not written now: %r", error)
                await asyncio.sleep(RETRY_DELAY)
            await asyncio.sleep(PAUSE)

    async def _write_round(self) -> bool:
        """Write what waits, one row of each log; whether there was anything."""
        for opened in self._logs.values():
            opened.prepare()
        pending = [(opened, batch) for opened in self._logs.values() if (batch := opened.next())]
        if pending:
            texts = await asyncio.to_thread(self._redacted, [batch for _, batch in pending])
            await self._store.write(texts)
            for opened, batch in pending:
                opened.written(batch)
                self._notify(batch.key, batch.lines[-1].seq)
                await self._trim(opened)
        for key in [key for key, opened in self._logs.items() if opened.is_done]:
            del self._logs[key]
        return bool(pending)

    def _redacted(self, batches: list[Batch]) -> list[Batch]:
        return [
            replace(batch, lines=tuple(redacted(batch.lines, self._redact))) for batch in batches
        ]

    async def _trim(self, opened: _OpenLog) -> None:
        key = opened.log.key
        opened.kept = opened.kept or await self._sizes.kept(key.project_id)
        head, tail = opened.kept
        end = opened.size - tail
        if end > head and end - opened.trimmed >= min(TRIM_EVERY, tail):
            await self._store.trim(key, head, end)
            opened.trimmed = end


@asynccontextmanager
async def open_logs(
    pool: asyncpg.Pool,
    publisher: Publisher,
    redact: Redact,
    *,
    days: int | None = DAYS,
    limits: LogLimits | None = None,
) -> AsyncIterator[LogWriter]:
    """A writer that captures what this process logs in its attempts while the context is open.

    Meanwhile, lines that are older than `days` days are removed; None keeps all.
    """

    def notify(key: AttemptKey, seq: int) -> None:
        message = json.dumps({"step": key.step, "rollback": key.rollback, "seq": seq})
        publisher.publish_on(logs_channel(key.project_id), [message])

    handler = CapturingHandler()
    logging.getLogger().addHandler(handler)
    # Without a level of its own, the root's applies, which is `warning` by default.
    if activity.logger.logger.level == logging.NOTSET:
        activity.logger.logger.setLevel(logging.INFO)
    store = LogStore(pool)
    writer = LogWriter(store, redact, notify, limits)
    keeping = asyncio.create_task(keep_forever(store, days))
    try:
        yield writer
    finally:
        keeping.cancel()
        logging.getLogger().removeHandler(handler)
        await writer.close()


class _OpenLog:
    """A log with the batch that is being written, which is kept until Postgres has it."""

    def __init__(self, log: AttemptLog) -> None:
        self.log = log
        self.size = 0
        """Characters that are written or were dropped."""
        self.trimmed = 0
        self.kept: tuple[int, int] | None = None
        """Characters that are kept of its beginning and its end."""
        self._batch: Batch | None = None
        self._quiet_since = time.monotonic()

    @property
    def is_done(self) -> bool:
        return self.log.closed and self._batch is None and self.log.is_empty

    def prepare(self) -> None:
        """Show a part of a line whose end has not come for PARTIAL_AFTER seconds."""
        if not self.log.is_empty:
            self._quiet_since = time.monotonic()
        elif time.monotonic() - self._quiet_since >= PARTIAL_AFTER:
            self.log.flush_partial()
            self._quiet_since = time.monotonic()

    def next(self) -> Batch | None:
        self._batch = self._batch or self.log.take(ROW)
        return self._batch

    def written(self, batch: Batch) -> None:
        self.size = batch.offset + batch.size
        self._batch = None
