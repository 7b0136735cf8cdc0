"""A server of logs that the test makes up: any length, any rate, lost connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.servers import eventually

BATCH = 1000
TICK = 0.02
STEADY_AT = "2026-11-26T02:30:00.123Z"

Line = dict[str, Any]


def plain_line(seq: int) -> Line:
    """Return a line of common length."""
    text = f"[{seq:07}] compiled module number {seq % 977} of the service in {seq % 83} ms"
    return {"seq": seq, "at": STEADY_AT, "level": "info", "stream": "stdout", "text": text}


@dataclass
class FakeLog:
    """One attempt's log."""

    count: int
    """Lines that are there at once."""
    line: Callable[[int], Line] = plain_line
    rate: float = 0.0
    """Lines a second that are added while somebody reads."""
    most: int | None = None
    """Lines at which a growing log ends."""
    outcome: str | None = "failed"
    """None: it does not end."""
    lose_after: list[int] = field(default_factory=list)
    """Numbers of lines after which a connection is lost, each once."""
    status: int = 200
    complete: bool = True
    """Whether its worker has written its end."""
    _began: float | None = None

    def available(self) -> int:
        """Return how many lines there are now."""
        if not self.rate:
            return self.count
        self._began = self._began or time.monotonic()
        grown = self.count + int((time.monotonic() - self._began) * self.rate)
        return min(grown, self.most) if self.most else grown

    @property
    def has_ended(self) -> bool:
        """Whether no line will be added."""
        if self.outcome is None:
            return False
        return not self.rate or (self.most is not None and self.available() >= self.most)


async def _has_started(server: uvicorn.Server) -> bool:
    return server.started


class ConnectionLostError(Exception):
    """Ends a response in its middle."""


class FakeLogs:
    """Logs by step, round and attempt; `None` as attempt is the rollback."""

    def __init__(self) -> None:
        self.logs: dict[tuple[str, int, int | None], FakeLog] = {}
        self.asked: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeLogs]:
        """Serve on a free port."""
        config = uvicorn.Config(
            self.app(), host="127.0.0.1", port=0, log_level="critical", lifespan="off"
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        await eventually(lambda: _has_started(server))
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            await task

    def app(self) -> Starlette:
        """Return the ASGI app with the one route."""
        path = "/api/projects/{project}/initialization/steps/{step}/logs"
        return Starlette(routes=[Route(path, self._answer)])

    async def _answer(self, request: Request) -> Response:
        self.asked.append(str(request.url.query))
        query = request.query_params
        attempt = None if query.get("rollback") else int(query.get("attempt", 1))
        key = (request.path_params["step"], int(query.get("round", 1)), attempt)
        log = self.logs.get(key)
        if log is None or log.status != 200:
            status = log.status if log else 404
            return JSONResponse({"title": "No log", "status": status}, status)
        if "text/plain" in request.headers.get("accept", ""):
            lines = (str(log.line(seq).get("text", "")) for seq in range(1, log.count + 1))
            return PlainTextResponse("".join(f"{line}\n" for line in lines))
        after = int(query.get("after", 0))
        if "tail" in query:
            after = max(0, log.available() - int(query["tail"]))
        follow = query.get("follow") == "true"
        return StreamingResponse(_stream(log, after, follow), media_type="application/x-ndjson")


async def _stream(log: FakeLog, after: int, follow: bool) -> AsyncIterator[bytes]:
    while True:
        until = min(log.available(), after + BATCH)
        losing = next((seq for seq in log.lose_after if after < seq <= until), None)
        if losing is not None:
            log.lose_after.remove(losing)
            until = losing
        if until > after:
            records = (_record(log.line(seq)) for seq in range(after + 1, until + 1))
            yield "".join(records).encode()
            after = until
        if losing is not None:
            await asyncio.sleep(0.1)
            raise ConnectionLostError
        if after < log.available():
            await asyncio.sleep(0)
        elif not follow:
            return
        elif log.has_ended:
            end = {"seq": after, "outcome": log.outcome, "complete": log.complete}
            yield _record({"end": {**end, "superseded": not log.complete}}).encode()
            return
        else:
            await asyncio.sleep(TICK)


def _record(record: Line) -> str:
    if "gap" in record:
        return json.dumps({"gap": record["gap"]}) + "\n"
    return json.dumps(record) + "\n"
