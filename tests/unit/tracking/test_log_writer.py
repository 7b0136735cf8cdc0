"""The writer of logs, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stepway_tracking.logs.attempt_log import AttemptKey, Batch
from stepway_tracking.logs.kept import LogLimits
from stepway_tracking.logs.writer import LogWriter
from tests.support.servers import eventually

PROJECT = "00000000-0000-0000-0000-000000000000"


class Rows:
    """A store that keeps rows in memory."""

    def __init__(self) -> None:
        self.rows: list[Batch] = []

    async def write(self, batches: Sequence[Batch]) -> None:
        self.rows += batches

    async def size(self, project_id: str) -> int:
        return self.kept

    @property
    def kept(self) -> int:
        return sum(row.size for row in self.rows)

    async def trim(self, key: AttemptKey, start: int, stop: int) -> int:
        before = self.kept
        self.rows = [
            row
            for row in self.rows
            if row.key != key or row.offset < start or row.offset + row.size > stop
        ]
        return before - self.kept


def writer_of(rows: Rows, limits: LogLimits | None = None) -> LogWriter:
    return LogWriter(rows, lambda value: value, lambda key, seq: None, limits)  # type: ignore[arg-type]


async def test_a_step_that_logs_without_a_pause_schedules_one_wake_up() -> None:
    writer = writer_of(Rows())
    log = writer.open(AttemptKey(PROJECT, "step", "run", "1", 1))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    waiting = len(loop._ready)  # type: ignore[attr-defined]
    for _ in range(1_000):
        log.log("info", "line")
    assert len(loop._ready) <= waiting + 1  # type: ignore[attr-defined]
    await eventually(lambda: _is(log.is_empty))
    log.log("info", "later")
    await eventually(lambda: _is(log.is_empty))
    await writer.close()


async def _is(condition: object) -> bool:
    return bool(condition)
