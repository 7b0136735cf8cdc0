"""A step that was stopped is not started any more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from stepway.workflows.engine import execution as module
from stepway.workflows.engine.board import Board
from stepway.workflows.engine.execution import Execution
from stepway.workflows.model.messages import InitializationInput
from stepway.workflows.model.plan import Plan, PlannedStep
from stepway_tracking.workflow.recording import WorkflowRecord

STEP = PlannedStep("a", {"en": "A"}, "noop", {"x": 1})
PLAN = Plan("test", {"en": "Test"}, [STEP], 60.0)


def execution() -> Execution:
    """The execution of a step, which has no Temporal to start it."""
    given = InitializationInput(
        project_id="p", name="shop", owner="alice", plan=PLAN, parameters={}, definition={},
        request_hash="", deadline="", actor="alice",
    )  # fmt: skip
    board = Board(PLAN, None, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    return Execution(given, board, cast(WorkflowRecord, None))


async def test_step_is_not_begun_after_a_stop() -> None:
    stopped = execution()
    stopped.stop()
    with pytest.raises(asyncio.CancelledError):
        await stopped.run(STEP)


async def test_step_that_waited_for_room_is_not_started_after_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = execution()
    sizes: list[int] = []

    async def take(size: int, patch: str) -> None:
        sizes.append(size)
        stopped.stop()

    def checked_size(arguments: dict[str, Any], what: str, patch: str) -> int:
        return len(arguments)

    monkeypatch.setattr(module, "checked_size", checked_size)
    monkeypatch.setattr(stopped._room, "take", take)
    with pytest.raises(asyncio.CancelledError):
        await stopped.run(STEP)
    assert sizes == [2]
