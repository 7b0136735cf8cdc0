"""The rows that a new initialization starts with."""

from __future__ import annotations

from temporalio import workflow

from stepway.workflows.engine.board import Board, default_text
from stepway.workflows.model.messages import InitializationInput
from stepway.workflows.model.plan import PlannedStep
from stepway_tracking.record.changes import NewInitialization, PlannedRow


def new_initialization(given: InitializationInput, board: Board) -> NewInitialization:
    """Return the project and its steps, in the plan's order, all pending."""
    return NewInitialization(
        project_id=given.project_id,
        name=given.name,
        owner=given.owner,
        blueprint=given.plan.blueprint,
        parameters=given.parameters,
        definition=given.definition,
        steps=[_planned_row(board.steps[step]) for step in board.graph.order],
        workflow_id=workflow.info().workflow_id,
        run_id=workflow.info().run_id,
        request_hash=given.request_hash,
        deadline=given.deadline,
        actor=given.actor,
        task_queue=workflow.info().task_queue,
    )


def _planned_row(step: PlannedStep) -> PlannedRow:
    return PlannedRow(
        step.step,
        default_text(step.display_name),
        step.weight,
        step.optional,
        {"display_names": step.display_name},
        step.queue,
    )
