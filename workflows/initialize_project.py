"""One project's initialization: the order of its steps, waiting for people, and their controls."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from tracking.changes import NewInitialization, PlannedRow, ProjectChange, StepChange
    from tracking.recording import WorkflowRecord
    from workflows import messages, rules
    from workflows.board import Board, default_text
    from workflows.execution import Execution
    from workflows.failures import failure_outcome, failure_text
    from workflows.messages import Cancel, InitializationInput, Retry, Skip
    from workflows.operators import OperatorsView
    from workflows.plan import PlannedStep

RESUME_PATIENCE = timedelta(seconds=60)
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
        self._view = OperatorsView()
        self._status = "initializing"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._deciding: set[str] = set()
        self._planned = False
        self._refusal: ApplicationError | None = None
        self._resuming = input.resumed is not None
        self._cancel: Cancel | None = None
        self._decisions = 0

    @workflow.run
    async def run(self, input: InitializationInput) -> str:
        """Bring the project to `active`.

        Closes as Failed when its start was refused or its time is over, as Cancelled when a
        cancel was asked for.
        """
        try:
            await self._open()
            time_limit = asyncio.create_task(asyncio.sleep(self._time_left()))
            await self._work_on(time_limit)
            if time_limit.done():
                await self._run_out_of_time()
            time_limit.cancel()
            await self._end("active", "activated")
        except asyncio.CancelledError:
            await self._stop(self._cancel or Cancel(actor="temporal"))
            raise
        finally:
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
        await self._retry([retry.step], retry)

    @retry_step.validator
    def _may_retry_step(self, retry: Retry) -> None:
        self._may_control(retry.deadline)
        self._must_be_undecided_failure(retry.step, "retried")

    @workflow.update(name=messages.RETRY_INITIALIZATION)
    async def retry_initialization(self, retry: Retry) -> None:
        """Run again every failed step; where it had ended, all that is not completed."""
        await self._retry(self._retried_by_all(), retry)

    @retry_initialization.validator
    def _may_retry_initialization(self, retry: Retry) -> None:
        self._may_control(retry.deadline)
        if not self._retried_by_all():
            rules.refuse(f"There is nothing to retry: no step has failed ({self._status}).")

    @workflow.update(name=messages.SKIP_STEP)
    async def skip_step(self, skip: Skip) -> None:
        """Leave a failed step out."""
        change = StepChange(
            skip.step,
            "skipped",
            change_id=self._change_id(skip.step, "skipped"),
            actor=skip.actor,
            metadata={"reason": skip.reason, "skipped_by": skip.actor},
        )
        await self._decide([skip.step], [change], ProjectChange("resumed", actor=skip.actor))
        self._board.skip(skip.step)

    @skip_step.validator
    def _may_skip_step(self, skip: Skip) -> None:
        self._may_control(skip.deadline)
        self._must_be_undecided_failure(skip.step, "skipped")
        rules.must_be_optional(self._board, skip.step)

    @workflow.update(name=messages.CANCEL)
    async def cancel_initialization(self, cancel: Cancel) -> None:
        """Stop: what runs is told, what has finished is taken back where `undo` says so."""
        self._cancel = cancel
        await self._record.write(
            project=ProjectChange("cancel_requested", change_id="cancel", actor=cancel.actor)
        )
        await self._record.request_cancel()

    @cancel_initialization.validator
    def _may_cancel(self, cancel: Cancel) -> None:
        self._may_control(cancel.deadline)

    def _may_control(self, deadline: str) -> None:
        if workflow.now() > datetime.fromisoformat(deadline):
            rules.refuse("The request reached the initialization after its time limit.")
        if self._cancel:
            rules.refuse("The initialization is being cancelled.")
        if self._status in ("active", "cancelled"):
            rules.refuse(f"The initialization has ended: it is {self._status}.")

    def _must_be_undecided_failure(self, step: str, verb: str) -> None:
        rules.must_be_failed(self._board, step, verb)
        if step in self._deciding:
            rules.refuse(f"Somebody else has just decided on {step}.")

    def _retried_by_all(self) -> list[str]:
        states = self._board.having("failed", "skipped", "pending")
        if not self._resuming:
            states = self._board.having("failed")
        return [step for step in states if step not in self._deciding]

    async def _retry(self, chosen: list[str], retry: Retry) -> None:
        if retry.plan:
            self._board.replace_plan(retry.plan)
        runs = self._board.graph.runs_on_retry(self._board.states, chosen).runs
        again = [step for step in runs if self._board.states[step] != "pending"]
        changes = [
            StepChange(
                step, "retried", change_id=self._change_id(step, "retried"), actor=retry.actor
            )
            for step in again
        ]
        project = ProjectChange("retried", actor=retry.actor, parameters=retry.parameters)
        await self._decide(runs, changes, project)
        for step in again:
            self._board.reset(step)

    async def _decide(
        self, steps: list[str], changes: list[StepChange], project: ProjectChange
    ) -> None:
        """Record a person's decision; until that is done nobody else may decide on these steps."""
        self._decisions += 1
        self._deciding.update(steps)
        self._resuming = False
        self._status = "initializing"
        reopened = ProjectChange(
            project.action,
            self._status,
            change_id=f"{project.action}/{self._decisions}",
            actor=project.actor,
            parameters=project.parameters,
        )
        await self._record.write(*changes, project=reopened)
        self._deciding.difference_update(steps)
        self._board.changed = True

    # The way of the initialization

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
        try:
            await workflow.wait_condition(
                lambda: not self._resuming and not self._deciding, timeout=RESUME_PATIENCE
            )
        except TimeoutError:
            raise ApplicationError("No retry was accepted.", type=messages.REFUSED) from None

    async def _work_on(self, time_limit: asyncio.Task[None]) -> None:
        """Run what is ready, wait for what runs or for a person, until all steps have ended."""
        while not time_limit.done():
            self._board.changed = False
            await self._skip_what_cannot_run()
            self._start_what_is_ready()
            if not self._running and not self._deciding:
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
                *(self._skipped(step, reason) for step, reason in reasons.items())
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

    async def _fail(self, step: str, error: str, outcome: str) -> None:
        """Record a failure; where an interceptor ran, it has done so already."""
        change_id = self._change_id(step, "failed")
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
                change_id=f"failed/{self._decisions}",
                error=self._board.failures(),
            ),
        )

    # How it ends

    async def _end(
        self, status: str, action: str, *, actor: str | None = None, error: str | None = None
    ) -> None:
        self._status = status
        self._view.show(status, self._board)
        change = ProjectChange(
            action, status, change_id="ended", actor=actor, error=error, ends=True
        )
        await self._record.write(*self._settled(), project=change)

    async def _run_out_of_time(self) -> None:
        limit = timedelta(seconds=self._input.plan.time_limit)
        error = f"The initialization did not end within its time limit of {limit}."
        await self._stop_running(error, actor=None)
        await self._end("failed", "timed_out", error=error)
        raise ApplicationError(error, type="TimeLimit")

    async def _stop(self, cancel: Cancel) -> None:
        if not self._planned and not self._input.resumed:
            return
        reason = f"Cancelled by {cancel.actor}."
        await self._stop_running(reason, cancel.actor)
        await self._record.write(
            *(self._skipped(step, reason, cancel.actor) for step in self._board.having("pending"))
        )
        for step in self._board.having("pending"):
            self._board.skip(step)
        left_behind = await self._undo_finished() if cancel.undo else []
        await self._end(
            "cancelled", "cancelled", actor=cancel.actor, error="\n".join(left_behind) or None
        )

    async def _stop_running(self, reason: str, actor: str | None) -> None:
        self._status = "stopping"
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for step in self._board.having("running"):
            await self._fail(step, reason, "cancelled")

    async def _undo_finished(self) -> list[str]:
        """Take the finished steps back, the last one first; what could not be, and why."""
        left_behind = []
        for step in reversed(self._board.finished):
            try:
                await self._execution.undo(self._board.steps[step])
            except ActivityError as error:
                reason = failure_text(error, self._board.steps[step])
                left_behind.append(f"{self._board.title(step)} was not undone: {reason}")
                undo = {"undo": {"status": "failed", "error": reason}}
                change_id = self._change_id(step, "undo_failed")
                await self._record.write(
                    StepChange(step, "undo_failed", change_id=change_id, metadata=undo)
                )
        return left_behind

    # Pieces

    def _settled(self) -> list[StepChange]:
        """What has ended, told again: an operator may have completed an activity by hand."""
        return [
            StepChange(step, self._board.states[step], error=self._board.errors.get(step))
            for step in self._board.having("completed", "skipped", "failed")
        ]

    def _skipped(self, step: str, reason: str, actor: str | None = None) -> StepChange:
        change_id = self._change_id(step, "skipped")
        metadata = {"reason": reason}
        return StepChange(step, "skipped", change_id=change_id, actor=actor, metadata=metadata)

    def _change_id(self, step: str, action: str) -> str:
        return f"{step}/{self._board.rounds[step]}/{action}"


def _planned_row(step: PlannedStep) -> PlannedRow:
    return PlannedRow(
        step.step,
        default_text(step.display_name),
        step.weight,
        step.optional,
        {"display_names": step.display_name},
    )
