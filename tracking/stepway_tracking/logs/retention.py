"""Removes old lines, and prepares the partitions of the next days."""

from __future__ import annotations

import asyncio
import logging
import random

import asyncpg

from stepway_tracking.logs.store import LogStore
from stepway_tracking.postgres import UNREACHABLE

log = logging.getLogger(__name__)

DAYS = 30
"""Days for which lines are kept, unless the deployment says otherwise."""

EVERY = 3600.0
"""Seconds between two looks; any worker may do it."""


async def keep_forever(store: LogStore, days: int | None) -> None:
    """Do so every hour, until cancelled. Failures are logged."""
    while True:
        try:
            if dropped := await store.keep(days):
                log.info("Removed the lines of %s days from the logs of steps", dropped)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            log.warning("Old lines of steps are not removed now: %r", error)
        await asyncio.sleep(EVERY * random.uniform(0.5, 1))
