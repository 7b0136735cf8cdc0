"""An API that is stopped and started under a page, on one port."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx

from stepway.cli.run.roles import running_api
from stepway.runtime.settings import Settings


class RestartingApi:
    """An API of its own on servers that others use too. Start and stop it in one task."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = AsyncExitStack()
        self._port = 0
        self.url = ""

    async def start(self) -> str:
        """Serve, on the port of the last time; the URL."""
        serving = running_api(self._settings, "127.0.0.1", self._port)
        self.url = await self._running.enter_async_context(serving)
        self._port = httpx.URL(self.url).port or 0
        return self.url

    async def stop(self) -> None:
        """Stop serving; the port answers nothing."""
        await self._running.aclose()

    async def __aenter__(self) -> RestartingApi:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
