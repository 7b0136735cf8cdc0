"""Reads the results that did not fit into the input of a run from the record."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.sizes import LARGEST_PAYLOAD, TaskRoom, payload_size
from stepway.workflows.model.references import steps_named
from stepway_tracking.workflow.recording import WorkflowRecord


class KeptResults:
    """Puts results on the board when arguments refer to them.

    History has each result that was read, so reads take room in their workflow task.
    """

    def __init__(self, board: Board, record: WorkflowRecord, room: TaskRoom) -> None:
        self._board = board
        self._record = record
        self._room = room
        self._reading = False

    async def read(self, arguments: dict[str, Any], *more: str) -> None:
        """Read the results of the steps that the arguments name, and of the steps in `more`."""
        if not self._board.kept:
            return
        for step in sorted(self._board.kept & {*steps_named(arguments), *more}):
            if not await self._has_been_read(step):
                await self._read(step)

    async def _has_been_read(self, step: str) -> bool:
        """Wait for other reads, whose sizes are not known; return whether one read this result."""
        while self._reading and workflow.patched("reads-one-by-one"):
            await workflow.wait_condition(lambda: not self._reading)
            if step not in self._board.kept:
                return True
        return False

    async def _read(self, step: str) -> None:
        self._reading = True
        try:
            await self._room.take(LARGEST_PAYLOAD, f"sizes-{step}/read")
            result = (await self._record.kept(step)).result
        finally:
            self._reading = False
        self._room.give_back(LARGEST_PAYLOAD - payload_size(result))
        self._board.remember(step, result)
