"""One project's initialization: the order of its steps, waiting for people, and their controls."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from stepway.workflows.engine import rules
    from stepway.workflows.engine.board import Board, default_text
    from stepway.workflows.engine.decisions import Decisions, until_accepted
    from stepway.workflows.engine.ending import Ending, skipped
    from stepway.workflows.engine.execution import Execution
    from stepway.workflows.engine.failures import failure_outcome, failure_text
    from stepway.workflows.engine.search_attributes import OperatorsView
    from stepway.workflows.model import messages
    from stepway.workflows.model.messages import Cancel, InitializationInput, Retry, Skip
    from stepway.workflows.model.plan import PlannedStep
    from stepway_tracking.record.changes import (
        NewInitialization,
        PlannedRow,
        ProjectChange,
        StepChange,
    )
    from stepway_tracking.record.facts import AttemptOutcome, EndStatus, ProjectAction
    from stepway_tracking.workflow.recording import WorkflowRecord

RESUME_PATIENCE = timedelta(seconds=15)
"""How long a run that was started for a retry waits for it before it closes again."""


@workflow.defn(name=messages.WORKFLOW)
class InitializeProject:
    """Runs the steps of a plan, and waits for a person where one has failed for good."""

    @workflow.init
    def __init__(self, input: InitializationInput) -> None:
        self._input = input
        self._board = Board(input.plan, input.resumed, workflow.now)
        self._execution = Execution(input, self._board)
        self._record = WorkflowRecord(input.project_id)
        self._ending = Ending(self._board, self._execution, self._record)
        resumes = input.resumed is not None
        self._decisions = Decisions(self._board, self._record, awaited=resumes)
        self._view = OperatorsView(input.index_pause)
        self._status = "initializing"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._planned = resumes
        self._refusal: ApplicationError | None = None
        self._cancel: Cancel | None = None

    @workflow.run
    async def run(self, input: InitializationInput) -> str:
        """Bring the project to `active`.

        Closes as Failed when its start was refused or its time is over, as Cancelled when a
        cancel was asked for.
        """
        try:
            await self._initialize()
        except (ApplicationError, asyncio.CancelledError):
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status

    # What people ask for

    @workflow.query(name=messages.INITIALIZATION)
    def initialization(self) -> dict[str, Any]:
        """Where each step stands, as this workflow sees it."""
        board = self._board
        steps = [
            {"step": step, "status": board.states[step], "error": board.errors.get(step)}
            for step in board.graph.order
        ]
        return {"project_id": self._input.project_id, "status": self._status, "steps": steps}

    @workflow.update(name=messages.PLANNED)
    async def wait_until_planned(self) -> None:
        """Answer when all rows are there. Fails as the start has failed."""
        await workflow.wait_condition(lambda: self._planned or self._refusal is not None)
        if self._refusal:
            raise self._refusal

    @workflow.update(name=messages.RETRY_STEP)
    async def retry_step(self, retry: Retry) -> None:
        """Run a failed step again, and then what waits for it."""
        self._status = "initializing"
        await self._decisions.retry([retry.step], retry)

    @retry_step.validator
    def _may_retry_step(self, retry: Retry) -> None:
        self._may_control(retry.deadline)
        self._decisions.check(retry.step, "retried")

    @workflow.update(name=messages.RETRY_INITIALIZATION)
    async def retry_initialization(self, retry: Retry) -> None:
        """Run again every failed step; where it had ended, all that is not completed."""
        self._status = "initializing"
        await self._decisions.retry(self._decisions.retried_by_all, retry)

    @retry_initialization.validator
    def _may_retry_initialization(self, retry: Retry) -> None:
        self._may_control(retry.deadline)
        if not self._decisions.awaited:
            rules.must_have_failures(self._decisions.retried_by_all, self._status)

    @workflow.update(name=messages.SKIP_STEP)
    async def skip_step(self, skip: Skip) -> None:
        """Leave a failed step out."""
        self._status = "initializing"
        await self._decisions.skip(skip)

    @skip_step.validator
    def _may_skip_step(self, skip: Skip) -> None:
        self._may_control(skip.deadline)
        self._must_have_begun()
        self._decisions.check(skip.step, "skipped")
        rules.must_be_optional(self._board, skip.step)

    @workflow.update(name=messages.CANCEL)
    async def cancel_initialization(self, cancel: Cancel) -> None:
        """Stop: what runs is told, what has finished is taken back where `undo` says so."""
        self._cancel = cancel
        self._board.changed = True
        await until_accepted()
        await self._record.write(
            project=ProjectChange("cancel_requested", change_id="cancel", actor=cancel.actor)
        )
        await self._record.request_cancel()

    @cancel_initialization.validator
    def _may_cancel(self, cancel: Cancel) -> None:
        self._may_control(cancel.deadline)
        self._must_have_begun()

    def _may_control(self, deadline: str) -> None:
        if workflow.now() > datetime.fromisoformat(deadline):
            rules.refuse("The request reached the initialization after its deadline.")
        if self._cancel:
            rules.refuse("The initialization is being cancelled; retry it after that.")
        if self._status in ("stopping", "active", "cancelled", "ended"):
            rules.refuse("The initialization is ending; try again in a moment.")

    def _must_have_begun(self) -> None:
        if self._decisions.awaited:
            rules.refuse("The initialization has ended; you can retry it.")

    # The way of the initialization

    async def _initialize(self) -> None:
        try:
            await self._open()
            time_limit = asyncio.create_task(asyncio.sleep(self._time_left()))
            await self._work_on(time_limit)
            if self._cancel:
                await workflow.wait_condition(lambda: False)  # Temporal's cancel is on its way.
            if time_limit.done():
                await self._run_out_of_time()
            time_limit.cancel()
            await self._end("active", "activated")
        except asyncio.CancelledError:
            if self._status != "active":
                await self._stop()
                raise
            # A cancel that comes after the last step changes nothing.
            await self._write_end("active", "activated")

    async def _open(self) -> None:
        if self._input.resumed:
            await self._await_retry()
        else:
            await self._plan()
        self._planned = True

    async def _plan(self) -> None:
        try:
            await self._record.plan(self._new_initialization())
        except ApplicationError as error:
            self._refusal = error
            raise

    def _new_initialization(self) -> NewInitialization:
        given = self._input
        return NewInitialization(
            project_id=given.project_id,
            name=given.name,
            owner=given.owner,
            blueprint=given.plan.blueprint,
            parameters=given.parameters,
            definition=given.definition,
            steps=[_planned_row(self._board.steps[step]) for step in self._board.graph.order],
            workflow_id=workflow.info().workflow_id,
            run_id=workflow.info().run_id,
            request_hash=given.request_hash,
            deadline=given.deadline,
            actor=given.actor,
        )

    async def _await_retry(self) -> None:
        """A refused update has started this run all the same; then it ends as if it never was."""
        decisions = self._decisions
        try:
            await workflow.wait_condition(
                lambda: not decisions.awaited and not decisions.open, timeout=RESUME_PATIENCE
            )
        except TimeoutError:
            self._status = "ended"
            raise ApplicationError("No retry was accepted.", type=messages.REFUSED) from None

    async def _work_on(self, time_limit: asyncio.Task[None]) -> None:
        """Run what is ready, wait for what runs or for a person, until all steps have ended."""
        while not time_limit.done():
            if self._cancel:
                return
            self._board.changed = False
            await self._skip_what_cannot_run()
            self._start_what_is_ready()
            if not self._running and not self._decisions.open:
                if not self._board.having("failed", "pending"):
                    return
                await self._tell_failure()
            self._view.show(self._status, self._board)
            await workflow.wait_condition(lambda: self._board.changed or time_limit.done())

    def _time_left(self) -> float:
        spent = workflow.now() - workflow.info().start_time
        return max(0.0, self._input.plan.time_limit - spent.total_seconds())

    async def _skip_what_cannot_run(self) -> None:
        reasons = self._board.graph.to_skip(self._board.states)
        if reasons:
            for step in reasons:
                self._board.skip(step)
            await self._record.write(
                *(skipped(self._board, step, reason) for step, reason in reasons.items())
            )

    def _start_what_is_ready(self) -> None:
        for step in self._board.graph.ready(self._board.states):
            self._board.start(step)
            self._running[step] = asyncio.create_task(self._run_step(self._board.steps[step]))

    async def _run_step(self, step: PlannedStep) -> None:
        try:
            result = await self._execution.run(step)
        except ActivityError as error:
            if not (self._status == "stopping" and is_cancelled_exception(error)):
                await self._fail(step.step, failure_text(error, step), failure_outcome(error))
        else:
            if isinstance(result, dict) and set(result) == {"skipped"}:
                self._board.skip(step.step)
            else:
                self._board.complete(step.step, result)
        finally:
            del self._running[step.step]
            self._board.changed = True

    async def _fail(self, step: str, error: str, outcome: AttemptOutcome) -> None:
        """Record a failure; where an interceptor ran, it has done so already."""
        change_id = self._board.change_id(step, "failed")
        await self._record.write(
            StepChange(step, "failed", change_id=change_id, error=error, outcome=outcome)
        )
        self._board.fail(step, error)

    async def _tell_failure(self) -> None:
        if self._status == "failed":
            return
        self._status = "failed"
        await self._record.write(
            *self._settled(),
            project=ProjectChange(
                "failed",
                "failed",
                change_id=f"failed/{self._decisions.count}",
                error=self._board.failures(),
            ),
        )

    # How it ends

    async def _end(
        self,
        status: EndStatus,
        action: ProjectAction,
        *,
        actor: str | None = None,
        error: str | None = None,
    ) -> None:
        self._status = "ended" if status == "failed" else status
        self._view.show(status, self._board)
        await self._write_end(status, action, actor=actor, error=error)

    async def _write_end(
        self,
        status: EndStatus,
        action: ProjectAction,
        *,
        actor: str | None = None,
        error: str | None = None,
    ) -> None:
        change_id = f"ended/{status}"
        change = ProjectChange(
            action, status, change_id=change_id, actor=actor, error=error, ends=True
        )
        await self._record.write(*self._settled(), project=change)

    async def _run_out_of_time(self) -> None:
        limit = timedelta(seconds=self._input.plan.time_limit)
        error = f"The initialization exceeded its time limit of {limit}."
        await self._stop_running(error)
        reasons = filter(None, [error, self._board.failures()])
        await self._end("failed", "timed_out", error="\n".join(reasons))
        raise ApplicationError(error, type="TimeLimit")

    async def _stop(self) -> None:
        """End as cancelled; from Temporal's own tools no update has said by whom."""
        self._cancel = cancel = self._cancel or Cancel(actor="temporal")
        if not self._planned or self._decisions.awaited:
            return
        reason = f"Cancelled by {cancel.actor}."
        await self._stop_running(reason)
        await self._ending.skip_the_rest(cancel, reason)
        left_behind = await self._ending.undo() if cancel.undo else []
        await self._end(
            "cancelled", "cancelled", actor=cancel.actor, error="\n".join(left_behind) or None
        )

    async def _stop_running(self, reason: str) -> None:
        """Let decisions that are being written down come first: they would open it again."""
        self._status = "stopping"
        await workflow.wait_condition(lambda: not self._decisions.open)
        await self._ending.stop(list(self._running.values()), reason)

    def _settled(self) -> list[StepChange]:
        """What has ended, told again: an operator may have completed an activity by hand."""
        return [
            StepChange(step, state, error=self._board.errors.get(step))
            for step in self._board.graph.order
            if (state := self._board.states[step]) in ("completed", "skipped", "failed")
        ]


def _planned_row(step: PlannedStep) -> PlannedRow:
    return PlannedRow(
        step.step,
        default_text(step.display_name),
        step.weight,
        step.optional,
        {"display_names": step.display_name},
    )
