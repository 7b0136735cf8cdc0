"""Your own workflow, with its activities recorded as steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from release_steps import Release, announce, build_image, run_tests

    from stepway_tracking.record.changes import (
        NewInitialization,
        PlannedRow,
        ProjectChange,
        StepChange,
    )
    from stepway_tracking.workflow.marks import tracked
    from stepway_tracking.workflow.recording import WorkflowRecord

STEPS: dict[str, Callable[..., Any]] = {
    "run_tests": run_tests,
    "build_image": build_image,
    "announce": announce,
}

PLAN = [
    PlannedRow("run_tests", "Run the tests", weight=30),
    PlannedRow("build_image", "Build the image", weight=60),
    PlannedRow("announce", "Announce the release", weight=10),
]


@workflow.defn
class ReleaseService:
    """Runs three steps one after the other."""

    @workflow.run
    async def run(self, release: Release) -> None:
        """Write the plan, run the steps, write the end."""
        record = WorkflowRecord(release.project_id)
        await record.plan(self._new(release))
        for name, step in STEPS.items():
            try:
                await self._run(release, name, step)
            except ActivityError as error:
                await self._fail(record, name, str(error.cause))
                raise
        ended = ProjectChange("activated", "active", change_id="ended", ends=True)
        await record.write(project=ended)

    async def _run(self, release: Release, name: str, step: Callable[..., Any]) -> None:
        # What is started within is recorded as this step, by whichever worker runs it.
        with tracked(release.project_id, name):
            await workflow.execute_activity(
                step,
                release,
                start_to_close_timeout=timedelta(minutes=1),
                heartbeat_timeout=timedelta(seconds=5),
                retry_policy=RetryPolicy(maximum_attempts=3),
            )

    async def _fail(self, record: WorkflowRecord, name: str, error: str) -> None:
        """No worker sees a timeout or a lost worker; where one saw the failure, this is a repeat.

        An initialization that waits for a person has not ended: leave `ends` out for one.
        """
        step = StepChange(name, "failed", change_id=f"{name}/failed", error=error)
        ended = ProjectChange("failed", "failed", error=error, change_id="ended", ends=True)
        await record.write(step, project=ended)

    def _new(self, release: Release) -> NewInitialization:
        info = workflow.info()
        return NewInitialization(
            project_id=release.project_id,
            name=info.workflow_id,
            owner="local",
            blueprint="release",
            parameters={"service": release.service, "version": release.version},
            steps=PLAN,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
        )
