"""Holds the code of a step to its limits: its timeout and its heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway_tracking.record.facts import ROLLBACK_TIMEOUT_REMEDY, TIMEOUT_REMEDY
from stepway_tracking.workflow.marks import StepMark

LIMIT_EXCEEDED = "LimitExceeded"
"""The type of the error of a step that has exceeded a limit."""

TICK = 1.0
"""Longest time in seconds between two looks at a step."""

BEGIN_TICK = 0.1
"""The same as long as the step waits for a thread."""

LATE = 0.5
"""Seconds that a look may be late. More is not counted: something else blocks the event loop."""

GRACE = 5.0
"""Seconds that a step has to stop after it has exceeded a limit."""


class StepLimits:
    """Runs the code of one attempt; counts the time in which it could run.

    `heartbeats` counts the step's own heartbeats. `stop_thread` raises the cancellation in the
    step's thread; it is None for a coroutine.
    """

    def __init__(
        self,
        mark: StepMark,
        heartbeats: Callable[[], int],
        has_begun: Callable[[], bool] = lambda: True,
        stop_thread: Callable[[], None] | None = None,
    ) -> None:
        self._remedy = ROLLBACK_TIMEOUT_REMEDY if mark.undo else TIMEOUT_REMEDY
        self._timeout = mark.timeout if mark.timeout is not None else float("inf")
        self._heartbeat = mark.heartbeat if mark.heartbeat is not None else float("inf")
        self._heartbeats = heartbeats
        self._has_begun = has_begun
        self._stop_thread = stop_thread
        self._ran = 0.0
        self._silent = 0.0
        self._beats = heartbeats()
        self._exceeded = False

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody else than these limits has cancelled the attempt."""
        if self._exceeded and activity.cancellation_details() is None:
            return False
        return activity.is_cancelled()

    async def hold(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        """What the step returns. Raises what it raises, or ApplicationError for a limit."""
        step = asyncio.create_task(_caught(execute))
        while not step.done():
            try:
                text = await self._look_at(step)
            except asyncio.CancelledError:
                step.cancel()
                continue
            if text and not step.done():
                await self._stop(step)
                if not _has_result(step):
                    raise self._error(text) from _error_of(step)
        result, exit_error = step.result()
        if exit_error is not None:
            raise exit_error
        return result

    def _error(self, text: str) -> ApplicationError:
        remedy = [{"remedy": self._remedy}] if self._ran >= self._timeout else []
        return ApplicationError(text, *remedy, type=LIMIT_EXCEEDED)

    async def _look_at(self, step: asyncio.Task[Any]) -> str:
        """Wait for the step, briefly; which limit it has exceeded, as a text."""
        loop = asyncio.get_running_loop()
        left = min(self._timeout - self._ran, self._heartbeat - self._silent)
        pause = max(0.0, min(TICK, self._heartbeat / 5, left))
        before, had_begun = loop.time(), self._has_begun()
        await asyncio.wait([step], timeout=pause if had_begun else min(pause, BEGIN_TICK))
        if had_begun:
            passed = min(loop.time() - before, pause + LATE)
            self._ran += passed
            self._silent += passed
        if self._heartbeats() != self._beats:
            self._beats, self._silent = self._heartbeats(), 0.0
        if self._ran >= self._timeout:
            return f"The step exceeded its time limit of {self._timeout:g} s."
        if self._silent >= self._heartbeat:
            return f"The step sent no heartbeat for {self._heartbeat:g} s: it does not respond."
        return ""

    async def _stop(self, step: asyncio.Task[Any]) -> None:
        """Cancel the step as Temporal would; give it up if it does not stop."""
        self._exceeded = True
        if self._stop_thread:
            self._stop_thread()
        else:
            step.cancel()
        try:
            await asyncio.wait([step], timeout=GRACE)
        finally:
            step.cancel()


async def _caught(execute: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
    """A task that raises SystemExit would end the event loop, so it is returned."""
    try:
        return await execute(), None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


def _has_result(step: asyncio.Task[Any]) -> bool:
    return step.done() and not step.cancelled() and step.exception() is None


def _error_of(step: asyncio.Task[Any]) -> BaseException | None:
    """Where the step was when it was stopped; None if it has not stopped."""
    if not step.done():
        step.add_done_callback(_ignore)
        return None
    try:
        return step.exception()
    except asyncio.CancelledError as error:
        return error


def _ignore(step: asyncio.Task[Any]) -> None:
    """Keep asyncio from reporting the late end of a step that was given up."""
    if not step.cancelled():
        step.exception()
