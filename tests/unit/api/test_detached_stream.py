"""The rest of a detached response is sent after all middleware, or closed if that fails."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from stepway.api.middleware.detached_stream import DETACHED, Application


class Rest:
    """The rest of a response; records whether it was sent or closed."""

    def __init__(self, events: list[str], keeps_scope: bool = False) -> None:
        self._events = events
        self.keeps_scope = keeps_scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        self._events.append("sent")

    def close(self) -> None:
        self._events.append("closed")


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def send(message: Message) -> None:
    pass


async def serve(
    rest: Rest, events: list[str], error: Exception | None = None
) -> tuple[Scope, Scope]:
    """Serve a request that detaches `rest`; return the server's scope and the middleware's."""
    inner: Scope = {}

    async def innermost(scope: Scope, receive: Receive, send: Send) -> None:
        scope[DETACHED] = rest
        scope["state"]["asked by"] = "somebody"
        nonlocal inner
        inner = scope
        events.append("middleware done")
        if error:
            raise error

    app = Application()
    app.middleware_stack = innermost
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "state": {}}
    await app(scope, receive, send)
    return scope, inner


async def test_rest_is_sent_after_the_middleware_and_keeps_nothing_of_its_scope() -> None:
    events: list[str] = []
    scope, inner = await serve(Rest(events), events)
    assert events == ["middleware done", "sent"]
    assert scope == {"type": "http", "method": "GET", "path": "/", "state": {}}
    assert inner == {}


async def test_rest_keeps_no_request_even_without_a_garbage_collection() -> None:
    requests: list[weakref.ref[Request]] = []

    async def innermost(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        request.state.admission = lambda: request
        requests.append(weakref.ref(request))
        scope[DETACHED] = Rest([])

    app = Application()
    app.middleware_stack = innermost
    gc.disable()
    try:
        await app({"type": "http", "method": "GET", "path": "/"}, receive, send)
        assert requests[0]() is None
    finally:
        gc.enable()


async def test_rest_that_keeps_the_scope_finds_it_unchanged() -> None:
    events: list[str] = []
    scope, inner = await serve(Rest(events, keeps_scope=True), events)
    assert events == ["middleware done", "sent"]
    assert inner["state"] == {"asked by": "somebody"}
    assert scope["state"] == {}


async def test_rest_is_closed_when_the_middleware_fails() -> None:
    events: list[str] = []
    with pytest.raises(RuntimeError, match="no luck"):
        await serve(Rest(events), events, RuntimeError("no luck"))
    assert events == ["middleware done", "closed"]
