"""Keeps arguments, and what one workflow task sends, within Temporal's limits.

Temporal takes at most 2 MiB of arguments, and terminates a run whose worker sends it more than
4 MiB at the end of a workflow task. Signatures and encryption add less than 1 kB to each payload.
"""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

from temporalio import workflow

LARGEST_PAYLOAD = 2_000_000
"""Bytes of the arguments of one activity, or of the result of one step."""

LARGEST_TASK = 3_000_000
"""Bytes that the activities and results of one workflow task may have together."""

_PAUSE = timedelta(milliseconds=1)


class ArgumentsTooLarge(Exception):
    """The arguments of a step or rollback exceed LARGEST_PAYLOAD."""

    def __init__(self, what: str, size: int) -> None:
        super().__init__(
            f"The arguments of the {what} have {_megabytes(size)} MB; Temporal takes at most "
            f"{_megabytes(LARGEST_PAYLOAD)} MB. Pass addresses of large data instead of the data."
        )


class TaskRoom:
    """Counts the bytes that the present workflow task sends; what has no room waits for the next.

    `patch` is the ID of a patch: a history of earlier versions, which had no limits, replays.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._next: asyncio.Task[None] | None = None

    async def take(self, size: int, patch: str) -> None:
        """Count `size` bytes, at most LARGEST_PAYLOAD, in the first workflow task with room."""
        while self._taken + size > LARGEST_TASK and workflow.patched(patch):
            await self._next_task()
        self._taken += size

    def give_back(self, size: int) -> None:
        """Return room that was taken and not needed."""
        self._taken = max(0, self._taken - size)

    def renew(self) -> None:
        """Count from 0: call this when an activity has ended, which begins a workflow task."""
        self._taken = 0

    async def _next_task(self) -> None:
        if self._next is None:
            self._next = asyncio.create_task(self._renew_soon())
        # The others wait for it too.
        await asyncio.shield(self._next)

    async def _renew_soon(self) -> None:
        await asyncio.sleep(_PAUSE.total_seconds())
        self.renew()
        self._next = None


def checked_size(arguments: dict[str, Any], what: str, patch: str) -> int:
    """Return the bytes of an activity's arguments. Raises ArgumentsTooLarge.

    `what` has the arguments, for people; `patch` is like that of TaskRoom.
    """
    size = payload_size(arguments)
    if size > LARGEST_PAYLOAD and workflow.patched(patch):
        raise ArgumentsTooLarge(what, size)
    return size


def payload_size(value: Any) -> int:
    """Return the bytes of a value as Temporal stores it, without signature and encryption."""
    return workflow.payload_converter().to_payload(value).ByteSize()


def _megabytes(size: int) -> str:
    """Round up, so that what is too large never looks as if it fitted."""
    return f"{math.ceil(size / 100_000) / 10:g}"
