"""The faults by name. Each ends by itself, and then everything runs again."""

from __future__ import annotations

import asyncio
import random
import signal
from asyncio.subprocess import Process
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from temporalio.service import RPCError

from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.workflow.marks import WORKER_SILENCE
from tests.faults.cluster import START_PATIENCE, WORKERS, Cluster
from tests.faults.hosts.injections import HostFaults
from tests.faults.operators import Operator
from tests.faults.proxy import Proxy
from tests.faults.watchers import Node, Plain
from tests.support.servers import eventually

HEARTBEAT = 2.0
"""Heartbeat timeout of the harness's steps in seconds."""

RETRIED_BY = WORKER_SILENCE.total_seconds() * 2
"""Seconds after which a stopped worker's steps have been retried on another worker."""

TIMEOUT, ATTEMPTS = 4.0, 2
"""Limits of the steps that an outage of Postgres must not use up."""

OUTAGE = 1.5 * TIMEOUT * ATTEMPTS
"""Seconds that Postgres is gone in a short run."""

ONCE = "once"
"""Begins the names of the steps whose first attempt is their last."""

COMPLETION = (b'"action": "completed"', b'"activity_id"')
"""Texts in the write of a completed attempt, and in no write of a workflow."""

Fault = Callable[[str], Awaitable[bool]]
"""Injects the fault of this name; returns whether it has already had an effect."""

LATER = False
"""The fault is armed; it counts itself once it has an effect."""


@dataclass
class Injector:
    """Injects random faults, drawn from `dice`; `counts` holds the ones that had an effect.

    `outages` are the times in seconds that Postgres may be gone. `violations` are those that no
    record shows.
    """

    cluster: Cluster
    dice: random.Random
    plain: Plain
    node: Node
    projects: list[str] = field(default_factory=list)
    outages: tuple[float, ...] = (OUTAGE,)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    hosts: HostFaults = field(init=False)
    _servers: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    _going_on: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts = HostFaults(self.cluster, self.dice, self.counts)

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
        self.hosts.finish()

    async def _run(self, name: str, fault: Fault) -> None:
        try:
            met = await fault(name)
        except (RPCError, *UNREACHABLE):
            # The workflow had closed already, or the fault met another one.
            met = False
        if met:
            self.counts[name] += 1

    def _kinds(self) -> dict[str, tuple[int, Fault]]:
        """Return all kinds of faults with their weights."""
        operator = Operator(self.cluster, self.dice, self.projects, self.hosts.rolled_back)
        return {
            "kill worker": (4, self._kill_worker),
            "kill API": (2, self._kill_api),
            "kill Valkey": (2, self._kill_server),
            "kill Postgres": (2, self._kill_server),
            "kill Temporal": (1, self._kill_server),
            "Postgres gone": (1, self._postgres_gone),
            "kill after a commit": (4, self._kill_after_commit),
            "kill after the last attempt's commit": (4, self._kill_after_last_commit),
            "rolling restart": (2, self._rolling_restart),
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
            "cancel": (2, operator.cancel),
            "cancel during a write": (2, operator.cancel_during_a_write),
            **self.hosts.kinds(),
        }

    async def _kill_worker(self, name: str) -> bool:
        await self.cluster.restart(self.dice.choice(WORKERS))
        return True

    async def _kill_api(self, name: str) -> bool:
        await self.cluster.restart("api")
        return True

    async def _kill_server(self, name: str) -> bool:
        return await self._gone(name.removeprefix("kill ").lower(), self.dice.uniform(0.1, 1.0))

    async def _postgres_gone(self, name: str) -> bool:
        return await self._gone("postgres", self.dice.choice(self.outages))

    async def _gone(self, server: str, seconds: float) -> bool:
        if self._servers[server].locked():
            return False
        async with self._servers[server]:
            await self.cluster.servers.kill(server)
            await asyncio.sleep(seconds)
            await self.cluster.servers[server].start()
        return True

    async def _kill_after_commit(self, name: str) -> bool:
        return self._kill_at(name, COMPLETION)

    async def _kill_after_last_commit(self, name: str) -> bool:
        return self._kill_at(name, (*COMPLETION, f'"step": "{ONCE}'.encode()))

    def _kill_at(self, name: str, markers: tuple[bytes, ...]) -> bool:
        """Kill the worker of such a write when Postgres has answered and the worker has not."""

        def kill(port: int) -> None:
            if self.cluster.kill_worker_at(port):
                self.counts[name] += 1

        self.cluster.proxies["worker-postgres"].lose_answer_to(*markers, hit=kill)
        return LATER

    async def _rolling_restart(self, name: str) -> bool:
        """Restart each worker in turn, as an upgrade does."""
        if self._servers[name].locked():
            return False
        async with self._servers[name]:
            for worker in WORKERS:
                if not await self.cluster.leave(worker):
                    self.violations.append(f"{worker} did not end after SIGTERM")
                # A worker starts when Postgres is there.
                patience = START_PATIENCE + max(self.outages)
                await self.cluster.until_polling(worker, patience=patience)
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
        process = self.cluster.processes[self.dice.choice(WORKERS)]
        if process.returncode is not None:  # It ended by itself, and is started again after this.
            return False

        async def overtaken() -> bool:
            return not await self._holds(process.pid)

        _signal(process, signal.SIGSTOP)
        try:
            if not await self._holds(process.pid):
                return False
            await eventually(overtaken, RETRIED_BY)
        except AssertionError:
            return False
        finally:
            _signal(process, signal.SIGCONT)
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
        self.cluster.proxies["worker-valkey"].lose_answer_to(b"PUBLISH", hit=self._hit(name))
        return LATER

    async def _lose_write(self, name: str) -> bool:
        marker = self.dice.choice([b'"completed"', b'"started"', b'"failed"', b'"action"'])
        self.cluster.proxies["worker-postgres"].lose_answer_to(marker, hit=self._hit(name))
        return LATER

    def _hit(self, name: str) -> Callable[[int], None]:
        return lambda _: self.counts.update([name])


def _signal(process: Process, number: int) -> None:
    """Send a signal to a process that another fault may have ended."""
    if process.returncode is None:
        process.send_signal(number)
