"""Logs of steps: how fast lines arrive, how many, and what they cost the steps."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx

from benchmarks.child import Child, ChildFailed, python, stepway
from benchmarks.initializations import LiveProject, blueprint, initialize
from benchmarks.measure import Comparison, Metrics, Target, interleave, percentile
from benchmarks.stage import Stage
from benchmarks.streams import Watched
from stepway.vault.redaction import PROCESS
from stepway_tracking.logs.attempt_log import AttemptKey
from stepway_tracking.logs.writer import open_logs

ABOUT = (
    "Lines among 50 a second from a step's code to 50 SSE clients of one API process, against a "
    "limit of 300 ms; "
    "lines a second through one worker and one API process to a reader that gets all of them, "
    "against 10,000; 8 no-op steps on a worker with logs against one without; and a step of 1 ms "
    "of work and a line in turn against the same step without lines."
)
CLIENTS = 50
DELAY = 300.0
CHATTER = 50
"""Other lines a second."""

RATE = 10_000
PACE = 1.1
"""How much faster than RATE the step logs, so that start and end cost nothing."""

LOGGED_QUEUE, SILENT_QUEUE = "logged", "silent"
PATIENCE = 120.0


async def run(stage: Stage) -> list[Comparison]:
    """Compare each with its limit or its peer."""
    api = await stage.api()
    quiet = await _quiet(stage)
    await stage.worker()
    arrivals = [await _arrivals(stage, api) for _ in range(stage.sized(3, 1))]
    rates = [await _rate(stage, api) for _ in range(stage.sized(3, 1))]
    return [
        _limit(f"line at {CLIENTS} clients, p50", "ms", [p50 for p50, _ in arrivals], DELAY, None),
        _limit(
            f"line at {CLIENTS} clients, p99",
            "ms",
            [p99 for _, p99 in arrivals],
            DELAY,
            Target(1.0),
        ),
        _limit("lines, all kept", "/s", rates, float(RATE), Target(1.0, at_least=True)),
        *quiet,
        await _slowed(stage),
    ]


def _limit(
    name: str, unit: str, found: list[float], limit: float, target: Target | None
) -> Comparison:
    pairs = [(value, limit) for value in found]
    return Comparison(name, unit, "the limit", pairs, target, limit=True)


async def _arrivals(stage: Stage, api: Child) -> tuple[float, float]:
    """p50 and p99 of the milliseconds until a line is at each client."""
    project = await LiveProject.start(stage.pool, stage.redis)
    key = AttemptKey(project.project_id, "step_0", "run", "1", 1)
    path = f"/api/projects/{project.project_id}/initialization/steps/step_0/logs?follow=true"
    clients = stage.sized(CLIENTS, 5)
    async with open_logs(stage.pool, project.publisher, PROCESS) as writer:
        log = writer.open(key)
        log.log("info", "the first line")

        async def chatter() -> None:
            while True:
                log.log("info", "another line of a step that logs all the time")
                await asyncio.sleep(1 / CHATTER)

        async def change(mark: int) -> float:
            # At any moment between two writes.
            await asyncio.sleep(random.uniform(0.05, 0.45))
            began = time.monotonic()
            log.log("info", f"a line with mark-{mark:06d} in it")
            return began

        side = Watched(await stage.side("watchers"), clients, change)
        await side.watchers.ask("open", port=api.port, paths=[path], count=clients)
        chattering = asyncio.create_task(chatter())
        took = [seconds for _ in range(stage.sized(60, 3)) for seconds in await side.deliver()]
        chattering.cancel()
        await side.watchers.ask("close")
        log.close()
    return percentile(took, 0.5) * 1000, percentile(took, 0.99) * 1000


async def _rate(stage: Stage, api: Child) -> float:
    """Lines a second until a reader has them all. Raises ChildFailed if one is missing."""
    pace = round(RATE * PACE)
    lines = pace * stage.sized(10, 1)
    file = stage.folder / f"log-{uuid4().hex[:8]}"
    plan = blueprint("log", 1, lines=lines, rate=pace, file=str(file))
    running = asyncio.create_task(
        initialize(stage.temporal, stage.settings.temporal_task_queue, plan)
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while not (text := await asyncio.to_thread(_read, file)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            begun = json.loads(text)
            parts, ended = await _followed(api, begun["project"])
            await running
    finally:
        running.cancel()
    items = [json.loads(line) for line in b"".join(parts).splitlines() if line]
    if [item.get("seq") for item in items[:-1]] != list(range(1, lines + 1)):
        raise ChildFailed(f"of {lines} lines, a reader got {len(items) - 1}")
    return lines / (ended - begun["began"])


async def _followed(api: Child, project: str) -> tuple[list[bytes], float]:
    """The log of the step to its end, and the time of its last part."""
    path = f"/api/projects/{project}/initialization/steps/step_0/logs?follow=true"
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=PATIENCE) as http,
        http.stream("GET", path) as answer,
    ):
        answer.raise_for_status()
        return [part async for part in answer.aiter_raw()], time.monotonic()


async def _quiet(stage: Stage) -> list[Comparison]:
    """What logs cost steps that log nothing. Both workers have queues of their own."""
    logged = await stage.run(stepway("worker"), STEPWAY_TEMPORAL_TASK_QUEUE=LOGGED_QUEUE)
    silent = await stage.run(
        python("benchmarks.sides.silent_worker"), STEPWAY_TEMPORAL_TASK_QUEUE=SILENT_QUEUE
    )
    plan, count = blueprint("noop"), stage.sized(60, 3)

    async def measured(side: Child, queue: str) -> Metrics:
        before, began = side.cpu_seconds(), time.monotonic()
        await asyncio.gather(*(initialize(stage.temporal, queue, plan) for _ in range(count)))
        seconds = time.monotonic() - began
        return {
            "rate": count / seconds,
            "worker": max(side.cpu_seconds() - before, 0.01) / count * 1000,
        }

    async def ours() -> Metrics:
        return await measured(logged, LOGGED_QUEUE)

    async def theirs() -> Metrics:
        return await measured(silent, SILENT_QUEUE)

    await asyncio.gather(ours(), theirs())
    found = await interleave(ours, theirs, stage.sized(6, 1), "rate")
    name, unit = "steps that log nothing", "initializations/s"
    return [
        Comparison(name, unit, "no logs", found.pairs("rate"), Target(0.97, at_least=True)),
        Comparison(f"{name}, worker", "CPU ms/initialization", "no logs", found.pairs("worker")),
    ]


async def _slowed(stage: Stage) -> Comparison:
    """What a line for each millisecond of work costs the step."""
    units = stage.sized(3_000, 50)

    async def took(logs: bool) -> Metrics:
        file = stage.folder / f"work-{uuid4().hex[:8]}"
        plan = blueprint("work", 1, lines=units, logs=logs, file=str(file))
        await initialize(stage.temporal, stage.settings.temporal_task_queue, plan)
        return {"seconds": float(await asyncio.to_thread(_read, file)) * 1000 / units}

    await took(True)
    found = await interleave(lambda: took(True), lambda: took(False), stage.sized(6, 1), "seconds")
    pairs = found.pairs("seconds")
    stage.note(
        f"The step that logs writes {1000 / median(ours for ours, _ in pairs):,.0f} lines a second."
    )
    return Comparison("step with a line a unit", "ms/unit", "no lines", pairs, Target(1.05))


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""
