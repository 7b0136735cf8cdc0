"""Watchers: our client, a client on httpx-sse, and the EventSources of Node and Chromium."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from asyncio.subprocess import Process
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
from httpx_sse import SSEError, aconnect_sse
from playwright.async_api import Browser, Page, Playwright, async_playwright

from stepway.cli.client.errors import ClientError
from stepway.cli.client.events import follow
from stepway.cli.client.fold import Gap, Initialization, fold, from_snapshot
from stepway.cli.client.http import Api
from tests.faults.checks import Seen
from tests.support.chromium import ARGUMENTS, CHROMIUM, require_chromium

HERE = Path(__file__).parent
NODE_PACKAGES = HERE.parents[1] / ".tools" / "faults"
EVENTSOURCE = "eventsource@5.1.5"
AGAIN = 0.3
"""Seconds before a disconnected watcher reconnects."""


class Watcher(Protocol):
    """Watches projects until it is stopped."""

    name: str

    async def start(self, url: str) -> None:
        """Prepare to watch an API."""

    async def watch(self, project: str) -> None:
        """Start watching a project."""

    async def seen(self, project: str) -> list[Seen]:
        """Return the events of a project so far."""

    async def forget(self, project: str) -> None:
        """Stop watching a project."""

    async def stop(self) -> None:
        """Stop the watcher."""


class Plain:
    """A simple client on httpx-sse with `Last-Event-ID`. Tests can freeze it."""

    name = "httpx-sse"

    def __init__(self) -> None:
        self._seen: dict[str, list[Seen]] = defaultdict(list)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._awake = asyncio.Event()
        self._awake.set()

    async def start(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(30, connect=5))

    async def watch(self, project: str) -> None:
        self._tasks[project] = asyncio.create_task(self._watch(project))

    async def seen(self, project: str) -> list[Seen]:
        return self._seen[project]

    async def forget(self, project: str) -> None:
        task = self._tasks.pop(project)
        task.cancel()
        await asyncio.wait([task])

    async def stop(self) -> None:
        for project in tuple(self._tasks):
            await self.forget(project)
        await self._http.aclose()

    def freeze(self) -> None:
        """Stop reading from the streams."""
        self._awake.clear()

    def thaw(self) -> None:
        """Continue reading."""
        self._awake.set()

    async def _watch(self, project: str) -> None:
        while True:
            try:
                await self._read(project)
            except (httpx.TransportError, SSEError):
                await asyncio.sleep(AGAIN)
            await asyncio.sleep(AGAIN)

    async def _read(self, project: str) -> None:
        seen = self._seen[project]
        headers = {"Last-Event-ID": str(seen[-1].id)} if seen else {}
        path = f"/api/projects/{project}/initialization/events"
        async with aconnect_sse(self._http, "GET", path, headers=headers) as source:
            if source.response.status_code != 200:
                return
            async for event in source.aiter_sse():
                await self._awake.wait()
                if event.data:
                    seen.append(Seen(int(event.id), event.event))


class Own:
    """The CLI's client, a thread per project; `states` holds the folded states."""

    name = "stepway"

    def __init__(self) -> None:
        self.states: dict[str, Initialization] = {}
        self._seen: dict[str, list[Seen]] = defaultdict(list)
        self._left: dict[str, threading.Event] = {}

    async def start(self, url: str) -> None:
        self._url = url

    async def watch(self, project: str) -> None:
        self._left[project] = threading.Event()
        threading.Thread(target=self._watch, args=(project,), daemon=True).start()

    async def forget(self, project: str) -> None:
        self._left.pop(project).set()

    async def seen(self, project: str) -> list[Seen]:
        return list(self._seen[project])

    async def stop(self) -> None:
        for project in tuple(self._left):
            await self.forget(project)

    def _watch(self, project: str) -> None:
        api, left = Api(self._url), self._left[project]

        def pause(seconds: float) -> None:
            if left.wait(min(seconds, 1.0)):
                raise _Left

        while not left.is_set():
            with suppress(ClientError, _Left):
                self._follow(api, project, pause)
            left.wait(AGAIN)

    def _follow(self, api: Api, project: str, pause: Callable[[float], None]) -> None:
        seen = self._seen[project]
        if project not in self.states:
            state = self.states[project] = from_snapshot(api.initialization(project))
            seen.append(Seen(state.version, "snapshot"))
        after = self.states[project].version
        for event in follow(api, project, after, lambda _: None, pause):
            seen.append(Seen(event.data["version"], event.type))
            try:
                self.states[project] = fold(self.states[project], event.type, event.data)
            except Gap:
                del self.states[project]
                return


class _Left(Exception):
    """The watcher was stopped."""


class Node:
    """The npm package `eventsource`, one process for all projects."""

    name = "node"

    def __init__(self) -> None:
        self._seen: dict[str, list[Seen]] = defaultdict(list)

    async def start(self, url: str) -> None:
        await _install_eventsource()
        script = NODE_PACKAGES / "watch.mjs"
        script.write_text((HERE / "watch.mjs").read_text())
        self._url = url
        self._process: Process = await asyncio.create_subprocess_exec(
            "node", script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read())

    async def watch(self, project: str) -> None:
        await self._say(f"watch {project} {self._url}")

    async def forget(self, project: str) -> None:
        await self._say(f"forget {project}")

    async def seen(self, project: str) -> list[Seen]:
        return self._seen[project]

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await asyncio.wait([self._reading])

    def freeze(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    async def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            event = json.loads(line)
            self._seen[event["project"]].append(Seen(event["id"], event["type"]))


class Chromium:
    """Chromium's EventSource, on a page of the API's origin."""

    name = "chromium"

    async def start(self, url: str) -> None:
        require_chromium()
        self._playwright: Playwright = await async_playwright().start()
        self._browser: Browser = await self._playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS
        )
        self._page: Page = await self._browser.new_page()
        await self._page.goto(f"{url}/api/blueprints")
        await self._page.evaluate(_PAGE)

    async def watch(self, project: str) -> None:
        await self._page.evaluate("project => window.watch(project)", project)

    async def forget(self, project: str) -> None:
        await self._page.evaluate("project => window.forgotten.add(project)", project)

    async def seen(self, project: str) -> list[Seen]:
        found: list[Any] = await self._page.evaluate("project => window.seen[project]", project)
        return [Seen(id, type) for id, type in found]

    async def stop(self) -> None:
        await self._browser.close()
        await self._playwright.stop()


_PAGE = """() => {
  window.seen = {}
  window.forgotten = new Set()
  window.watch = (project) => {
    const seen = (window.seen[project] = [])
    let source
    const open = () => {
      const after = seen.length ? `?after=${seen.at(-1)[0]}` : ''
      source = new EventSource(`/api/projects/${project}/initialization/events${after}`)
      for (const type of ['snapshot', 'step', 'project', 'end'])
        source.addEventListener(type, (event) => seen.push([Number(event.lastEventId), type]))
    }
    open()
    const timer = setInterval(() => {
      if (window.forgotten.has(project)) { source.close(); clearInterval(timer) }
      else if (source.readyState === EventSource.CLOSED) open()
    }, 500)
  }
}"""


async def _install_eventsource() -> None:
    if (NODE_PACKAGES / "node_modules" / "eventsource").exists():
        return
    NODE_PACKAGES.mkdir(parents=True, exist_ok=True)
    npm = await asyncio.create_subprocess_exec(
        "npm", "install", "--prefix", NODE_PACKAGES, "--no-save", "--silent", EVENTSOURCE
    )
    assert await npm.wait() == 0, f"npm could not install {EVENTSOURCE}"
