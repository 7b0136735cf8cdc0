"""Measures how long a step is interrupted when its worker is killed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from uuid import uuid4

import httpx

from tests.faults.cluster import WORKERS, Cluster
from tests.support.servers import eventually, write_blueprint

HEARTBEAT, BACKOFF = 4.0, 1.0
ALLOWED = HEARTBEAT + BACKOFF
"""Seconds: until Temporal misses the heartbeat, and until it tries again. Its own timers are up to
a second late each, which must not be most of what is measured."""

POLL = 0.01


def write_held_blueprint(folder: Path) -> None:
    """A project type with one step that runs until its gate opens."""
    step = {"step": "held", "uses": "gate", "heartbeat": HEARTBEAT}
    retry = {"initial_interval": BACKOFF, "maximum_attempts": 0}
    write_blueprint(folder, [{**step, "retry": retry}], "held")


async def recoveries(cluster: Cluster, times: int) -> list[float]:
    """Return, for `times` runs, the seconds from kill -9 to the step running on another worker."""
    measured = []
    async with httpx.AsyncClient(base_url=cluster.url, timeout=30) as http:
        for _ in range(times):
            await cluster.until_serving()
            # Otherwise the start of the only other worker would be measured.
            await cluster.until_polling()
            measured.append(await _recovery(cluster, http))
    return measured


async def _recovery(cluster: Cluster, http: httpx.AsyncClient) -> float:
    body = {"name": f"p-{uuid4().hex[:12]}", "blueprint": "held"}

    async def created() -> str:
        answer = await http.post(
            "/api/projects", json=body, headers={"Idempotency-Key": body["name"]}
        )
        return str(answer.json()["project"]["id"]) if answer.is_success else ""

    project = await eventually(created)
    path = f"/api/projects/{project}/initialization/steps/held/attempts"

    async def attempt(number: int) -> dict[str, str]:
        made = json.loads((await http.get(path)).content)
        return made[number - 1] if len(made) >= number else {}

    first = await eventually(lambda: attempt(1))
    pid = int(first["worker"].partition("@")[0])
    name = next(name for name in WORKERS if cluster.processes[name].pid == pid)
    await cluster.kill(name)
    killed = time.monotonic()
    while not await attempt(2):
        assert time.monotonic() - killed < 60, "the step did not run again"
        await asyncio.sleep(POLL)
    took = time.monotonic() - killed
    (cluster.folder / "held.open").touch()
    await cluster.launch(name)
    await eventually(lambda: _is_active(http, project))
    (cluster.folder / "held.open").unlink()
    return took


async def _is_active(http: httpx.AsyncClient, project: str) -> bool:
    return bool((await http.get(f"/api/projects/{project}")).json()["status"] == "active")
