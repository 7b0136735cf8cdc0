"""The state of a project's steps, as its workflow would have it, and whether a control fits it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from temporalio.exceptions import ApplicationError

from stepway.api.commands.records import ProjectRecord, Records, StepRecord, resumed_states
from stepway.api.commands.retry_parameters import plan_of
from stepway.api.commands.updates import raise_typed
from stepway.workflows.engine import rules
from stepway.workflows.engine.board import Board
from stepway.workflows.model.messages import Resumed
from stepway.workflows.model.plan import Graph, Plan
from stepway_tracking.record.errors import Refused, StepUnknown

ONLY_RECORDED = (
    "This project's workflow is not Stepway's own: stepway-tracking records it, and it takes no "
    "retry, skip or cancel. Use Temporal, or the code that started it."
)


class Boards:
    """Reads projects and the state of their steps."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def project(self, project_id: UUID) -> ProjectRecord:
        """Return a project that takes updates. Raises ProjectUnknown, Refused."""
        project = await self._records.project(project_id)
        if not project.takes_updates:
            raise Refused(ONLY_RECORDED)
        return project

    async def require_step(self, project_id: UUID, step: str) -> None:
        """Raise StepUnknown unless the project has this step."""
        names = [record.step for record in await self._records.steps(project_id)]
        if step not in names:
            raise StepUnknown(f"Unknown step {step}; available steps: {', '.join(names)}.")

    async def retried(self, project: ProjectRecord) -> tuple[Board, list[StepRecord]]:
        """Return what a retry starts from. Raises Refused if there can be none."""
        if project.status == "active":
            raise Refused(ended_sentence(project))
        return await self.of(project)

    async def of(
        self, project: ProjectRecord, cancelling: str = rules.BEING_CANCELLED
    ) -> tuple[Board, list[StepRecord]]:
        """Return the state of the steps. Raises Refused(cancelling) while they are cancelled."""
        if await self._records.is_being_cancelled(project):
            raise Refused(cancelling)
        records = await self._records.steps(project.id)
        plan = plan_of(project, project.parameters)
        states = {one.step: one.status for one in records}
        if project.ended:
            states = resumed_states(records, Graph(plan.steps))
        return board_of(plan, Resumed(states, {}, {})), records


def board_of(plan: Plan, resumed: Resumed | None) -> Board:
    """Return the board of a run that is not running."""
    return Board(plan, resumed, _no_clock)


def require_failed(board: Board, step: str, *, ended: bool) -> None:
    """Raise Refused unless the step has failed."""
    refuse_typed(rules.must_be_failed, board, step, "retried", ended=ended)


def refuse_typed(rule: Callable[..., None], *given: Any, **more: Any) -> None:
    """Apply a rule of the workflow. Raises Refused, StepUnknown."""
    try:
        rule(*given, **more)
    except ApplicationError as error:
        raise_typed(error)


def ended_sentence(project: ProjectRecord) -> str:
    if project.status == "active":
        return "The initialization has ended: the project is active."
    return f"The initialization has ended: the project is {project.status}. You can retry it."


def _no_clock() -> datetime:
    return datetime.min.replace(tzinfo=UTC)
