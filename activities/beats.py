"""Heartbeats of async steps, and work of theirs in threads that a cancel ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.exceptions import CancelledError

from stepway_tracking.record.progress import Progress

EVERY = 1.0
"""Seconds between two heartbeats."""

PATIENCE = 5.0
"""Seconds that the thread of a cancelled step has to end."""

Beat = Callable[[], None]
T = TypeVar("T")

CANCELLED_WITHIN = 60.0
"""Seconds in which a worker learns of a cancel that Temporal has said in an answer."""

MOST_THREADS = 64

_threads: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(MOST_THREADS, "step-work")
    return _threads


def release_threads() -> None:
    """Let idle threads end, and others after their work: a process that stops waits for none."""
    global _threads
    if _threads is not None:
        _threads.shutdown(wait=False)
        _threads = None


class Beats:
    """Repeats a step's last progress, or what it keeps, as its heartbeat.

    A cancel arrives with the next one.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._last: tuple[Any, ...] = (Progress(0),)
        self._is_cancelled = threading.Event()

    def say(self, progress: Progress) -> None:
        """Report progress, from the event loop or from a thread.

        Raises CancelledError in a thread whose step was cancelled.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.check()
            with suppress(RuntimeError):  # the loop is closed: the worker has ended
                self._loop.call_soon_threadsafe(self._say, progress, context=self._context)
        else:
            self._say(progress)

    def _say(self, progress: Progress) -> None:
        # In the loop, so that a repetition is never ahead of what a thread has said.
        self._last = (progress,)
        activity.heartbeat(progress)

    def keep(self, *details: Any) -> None:
        """Send details that the next attempt finds in `activity.info().heartbeat_details`."""
        self._last = details
        activity.heartbeat(*details)

    async def kept(self, *details: Any) -> None:
        """Send such details and return when Temporal has them, which `keep` does not wait for.

        Raises RPCError without Temporal, or if this attempt has been replaced by another.
        """
        self.keep(*details)
        handle = activity.client().get_async_activity_handle(task_token=activity.info().task_token)
        try:
            await handle.heartbeat(*details)
        except AsyncActivityCancelledError:
            # The cancel arrives here with the next ordinary heartbeat.
            await asyncio.wait_for(activity.wait_for_cancelled(), CANCELLED_WITHIN)

    def check(self) -> None:
        """Raise CancelledError if the step was cancelled. For threads."""
        if self._is_cancelled.is_set():
            raise CancelledError("the step was cancelled")

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread; a cancel of the step waits until the thread has noticed it.

        `work` calls `say` or `check` now and then.
        """
        context = contextvars.copy_context()
        future = self._loop.run_in_executor(_pool(), context.run, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._is_cancelled.set()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([future], timeout=PATIENCE)
            raise

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            activity.heartbeat(*self._last)


@asynccontextmanager
async def beating() -> AsyncIterator[Beats]:
    """Send a heartbeat every second while the context is open."""
    beats = Beats()
    repeating = asyncio.create_task(beats._repeat())
    try:
        yield beats
    finally:
        repeating.cancel()
