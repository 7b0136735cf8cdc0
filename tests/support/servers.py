"""Runs Stepway on real servers, with an HTTP client for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml
from httpx_sse import aconnect_sse

from stepway.cli.run.roles import running_api
from stepway.runtime.settings import Settings
from stepway.worker import running_worker

PATIENCE = 60.0
"""Seconds that a test waits for a condition before it fails."""

Json = dict[str, Any]


async def eventually(condition: Callable[[], Awaitable[Any]], patience: float = PATIENCE) -> Any:
    """Wait until the condition returns a true value; return it.

    Raises AssertionError after `patience` seconds.
    """
    end = asyncio.get_running_loop().time() + patience
    while not (answer := await condition()):
        assert asyncio.get_running_loop().time() < end, f"{condition} did not come true"
        await asyncio.sleep(0.05)
    return answer


def write_blueprint(folder: Path, steps: list[Json], name: str | None = None, **more: Any) -> str:
    """Write a blueprint with these steps; return its name. `uses` defaults to `work`."""
    name = name or f"test-{uuid4().hex[:8]}"
    steps = [{"uses": "work", **step} for step in steps]
    for step in steps:
        step["with"] = {"folder": str(folder), "name": step["step"], **step.get("with", {})}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"name": name, "steps": steps, **more}, sort_keys=False))
    return name


@dataclass
class Stepway:
    """A running Stepway and an HTTP client for it."""

    settings: Settings
    folder: Path
    http: httpx.AsyncClient

    async def create(self, blueprint: str = "web-service", **parameters: Any) -> str:
        """Start an initialization with a new name; return the project's ID."""
        body = {
            "name": f"p-{uuid4().hex[:12]}",
            "blueprint": blueprint,
            "parameters": parameters,
        }
        answer = await self.http.post("/api/projects", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["project"]["id"])

    async def initialization(self, project: str) -> Json:
        """Return the project with steps, progress and version."""
        answer = await self.http.get(f"/api/projects/{project}/initialization")
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def steps(self, project: str) -> dict[str, Json]:
        """Return the steps by name."""
        return {step["step"]: step for step in (await self.initialization(project))["steps"]}

    async def attempts(self, project: str, step: str) -> list[Json]:
        """Return all attempts of a step."""
        path = f"/api/projects/{project}/initialization/steps/{step}/attempts"
        return (await self.http.get(path)).json()  # type: ignore[no-any-return]

    async def history(self, project: str) -> list[Json]:
        """Return all events except progress updates."""
        path = f"/api/projects/{project}/initialization/history?limit=1000"
        return (await self.http.get(path)).json()["items"]  # type: ignore[no-any-return]

    async def control(self, project: str, path: str, body: Json | None = None) -> httpx.Response:
        """Post a control; `path` is `steps/x/retry`, `cancel`, …"""
        return await self.http.post(
            f"/api/projects/{project}/initialization/{path}", json=body or {}
        )

    async def until(self, project: str, status: str) -> Json:
        """Wait for the project's status; return the initialization."""

        async def reached() -> Json | None:
            found = await self.initialization(project)
            return found if found["project"]["status"] == status else None

        return await eventually(reached)  # type: ignore[no-any-return]

    async def until_step(self, project: str, step: str, status: str) -> Json:
        """Wait for a step's status; return the step."""

        async def reached() -> Json | None:
            found = (await self.steps(project))[step]
            return found if found["status"] == status else None

        return await eventually(reached)  # type: ignore[no-any-return]

    async def watch(self, project: str, after: int | None = None) -> list[Json]:
        """Return all events of the stream up to its end: `{id, event, data}`."""
        events = []
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        path = f"/api/projects/{project}/initialization/events"
        async with (
            asyncio.timeout(PATIENCE),
            aconnect_sse(self.http, "GET", path, headers=headers, timeout=PATIENCE) as source,
        ):
            async for event in source.aiter_sse():
                events.append(
                    {"id": int(event.id), "event": event.event, "data": json.loads(event.data)}
                )
        return events

    def open_gate(self, name: str) -> None:
        """Let a `gate` step complete."""
        (self.folder / f"{name}.open").touch()

    def runs(self, name: str) -> int:
        """Return how many times a step's code has run."""
        file = self.folder / f"{name}.runs"
        return len(file.read_text().splitlines()) if file.exists() else 0


@asynccontextmanager
async def running_stepway(
    settings: Settings,
    folder: Path,
    *,
    worker: bool = True,
    modules: Sequence[str] = ("tests.support.steps",),
    queue: str = "",
) -> AsyncIterator[Stepway]:
    """Run API and worker in this process, on the servers in `settings`."""
    settings = settings.model_copy(
        update={
            "data_dir": folder / "data",
            "blueprints": [folder],
            "step_modules": list(modules),
            "temporal_task_queue": queue or f"stepway-{uuid4().hex[:8]}",
        }
    )
    (folder / "data").mkdir(exist_ok=True)
    async with (
        running_api(settings, "127.0.0.1", 0) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http,
        running_worker(settings) if worker else nullcontext(),
    ):
        yield Stepway(settings, folder, http)
