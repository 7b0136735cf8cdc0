"""Operators' actions on workflows with Temporal's tools."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Set
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetActivityRequest, ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle

from stepway.workflows.model.messages import workflow_id
from tests.faults.cluster import Cluster

LONGEST_WRITE = 10.0
"""Seconds. After 8 s, a workflow task that waits for a write receives a cancel."""


class Operator:
    """Each call acts on a random project and returns whether it found something to act on.

    Raises RPCError if the workflow is closed or Temporal is unavailable, and what asyncpg raises if
    Postgres is.
    """

    def __init__(
        self,
        cluster: Cluster,
        dice: random.Random,
        projects: list[str],
        rolled_back: Set[str] = frozenset(),
    ) -> None:
        """`rolled_back` are the projects whose rollback was requested."""
        self._cluster = cluster
        self._temporal = cluster.temporal
        self._dice = dice
        self._projects = projects
        self._rolled_back = rolled_back

    async def reset_workflow(self, name: str) -> bool:
        """Reset the workflow to one of its completed workflow tasks.

        Not one that rolls back: it would go on with objects that are gone.
        """
        project = self._dice.choice(self._projects)
        if project in self._rolled_back:
            return False
        handle = self._temporal.get_workflow_handle(workflow_id(project))
        history = await handle.fetch_history()
        tasks = [
            event.event_id
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]
        if not tasks:
            return False
        await self._temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self._temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                workflow_task_finish_event_id=self._dice.choice(tasks),
                request_id=uuid4().hex,
                reason="fault",
            )
        )
        return True

    async def reset_activity(self, name: str) -> bool:
        """Reset a pending activity."""
        handle = self._any()
        found = await handle.describe()
        pending = [one.activity_id for one in found.raw_description.pending_activities]
        if not pending:
            return False
        await self._temporal.workflow_service.reset_activity(
            ResetActivityRequest(
                namespace=self._temporal.namespace,
                execution=WorkflowExecution(workflow_id=handle.id),
                id=self._dice.choice(pending),
            )
        )
        return True

    async def terminate(self, name: str) -> bool:
        """Terminate the workflow."""
        await self._any().terminate("fault")
        return True

    async def cancel(self, name: str) -> bool:
        """Request cancellation of the workflow."""
        await self._any().cancel()
        return True

    async def cancel_during_a_write(self, name: str) -> bool:
        """Request cancellation while every write of the project's record waits."""
        project = self._dice.choice(self._projects)
        handle = self._temporal.get_workflow_handle(workflow_id(project))
        async with self._cluster.locked(project):
            await asyncio.sleep(self._dice.uniform(0.1, 2.0))
            await handle.cancel()
            await asyncio.sleep(self._dice.uniform(0.1, LONGEST_WRITE))
        return True

    def _any(self) -> WorkflowHandle[Any, Any]:
        id = workflow_id(self._dice.choice(self._projects))
        return self._temporal.get_workflow_handle(id)
