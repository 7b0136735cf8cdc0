"""The faults, each by its name; all end by themselves, and everything runs again afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from tests.faults.cluster import WORKERS, Cluster
from tests.faults.proxy import Proxy
from tests.faults.watchers import Node, Plain
from workflows.messages import workflow_id

HEARTBEAT = 2.0
"""Seconds that a step of the harness may be silent."""


@dataclass
class Injector:
    """Hurts a cluster and its projects, by chance from `dice`."""

    cluster: Cluster
    dice: random.Random
    plain: Plain
    node: Node
    projects: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    going_on: set[asyncio.Future[object]] = field(default_factory=set)
    paused: bool = False

    async def inject(self) -> str:
        """One fault; its name. Those of the network go on while the next ones come."""
        kinds = self.kinds()
        [name] = self.dice.choices(list(kinds), [weight for weight, _ in kinds.values()])
        fault = asyncio.ensure_future(kinds[name][1]())
        self.going_on.add(fault)
        fault.add_done_callback(self.going_on.discard)
        if name.startswith(("kill", "zombie")):
            await fault
        self.counts[name] = self.counts.get(name, 0) + 1
        return name

    async def finish(self) -> None:
        """Wait until nothing is hurt any more."""
        await asyncio.gather(*self.going_on)

    def kinds(self) -> dict[str, tuple[int, Callable[[], Awaitable[object]]]]:
        """Every kind of fault, with how likely it is."""
        return {
            "kill worker": (3, self._kill_worker),
            "kill API": (2, lambda: self.cluster.restart("api")),
            "kill Valkey": (2, lambda: self._kill_server("valkey")),
            "kill Postgres": (2, lambda: self._kill_server("postgres")),
            "kill Temporal": (1, lambda: self._kill_server("temporal")),
            "cut": (12, self._cut),
            "away": (6, self._away),
            "slow": (6, self._slow),
            "freeze a client": (4, self._freeze),
            "zombie": (2, self._zombie),
            "drop a message": (12, self._drop_message),
            "lose a publish's answer": (6, self._lose_publish),
            "lose a write's answer": (12, self._lose_write),
            "reset the workflow": (3, self._reset_workflow),
            "reset an activity": (4, self._reset_activity),
            "terminate": (2, self._terminate),
            "cancel": (1, self._cancel),
        }

    async def _kill_worker(self) -> None:
        await self.cluster.restart(self.dice.choice(WORKERS))

    async def _kill_server(self, name: str) -> None:
        await self.cluster.servers.kill(name)
        await asyncio.sleep(self.dice.uniform(0.1, 1.0))
        await self.cluster.servers[name].start()

    async def _cut(self) -> None:
        self._any_proxy().cut()

    async def _away(self) -> None:
        await self._any_proxy().away(self.dice.uniform(0.3, 2.0))

    async def _slow(self) -> None:
        await self._any_proxy().slow(self.dice.uniform(0.3, 1.5), self.dice.uniform(0.02, 0.2))

    def _any_proxy(self) -> Proxy:
        return self.cluster.proxies[self.dice.choice(list(self.cluster.proxies))]

    async def _freeze(self) -> None:
        self.plain.awake.clear()
        await asyncio.sleep(self.dice.uniform(0.5, 2.0))
        self.plain.awake.set()

    async def _zombie(self) -> None:
        """Stop a worker for longer than its steps may be silent, and let it go on."""
        name = self.dice.choice(WORKERS)
        self.cluster.pause(name)
        await asyncio.sleep(HEARTBEAT * 1.5)
        self.cluster.resume(name)

    async def _drop_message(self) -> None:
        self.cluster.proxies["api-valkey"].drop_next(b"stepway:project:")

    async def _lose_publish(self) -> None:
        self.cluster.proxies["worker-valkey"].lose_answer_to(b"PUBLISH")

    async def _lose_write(self) -> None:
        marker = self.dice.choice([b'"completed"', b'"started"', b'"failed"', b'"action"'])
        self.cluster.proxies["worker-postgres"].lose_answer_to(marker)

    async def _reset_workflow(self) -> None:
        """As an operator does: back to the end of one of its workflow tasks."""
        id = workflow_id(self.dice.choice(self.projects))
        try:
            history = await self.cluster.temporal.get_workflow_handle(id).fetch_history()
            tasks = [
                event.event_id
                for event in history.events
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
            ]
            if tasks:
                await self.cluster.temporal.workflow_service.reset_workflow_execution(
                    ResetWorkflowExecutionRequest(
                        namespace=self.cluster.temporal.namespace,
                        workflow_execution=WorkflowExecution(workflow_id=id),
                        workflow_task_finish_event_id=self.dice.choice(tasks),
                        request_id=str(self.dice.random()),
                        reason="fault",
                    )
                )
        except RPCError as error:
            self._refused(error)

    async def _reset_activity(self) -> None:
        id = workflow_id(self.dice.choice(self.projects))
        try:
            found = await self.cluster.temporal.get_workflow_handle(id).describe()
            pending = [one.activity_id for one in found.raw_description.pending_activities]
            if pending:
                await self.cluster.temporal.workflow_service.reset_activity(
                    ResetActivityRequest(
                        namespace=self.cluster.temporal.namespace,
                        execution=WorkflowExecution(workflow_id=id),
                        id=self.dice.choice(pending),
                    )
                )
        except RPCError as error:
            self._refused(error)

    async def _terminate(self) -> None:
        try:
            await self._any_workflow().terminate("fault")
        except RPCError as error:
            self._refused(error)

    async def _cancel(self) -> None:
        try:
            await self._any_workflow().cancel()
        except RPCError as error:
            self._refused(error)

    def _any_workflow(self) -> WorkflowHandle[Any, Any]:
        id = workflow_id(self.dice.choice(self.projects))
        return self.cluster.temporal.get_workflow_handle(id)

    def _refused(self, error: RPCError) -> None:
        """The workflow had closed already, or Temporal was away: a fault that met nobody."""
        key = f"(met nobody: {error.status.name.lower()})"
        self.counts[key] = self.counts.get(key, 0) + 1
