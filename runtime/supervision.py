"""Background tasks that a block of code depends on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepway.runtime.errors import ServerError


@asynccontextmanager
async def depending_on(task: asyncio.Task[Any], title: str) -> AsyncIterator[None]:
    """Cancel the block and raise ServerError as soon as `task` ends.

    The text includes the task's exception; a ServerError of the task is raised unchanged. The task
    continues if the block ends first.
    """
    body = asyncio.current_task()
    assert body, "used in a coroutine"
    ended = False

    def interrupt(_: asyncio.Task[Any]) -> None:
        nonlocal ended
        ended = True
        body.cancel()

    task.add_done_callback(interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if not ended or body.uncancel():
            raise
        raise _unexpected_end(task, title) from _error_of(task)
    finally:
        task.remove_done_callback(interrupt)


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _unexpected_end(task: asyncio.Task[Any], title: str) -> ServerError:
    error = _error_of(task)
    if isinstance(error, ServerError):
        return error
    reason = f": {type(error).__name__}: {error}" if error else ""
    return ServerError(f"{title} ended unexpectedly{reason}")
