"""Notices that a step blocks the worker's event loop, and keeps the other steps alive meanwhile."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.bridge.proto import ActivityHeartbeat
from temporalio.client import Client
from temporalio.worker import ActivityOutboundInterceptor

log = logging.getLogger(__name__)

BEATS_AFTER = 0.5
"""Seconds without an answer after which the thread sends the heartbeats."""

BLOCKED_AFTER = 4.0
"""Seconds without an answer after which the event loop counts as blocked, which is logged."""

PAUSE = 0.25
"""Seconds between two questions to the event loop."""

HEARTBEAT_SECONDS = 1.0
"""Seconds between the heartbeats that are sent in place of a blocked event loop."""

HEARTBEAT_LIMIT = 3.0
"""Seconds that Temporal has to answer one."""

LONGEST_BLOCK = 600.0
"""Seconds after which they stop: a worker that is blocked for longer loses its steps."""


@dataclass(eq=False)
class _Attempt:
    step: str
    token: bytes
    details: Callable[[], Sequence[Any]]
    record: Callable[[ActivityHeartbeat], None] | None


class LoopWatch:
    """A thread that asks the event loop for an answer as long as steps run on it.

    With a `client`, the thread heartbeats for all steps of a blocked event loop.
    """

    def __init__(self, client: Client | None) -> None:
        self._client = client
        self._attempts: set[_Attempt] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def attending(
        self,
        step: str,
        details: Callable[[], Sequence[Any]],
        outbound: ActivityOutboundInterceptor,
    ) -> Iterator[None]:
        """Watch the running event loop during an attempt.

        `details` are of its last heartbeat; `outbound` is where its heartbeats go.
        """
        attempt = _Attempt(step, activity.info().task_token, details, _recorder(outbound))
        with self._lock:
            self._attempts.add(attempt)
            if self._thread is None:
                watched = (asyncio.get_running_loop(), threading.get_ident())
                self._thread = threading.Thread(
                    target=self._watch, args=watched, name="stepway-loop-watch", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._attempts.discard(attempt)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while self._is_needed():
            answered = threading.Event()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # The loop is closed.
                return
            if not answered.wait(BEATS_AFTER):
                self._wait_out(answered, thread)
            time.sleep(PAUSE)

    def _is_needed(self) -> bool:
        with self._lock:
            if not self._attempts:
                self._thread = None
            return self._thread is not None

    def _wait_out(self, answered: threading.Event, thread: int) -> None:
        began = time.monotonic() - BEATS_AFTER
        is_logged = False
        while time.monotonic() - began < LONGEST_BLOCK:
            asyncio.run(self._heartbeat())
            if answered.wait(HEARTBEAT_SECONDS):
                break
            if not is_logged and time.monotonic() - began >= BLOCKED_AFTER:
                is_logged = True
                self._log_stack(thread)
        else:
            log.error(
                "The event loop is blocked for %.0f s: the worker loses its steps.", LONGEST_BLOCK
            )
            answered.wait()
        if is_logged:
            log.warning("The event loop was blocked for %.0f s.", time.monotonic() - began)

    def _log_stack(self, thread: int) -> None:
        log.warning(
            "A step blocks the worker's event loop, so no other step of this worker goes on. "
            "Make the step a plain function (def instead of async def), or run the blocking call "
            "with asyncio.to_thread. Steps that run here: %s. The loop is at:\n%s",
            ", ".join(sorted({attempt.step for attempt in self._running()})),
            _stack(thread),
        )

    def _running(self) -> list[_Attempt]:
        with self._lock:
            return [*self._attempts]

    async def _heartbeat(self) -> None:
        if self._client is None:
            return
        beats = [
            asyncio.wait_for(self._heartbeat_for(self._client, attempt), HEARTBEAT_LIMIT)
            for attempt in self._running()
        ]
        for outcome in await asyncio.gather(*beats, return_exceptions=True):
            if isinstance(outcome, Exception):
                # The step hears of a cancellation when its event loop goes on.
                log.debug("A heartbeat was refused: %r", outcome)

    async def _heartbeat_for(self, client: Client, attempt: _Attempt) -> None:
        details = attempt.details()
        if attempt.record is None:
            handle = client.get_async_activity_handle(task_token=attempt.token)
            await handle.heartbeat(*details)
            return
        heartbeat = ActivityHeartbeat(task_token=attempt.token)
        heartbeat.details.extend(await client.data_converter.encode(details))
        attempt.record(heartbeat)


def _recorder(
    outbound: ActivityOutboundInterceptor,
) -> Callable[[ActivityHeartbeat], None] | None:
    """Return how the SDK itself records a heartbeat; it has no public way without the event loop.

    A heartbeat by a client reaches Temporal only. The SDK would still cancel the activity five
    seconds after its heartbeat timeout.
    """
    while isinstance(inner := getattr(outbound, "next", None), ActivityOutboundInterceptor):
        outbound = inner
    bridge_worker = getattr(getattr(outbound, "_worker", None), "_bridge_worker", None)
    return getattr(bridge_worker() if bridge_worker else None, "record_activity_heartbeat", None)


def _stack(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame else "(unknown)"
