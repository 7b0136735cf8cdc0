"""The tracked step of a test, and waits for its row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import activity

from tests.support.record import Json, Record
from tests.support.servers import eventually
from tests.support.tracked import STEP

LONG = 50.0
"""Upper limit of waits in seconds; no test reaches it."""


def step(run: Callable[[], Any]) -> Callable[..., Any]:
    """The test's step: each attempt calls `run` in the event loop."""

    @activity.defn(name=STEP)
    async def build() -> Any:
        answer = run()
        return await answer if asyncio.iscoroutine(answer) else answer

    return build


async def until(record: Record, **wanted: Any) -> Json:
    """Wait until the step's row has these values, or satisfies them if they are functions."""

    async def reached() -> Json | None:
        try:
            row = await record.step(STEP)
        except TypeError:
            return None
        for name, value in wanted.items():
            if not (value(row[name]) if callable(value) else row[name] == value):
                return None
        return row

    return await eventually(reached)  # type: ignore[no-any-return]


async def outcomes(record: Record) -> list[str | None]:
    """The outcome of each attempt at the step."""
    return [each["outcome"] for each in await record.attempts(STEP)]


async def heartbeat_on() -> None:
    """Heartbeat until cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)
