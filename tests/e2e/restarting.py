"""An API that tests stop and start on the same port while a page is open."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx

from stepway.cli.run.roles import running_api
from stepway.runtime.settings import Settings


class RestartingApi:
    """An API on shared servers. Start and stop it in the same task."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = AsyncExitStack()
        self._port = 0
        self.url = ""

    async def start(self) -> str:
        """Serve on the same port as before; return the URL."""
        serving = running_api(self._settings, "127.0.0.1", self._port)
        self.url = await self._running.enter_async_context(serving)
        self._port = httpx.URL(self.url).port or 0
        return self.url

    async def stop(self) -> None:
        """Stop serving; the port refuses connections."""
        await self._running.aclose()

    async def __aenter__(self) -> RestartingApi:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
