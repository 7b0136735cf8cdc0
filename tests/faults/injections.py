"""The faults by name. Each ends by itself, and then everything runs again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from temporalio.service import RPCError

from tests.faults.cluster import WORKERS, Cluster
from tests.faults.operators import Operator
from tests.faults.proxy import Proxy
from tests.faults.watchers import Node, Plain
from tests.support.servers import eventually

HEARTBEAT = 2.0
"""Heartbeat timeout of the harness's steps in seconds."""

RETRIED_BY = HEARTBEAT * 5
"""Seconds after which a stopped worker's steps have been retried on another worker."""

Fault = Callable[[str], Awaitable[bool]]
"""Injects the fault of this name; returns whether it has already had an effect."""

LATER = False
"""The fault is armed; it counts itself once it has an effect."""


@dataclass
class Injector:
    """Injects random faults, drawn from `dice`; `counts` holds the ones that had an effect."""

    cluster: Cluster
    dice: random.Random
    plain: Plain
    node: Node
    projects: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _going_on: list[asyncio.Task[None]] = field(default_factory=list)

    async def inject(self) -> str:
        """Inject one fault; return its name. It may overlap with the next one."""
        kinds = self._kinds()
        [name] = self.dice.choices(list(kinds), [weight for weight, _ in kinds.values()])
        fault = asyncio.create_task(self._run(name, kinds[name][1]))
        self._going_on.append(fault)
        if name.startswith(("kill", "zombie")):
            await asyncio.wait([fault])
        return name

    async def finish(self) -> None:
        """Wait until all faults have ended. Raises the exceptions of faults."""
        going_on, self._going_on = self._going_on, []
        await asyncio.gather(*going_on)
        for proxy in self.cluster.proxies.values():
            proxy.disarm()

    async def _run(self, name: str, fault: Fault) -> None:
        try:
            met = await fault(name)
        except RPCError:  # The workflow had closed already, or Temporal was away.
            met = False
        if met:
            self.counts[name] += 1

    def _kinds(self) -> dict[str, tuple[int, Fault]]:
        """Return all kinds of faults with their weights."""
        operator = Operator(self.cluster.temporal, self.dice, self.projects)
        return {
            "kill worker": (4, self._kill_worker),
            "kill API": (2, self._kill_api),
            "kill Valkey": (2, self._kill_server),
            "kill Postgres": (2, self._kill_server),
            "kill Temporal": (1, self._kill_server),
            "cut": (12, self._cut),
            "away": (6, self._away),
            "slow": (6, self._slow),
            "silent": (5, self._silent),
            "freeze a client": (5, self._freeze),
            "zombie": (3, self._zombie),
            "drop a message": (12, self._drop_message),
            "lose a publish's answer": (6, self._lose_publish),
            "lose a write's answer": (12, self._lose_write),
            "reset the workflow": (3, operator.reset_workflow),
            "reset an activity": (4, operator.reset_activity),
            "terminate": (2, operator.terminate),
            "cancel": (1, operator.cancel),
        }

    async def _kill_worker(self, name: str) -> bool:
        await self.cluster.restart(self.dice.choice(WORKERS))
        return True

    async def _kill_api(self, name: str) -> bool:
        await self.cluster.restart("api")
        return True

    async def _kill_server(self, name: str) -> bool:
        server = name.removeprefix("kill ").lower()
        await self.cluster.servers.kill(server)
        await asyncio.sleep(self.dice.uniform(0.1, 1.0))
        await self.cluster.servers[server].start()
        return True

    async def _cut(self, name: str) -> bool:
        return self._any_proxy().cut()

    async def _away(self, name: str) -> bool:
        await self._any_proxy().away(self.dice.uniform(0.3, 2.0))
        return True

    async def _slow(self, name: str) -> bool:
        await self._any_proxy().slow(self.dice.uniform(0.3, 1.5), self.dice.uniform(0.02, 0.2))
        return True

    async def _silent(self, name: str) -> bool:
        await self._any_proxy().silent(self.dice.uniform(0.5, 4.0))
        return True

    def _any_proxy(self) -> Proxy:
        return self.cluster.proxies[self.dice.choice(list(self.cluster.proxies))]

    async def _freeze(self, name: str) -> bool:
        client = self.dice.choice((self.plain, self.node))
        client.freeze()
        await asyncio.sleep(self.dice.uniform(0.5, 3.0))
        client.thaw()
        return True

    async def _zombie(self, name: str) -> bool:
        """Suspend a worker until its steps were retried elsewhere, then resume it."""
        worker = self.dice.choice(WORKERS)
        process = self.cluster.processes[worker]
        if process.returncode is not None:  # It ended by itself, and is started again after this.
            return False
        pid = process.pid

        async def overtaken() -> bool:
            return not await self._holds(pid)

        self.cluster.pause(worker)
        try:
            if not await self._holds(pid):
                return False
            await eventually(overtaken, RETRIED_BY)
        except AssertionError:
            return False
        finally:
            self.cluster.resume(worker)
        return True

    async def _holds(self, pid: int) -> bool:
        """Whether the record has an open attempt of this process; the next attempt closes it."""
        rows = await self.cluster.fetch(
            "SELECT FROM project_initialization_attempts"
            " WHERE ended_at IS NULL AND worker LIKE $1 || '@%'",
            str(pid),
        )
        return bool(rows)

    async def _drop_message(self, name: str) -> bool:
        self.cluster.proxies["api-valkey"].drop_next(b"stepway:project:", self._hit(name))
        return LATER

    async def _lose_publish(self, name: str) -> bool:
        self.cluster.proxies["worker-valkey"].lose_answer_to(b"PUBLISH", self._hit(name))
        return LATER

    async def _lose_write(self, name: str) -> bool:
        marker = self.dice.choice([b'"completed"', b'"started"', b'"failed"', b'"action"'])
        self.cluster.proxies["worker-postgres"].lose_answer_to(marker, self._hit(name))
        return LATER

    def _hit(self, name: str) -> Callable[[], None]:
        return lambda: self.counts.update([name])
