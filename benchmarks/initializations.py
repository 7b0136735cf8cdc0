"""Initializations to measure: complete workflows of no-op steps, and rows changed directly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from benchmarks.bare import BareSteps
from stepway.blueprints.models import Blueprint
from stepway.blueprints.planning import make_plan
from stepway.workflows.model import messages
from stepway.workflows.model.messages import InitializationInput
from stepway_tracking.record.changes import NewInitialization, PlannedRow, StepChange
from stepway_tracking.record.store import Store
from stepway_tracking.stream.publisher import Publisher
from stepway_tracking.workflow import search_attributes

STEPS = 8
BARE_QUEUE = "bare"
PATIENCE = timedelta(hours=1)
"""Deadline of a start; longer than the API's, because a start may wait for a hundred others."""


def blueprint(uses: str, steps: int = STEPS, **given: Any) -> Blueprint:
    """A blueprint of `steps` equal steps in sequence."""
    each = [{"step": f"step_{n}", "uses": uses, "with": given} for n in range(steps)]
    return Blueprint.model_validate({"name": "bench", "steps": each})


async def initialize(client: Client, queue: str, plan: Blueprint) -> str:
    """Run one initialization to its end, started as by the API; returns the project's id."""
    project = {"id": str(uuid4()), "name": f"p-{uuid4().hex[:12]}", "owner": "local"}
    given = InitializationInput(
        project_id=project["id"],
        name=project["name"],
        owner=project["owner"],
        plan=make_plan(plan, project, {}),
        parameters={},
        definition=plan.model_dump(mode="json", by_alias=True),
        request_hash="",
        deadline=(datetime.now(UTC) + PATIENCE).isoformat(),
        actor="local",
        index_pause=messages.INDEX_PAUSE,
    )
    status = await client.execute_workflow(
        messages.WORKFLOW,
        given,
        id=messages.workflow_id(given.project_id),
        task_queue=queue,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(search_attributes.PROJECT, given.name),
                SearchAttributePair(search_attributes.BLUEPRINT, given.plan.blueprint),
                SearchAttributePair(search_attributes.STATUS, "initializing"),
            ]
        ),
    )
    assert status == "active", status
    return project["id"]


async def run_bare(client: Client, uses: str, **given: Any) -> None:
    """Run the same steps on bare Temporal to their end."""
    project = {"id": str(uuid4()), "name": "p", "owner": "local", "blueprint": "bench"}
    await client.execute_workflow(
        BareSteps.run,
        args=[uses, {**given, "project": project}, STEPS],
        id=f"bare-{project['id']}",
        task_queue=BARE_QUEUE,
    )


class Stamped(Publisher):
    """A publisher that stores the time of the last commit."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.committed = 0.0

    async def publish(self, project_id: str, messages: Sequence[str]) -> None:
        """Store the time, then publish."""
        self.committed = time.monotonic()
        await super().publish(project_id, messages)


@dataclass
class LiveProject:
    """A project with running steps that the bench changes directly."""

    project_id: str
    store: Store
    publisher: Stamped
    fence: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @staticmethod
    async def start(
        pool: asyncpg.Pool, redis: Redis, steps: int = STEPS, running: int = 1
    ) -> LiveProject:
        """Insert a project and mark its first `running` steps as started."""
        publisher = Stamped(redis)
        project = LiveProject(str(uuid4()), Store(pool, publisher), publisher)
        await project.store.initialize_steps_in_database(new_rows(project.project_id, steps))
        for step in range(running):
            await project.store.update_step_status(
                project.project_id, project._change(step, "started")
            )
        return project

    @property
    def events(self) -> str:
        """The path of the project's event stream."""
        return f"/api/projects/{self.project_id}/initialization/events"

    @property
    def snapshot(self) -> str:
        """The path of the project's snapshot."""
        return f"/api/projects/{self.project_id}/initialization"

    async def change(self, mark: int, step: int = 0, progress: int = 50) -> tuple[float, float]:
        """Set a running step's message to the mark; returns the times of call and commit."""
        asked = time.monotonic()
        outcome = await self.store.update_progress(
            self.project_id, self._change(step, "progressed"), progress, marked(mark)
        )
        assert outcome.said == "applied", outcome
        return asked, self.publisher.committed

    def _change(self, step: int, action: str) -> StepChange:
        return StepChange(
            f"step_{step}", action, fence=self.fence, run_id="run", activity_id="1", attempt=1
        )


def marked(mark: int) -> str:
    """The message with a mark; watchers search the stream for it."""
    return f"mark-{mark:06d}"


def new_rows(project_id: str, steps: int = STEPS) -> NewInitialization:
    """A new project with this many steps."""
    return NewInitialization(
        project_id=project_id,
        name=f"p-{uuid4().hex[:12]}",
        owner="local",
        blueprint="bench",
        steps=[PlannedRow(f"step_{n}", f"Step {n}") for n in range(steps)],
        workflow_id=messages.workflow_id(project_id),
        run_id="run",
    )
