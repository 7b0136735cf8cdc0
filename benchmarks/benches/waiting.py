"""Many steps that wait for a host: the worker's memory, its event loop, and its places."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client

from benchmarks.child import Child, stepway
from benchmarks.initializations import blueprint, initialize
from benchmarks.loop_delay import VARIABLE, delays
from benchmarks.measure import Comparison, Metrics, Target, interleave, percentile
from benchmarks.stage import Stage
from stepway.blueprints.models import Blueprint
from stepway.runtime.postgres import open_engine
from stepway.runtime.temporal import connect_temporal
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import Target as Address
from stepway.vault.vault import EVERYONE, Vault

ABOUT = (
    "One worker with STEPWAY_STEPS_AT_ONCE=500: 500 steps at once, each with two requests to a Git "
    "host (the GitHub of the tests) whose answers take 20 s, against the same worker with 10 such "
    "steps. Memory is the largest resident size, delay that of a timer of 10 ms in the worker's "
    "event loop, time is from the start until the last step is recorded. Then a worker with 10 "
    "places: while 500 steps wait for the host's rate limit, another project's step, against the "
    "same without them."
)
QUEUE = "waiting"
"""Its workers have places and keys of their own."""
CREDENTIAL = "host"
LOOK = 0.1
PATIENCE = 240.0
"""Seconds until all steps must have done what they should."""
LIMITED = 3600
"""Seconds until the host's rate limit is renewed: longer than the bench."""


async def run(stage: Stage) -> list[Comparison]:
    """Compare many waiting steps with few."""
    async with _hosts(stage) as found:
        return [*await _waiting_for_answers(found), *await _waiting_for_a_limit(found)]


async def _waiting_for_answers(hosts: Hosts) -> list[Comparison]:
    stage = hosts.stage
    many, few = stage.sized((500, 10), (20, 2))
    await hosts.host.ask("slow", seconds=stage.sized(20.0, 1.0))
    rounds = await interleave(
        lambda: hosts.measure(many), lambda: hosts.measure(few), stage.sized(3, 1), "memory"
    )
    less = f"{few} steps"

    def against_limit(name: str, unit: str, metric: str, limit: float, text: str) -> Comparison:
        pairs = [(ours[metric], limit) for ours, _ in rounds.rounds]
        target = None if stage.quick else Target(1)
        return Comparison(name, unit, text, pairs, target, limit=True)

    kept = rounds.pairs("memory")
    stage.facts["KiB of a waiting step"] = sorted(
        (ours - theirs) * 1024 / (many - few) for ours, theirs in kept
    )[len(kept) // 2]
    return [
        Comparison(f"memory, {many} steps", "MiB", less, kept, Target(1.5)),
        Comparison(f"p99 delay, {many} steps", "ms", less, rounds.pairs("p99")),
        against_limit(f"p99 delay, {many} steps", "ms", "p99", 100.0, "100 ms"),
        against_limit(f"longest delay, {many} steps", "ms", "longest", 500.0, "500 ms"),
        Comparison(
            f"time for all, {many} steps",
            "s",
            less,
            rounds.pairs("time"),
            None if stage.quick else Target(2),
        ),
    ]


async def _waiting_for_a_limit(hosts: Hosts) -> list[Comparison]:
    stage = hosts.stage
    many = stage.sized(500, 20)
    async with hosts.worker(stage.sized(10, 2)):
        other = blueprint("noop", 1)

        async def one() -> float:
            began = time.monotonic()
            await initialize(hosts.client, QUEUE, other)
            return (time.monotonic() - began) * 1000

        await one()
        before = [await one() for _ in range(stage.sized(10, 1))]
        await hosts.host.ask("limited", seconds=LIMITED)
        waiting = hosts.start(many)
        await hosts.until(
            "status = 'running' AND metadata ? 'asked_to_wait'", many, "wait for the limit"
        )
        during = [await one() for _ in before]
        waiting.cancel()
    pairs = list(zip(during, before, strict=True))
    name = f"another step, {many} wait for a limit"
    return [Comparison(name, "ms", "none waits", pairs, Target(1.5))]


class Hosts:
    """The host, a client of the workers, and the steps that use the host's credential."""

    def __init__(self, stage: Stage, host: Child, client: Client, key: str) -> None:
        self.stage = stage
        self.host = host
        self.client = client
        self._key = key
        self._files = 0

    @asynccontextmanager
    async def worker(self, places: int, file: Path | None = None) -> AsyncIterator[Child]:
        """Run a worker with so many places; its delays go to the file."""
        worker = await self.stage.run(
            stepway("worker"),
            STEPWAY_TEMPORAL_TASK_QUEUE=QUEUE,
            STEPWAY_STEPS_AT_ONCE=str(places),
            STEPWAY_SECRET_KEYS=self._key,
            STEPWAY_STEP_MODULES="benchmarks.steps,benchmarks.loop_delay",
            **({VARIABLE: str(file)} if file else {}),
        )
        try:
            yield worker
        finally:
            await worker.stop()

    def start(self, steps: int) -> asyncio.Task[None]:
        """Start initializations with so many steps in all, at most 50 each."""
        return asyncio.create_task(self._start(steps))

    async def _start(self, steps: int) -> None:
        each = [min(50, steps - first) for first in range(0, steps, 50)]
        await asyncio.gather(*(initialize(self.client, QUEUE, _plan(count)) for count in each))

    async def until(self, condition: str, count: int, what: str) -> None:
        """Wait until so many steps fulfil an SQL condition. Raises TimeoutError."""
        query = f"SELECT count(*) FROM project_initialization_steps WHERE {condition}"
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    if await self.stage.pool.fetchval(query) >= count:
                        return
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            found = await self.stage.pool.fetchval(query)
            raise TimeoutError(f"{found} of {count} steps {what}") from None

    async def measure(self, steps: int) -> Metrics:
        """Run the steps on a new worker: its memory in MiB, delays in ms, and the time in s."""
        self._files += 1
        file = self.stage.folder / f"delays-{self._files}"
        async with self.worker(500, file) as worker:
            # The first steps of a worker load what all use.
            await self._start(1)
            began = time.monotonic()
            running, memory = self.start(steps), 0
            while not running.done():
                memory = max(memory, worker.memory())
                await asyncio.wait([running], timeout=LOOK)
            running.result()
            ended = time.monotonic()
            # The worker writes its delays once a second.
            await asyncio.sleep(1.5)
        found = delays(file, began, ended)
        return {
            "memory": memory / 2**20,
            "p99": percentile(found, 0.99),
            "longest": max(found),
            "time": ended - began,
        }


@asynccontextmanager
async def _hosts(stage: Stage) -> AsyncIterator[Hosts]:
    key = new_key("bench")
    host = await stage.side("slow_host")
    ready = json.loads(host.ready)
    engine = open_engine(stage.settings.sqlalchemy_url)
    vault = Vault(engine, Keyring(parse_keys(key)))
    await vault.put(EVERYONE, CREDENTIAL, ready["token"], "", Address("github", ready["url"]))
    await engine.dispose()
    settings = stage.settings.model_copy(update={"secret_keys": SecretStr(key)})
    yield Hosts(stage, host, await connect_temporal(settings), key)


def _plan(steps: int) -> Blueprint:
    """A blueprint whose steps all run at once."""
    plan = blueprint("resolve_credentials", steps, credential=CREDENTIAL)
    return plan.model_copy(
        update={"steps": [step.model_copy(update={"after": []}) for step in plan.steps]}
    )
