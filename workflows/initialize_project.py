"""The workflow of one initialization: runs the steps in order and takes people's decisions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from stepway.workflows.engine import rules
    from stepway.workflows.engine.board import Board, default_text
    from stepway.workflows.engine.continuing import Continuing, continued_input
    from stepway.workflows.engine.decisions import Decisions, until_accepted
    from stepway.workflows.engine.ending import Ending, skipped
    from stepway.workflows.engine.execution import Execution
    from stepway.workflows.engine.failures import (
        failure_outcome,
        failure_remedy,
        failure_text,
        unexpected_text,
        was_interrupted,
    )
    from stepway.workflows.engine.outcomes import Outcomes
    from stepway.workflows.engine.search_attributes import OperatorsView, heading
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
    """Runs the steps of a plan. If a step fails, waits for a person's decision."""

    @workflow.init
    def __init__(self, input: InitializationInput) -> None:
        self._input = input
        going_on = input.continued
        self._board = Board(input.plan, input.resumed, workflow.now, going_on)
        self._record = WorkflowRecord(input.project_id)
        self._execution = Execution(input, self._board, self._record)
        self._outcomes = Outcomes(self._board, self._record)
        self._ending = Ending(self._board, self._execution, self._record, self._outcomes)
        resumes = input.resumed is not None
        self._decisions = Decisions(
            self._board,
            self._record,
            input.parameters,
            awaited=resumes,
            count=going_on.decisions if going_on else 0,
        )
        self._continuing = Continuing(self._decisions)
        self._view = OperatorsView(input.index_pause, heading(input) if going_on else "")
        self._status = going_on.status if going_on else "initializing"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._planned = resumes or going_on is not None
        self._ended = False
        self._refusal: ApplicationError | None = None
        self._cancel: Cancel | None = None
        self._stopped_because = ""

    @workflow.run
    async def run(self, input: InitializationInput) -> str:
        """Bring the project to `active`.

        Closes as Failed if its start is refused or its time limit ends it, and as Cancelled
        after a cancel.
        """
        try:
            await self._initialize()
        except (FailureError, asyncio.CancelledError):
            await _handlers_finished()
            raise
        await _handlers_finished()
        return self._status

    # Queries and updates

    @workflow.query(name=messages.INITIALIZATION)
    def initialization(self) -> dict[str, Any]:
        """Return the status and error of each step."""
        board = self._board
        steps = [
            {"step": step, "status": board.states[step], "error": board.errors.get(step)}
            for step in board.graph.order
        ]
        return {"project_id": self._input.project_id, "status": self._status, "steps": steps}

    @workflow.update(name=messages.PLANNED)
    async def wait_until_planned(self) -> str:
        """Return the ID of the request that started this run, once all rows exist.

        Raises the error of a refused start.
        """
        await workflow.wait_condition(lambda: self._planned or self._refusal is not None)
        if self._refusal:
            raise self._refusal
        return self._input.request_id

    @workflow.update(name=messages.RETRY_STEP)
    async def retry_step(self, retry: Retry) -> None:
        """Run a failed step again, then the steps that depend on it."""
        self._status = "initializing"
        await self._decisions.retry([retry.step], retry)

    @retry_step.validator
    def _may_retry_step(self, retry: Retry) -> None:
        self._may_control(retry.deadline)
        self._decisions.check(retry.step, "retried")
        self._decisions.check_parameters(retry)

    @workflow.update(name=messages.RETRY_INITIALIZATION)
    async def retry_initialization(self, retry: Retry) -> None:
        """Run all failed steps again; after the end, all uncompleted steps."""
        self._status = "initializing"
        await self._decisions.retry(self._decisions.retried_by_all, retry)

    @retry_initialization.validator
    def _may_retry_initialization(self, retry: Retry) -> None:
        self._may_control(retry.deadline)
        if not self._decisions.awaited:
            rules.must_have_failures(self._decisions.retried_by_all, self._status)

    @workflow.update(name=messages.SKIP_STEP)
    async def skip_step(self, skip: Skip) -> None:
        """Skip a failed step."""
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
        """Cancel the running steps, skip the rest, and roll back completed steps if asked to."""
        self._cancel = cancel
        self._board.changed = True
        try:
            await until_accepted()
            await self._record.write(
                project=ProjectChange(
                    "cancel_requested", change_id=messages.CANCEL_REQUESTED, actor=cancel.actor
                )
            )
            await self._record.request_cancel()
        except FailureError:
            # The cancel failed: the initialization goes on, and the caller gets the error.
            self._cancel = None
            self._board.changed = True
            raise

    @cancel_initialization.validator
    def _may_cancel(self, cancel: Cancel) -> None:
        self._may_control(cancel.deadline, rules.CANCELLED_ALREADY)
        self._must_have_begun()

    def _may_control(self, deadline: str, cancelling: str = rules.BEING_CANCELLED) -> None:
        if workflow.now() > datetime.fromisoformat(deadline):
            late = "The request reached the initialization after its deadline."
            raise ApplicationError(late, type=messages.TOO_LATE)
        if self._cancel:
            rules.refuse(cancelling)
        if self._status in ("stopping", "active", "cancelled", "ended"):
            rules.refuse("The initialization is ending; try again in a moment.")

    def _must_have_begun(self) -> None:
        if self._decisions.awaited:
            rules.refuse("The initialization has ended; you can retry it.")

    # Running

    async def _initialize(self) -> None:
        try:
            await self._open()
            time_limit = asyncio.create_task(asyncio.sleep(self._time_left()))
            await self._work_on(time_limit)
            if time_limit.done():
                await self._run_out_of_time()
            time_limit.cancel()
            await self._end("active", "activated")
        except (FailureError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await self._stop()
            elif self._planned and not self._ended and not self._decisions.awaited:
                await self._break_off(str(error))
            raise

    async def _open(self) -> None:
        if self._input.continued:
            await self._record.write(project=ProjectChange("continued", change_id="continued"))
        elif self._input.resumed:
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
        except asyncio.CancelledError:
            # The cancel arrived during the write. The rows exist now and must be ended.
            self._planned = True
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
        """Wait for the retry that started this run; end without a trace if it was refused."""
        decisions = self._decisions
        try:
            await workflow.wait_condition(
                lambda: not decisions.awaited and not decisions.open, timeout=RESUME_PATIENCE
            )
        except TimeoutError:
            if decisions.awaited:
                self._status = "ended"
                raise ApplicationError("No retry was accepted.", type=messages.REFUSED) from None
            # The retry was accepted and waits for Postgres.
            await workflow.wait_condition(lambda: not decisions.open)

    async def _work_on(self, time_limit: asyncio.Task[None]) -> None:
        """Run steps, and wait for them or for a person, until all steps have ended."""
        while not time_limit.done():
            if self._cancel:
                # Temporal's cancel will arrive soon.
                await workflow.wait_condition(lambda: self._cancel is None)
            self._board.changed = False
            await self._skip_what_cannot_run()
            if self._is_quiet():
                await self._fail_what_was_lost()
                if self._continuing.is_suggested():
                    await self._continue_as_new()
                    continue
            if not self._continuing.is_due():
                self._start_what_is_ready()
            if self._is_quiet():
                if not self._board.having("failed", "pending"):
                    return
                await self._tell_failure()
            self._view.show(self._status, self._board)
            await workflow.wait_condition(lambda: self._board.changed or time_limit.done())

    def _is_quiet(self) -> bool:
        """Return whether no step runs and no decision is being recorded."""
        return not self._running and not self._decisions.open

    async def _continue_as_new(self) -> None:
        """Continue as new, unless a cancel was requested: the new run would not receive it."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._cancel or workflow.cancellation_reason() is not None:
            return
        given = continued_input(
            self._input,
            self._board,
            self._decisions,
            self._status,
            self._started_at().isoformat(),
        )
        workflow.continue_as_new(messages.without_definition(given))

    def _started_at(self) -> datetime:
        going_on = self._input.continued
        if going_on:
            return datetime.fromisoformat(going_on.started_at)
        return workflow.info().start_time

    def _time_left(self) -> float:
        spent = workflow.now() - self._started_at()
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
        name = step.step
        try:
            result = await self._execution.run(step)
            if self._board.states[name] == "running":
                await self._outcomes.finish(name, result)
        except ActivityError as error:
            is_stopped = self._status == "stopping" and is_cancelled_exception(error)
            if self._board.states[name] == "running" and not is_stopped:
                text, outcome = self._why_it_failed(error, step)
                remedy = "" if outcome == "cancelled" else failure_remedy(error)
                await self._outcomes.fail(name, error=text, outcome=outcome, remedy=remedy)
        except Exception as error:  # noqa: BLE001 (otherwise the error is lost)
            if self._board.states[name] == "running":
                await self._outcomes.fail(name, error=unexpected_text(error), outcome="failed")
        finally:
            del self._running[name]
            self._board.changed = True

    def _why_it_failed(self, error: ActivityError, step: PlannedStep) -> tuple[str, AttemptOutcome]:
        if self._status == "stopping" and was_interrupted(error):
            # Without the cancel, Temporal would have started another attempt.
            return self._stopped_because, "cancelled"
        return failure_text(error, step), failure_outcome(error)

    async def _fail_what_was_lost(self) -> None:
        lost = self._board.having("running")
        if lost:
            error = "The workflow lost track of this step. The step may have run."
            await self._outcomes.fail(*lost, error=error, outcome="lost")

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

    # Ending

    async def _end(
        self,
        status: EndStatus,
        action: ProjectAction,
        *,
        actor: str | None = None,
        error: str | None = None,
        steps: list[StepChange] | None = None,
        rollback: dict[str, int] | None = None,
    ) -> None:
        steps = self._settled() if steps is None else steps
        self._status = "ended" if status == "failed" else status
        self._view.show(status, self._board)
        change = ProjectChange(
            action,
            status,
            change_id=f"ended/{status}",
            actor=actor,
            error=error,
            ends=True,
            rollback=rollback,
        )
        self._ended = True
        with suppress(asyncio.CancelledError):
            # The end is written in any case: a cancel during the write is too late.
            await self._record.write(*steps, project=change)

    async def _run_out_of_time(self) -> None:
        limit = timedelta(seconds=self._input.plan.time_limit)
        error = f"The initialization exceeded its time limit of {limit}."
        await self._stop_running(error)
        reasons = filter(None, [error, self._board.failures()])
        await self._end("failed", "timed_out", error="\n".join(reasons))
        raise ApplicationError(error, type="TimeLimit")

    async def _stop(self) -> None:
        """End as cancelled. A cancel from Temporal's tools names no person."""
        self._cancel = cancel = self._cancel or Cancel(actor="temporal")
        if self._ended or not self._planned or self._decisions.awaited:
            return
        reason = f"Cancelled by {cancel.actor}."
        await self._stop_running(reason)
        await self._ending.skip_the_rest(cancel, reason)
        done = await self._ending.undo() if cancel.undo else None
        await self._end(
            "cancelled",
            "cancelled",
            actor=cancel.actor,
            error=done.text if done else None,
            rollback=done.counts if done else None,
        )

    async def _break_off(self, error: str) -> None:
        """End as failed, because the record has refused a write."""
        await self._stop_running(f"The initialization broke off: {error}")
        await self._end("failed", "failed", error=error, steps=[])

    async def _stop_running(self, reason: str) -> None:
        """Stop the running steps, after open decisions, which would reopen the initialization."""
        self._status = "stopping"
        self._stopped_because = reason
        await workflow.wait_condition(lambda: not self._decisions.open)
        await self._ending.stop(self._running, reason)

    def _settled(self) -> list[StepChange]:
        """Return the changes of all ended steps: an operator may have completed an activity."""
        return [
            StepChange(step, state, error=self._board.errors.get(step))
            for step in self._board.graph.order
            if (state := self._board.states[step]) in ("completed", "skipped", "failed")
        ]


async def _handlers_finished() -> None:
    """Wait for update handlers, ignoring a cancel after the end."""
    try:
        await workflow.wait_condition(workflow.all_handlers_finished)
    except asyncio.CancelledError:
        await workflow.wait_condition(workflow.all_handlers_finished)


def _planned_row(step: PlannedStep) -> PlannedRow:
    return PlannedRow(
        step.step,
        default_text(step.display_name),
        step.weight,
        step.optional,
        {"display_names": step.display_name},
    )
