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


async def test_the_limit_of_a_project_holds_for_steps_that_run_at_once() -> None:
    rows = Rows()
    limits = LogLimits(head=100_000, tail=50_000, project=1_000_000, small=10_000)
    writer = writer_of(rows, limits)
    logs = [writer.open(AttemptKey(PROJECT, f"step-{n}", "run", "1", 1)) for n in range(100)]
    for _ in range(12):
        for log in logs:
            log.output("stdout", b"x" * 9_999 + b"\n")
        await eventually(lambda: _is(all(log.is_empty for log in logs)))
    for log in logs:
        log.close()
    await eventually(lambda: _is(writer.is_idle))
    # Each may keep its last lines: `small`, and the row that this begins in.
    assert rows.kept <= limits.project + len(logs) * (limits.small + 2 * 10_000)
    # What was written before the limit was reached is not taken away.
    firsts = {row.key.step for row in rows.rows if row.first_seq == 1}
    assert len(firsts) >= 50
    await writer.close()


async def _is(condition: object) -> bool:
    return bool(condition)
