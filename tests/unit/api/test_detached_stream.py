"""What a stream leaves to be sent goes on after all layers, or is given up with them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from stepway.api.middleware.detached_stream import GOES_ON, Application


class Rest:
    """The rest of a response, which notes what became of it."""

    def __init__(self, events: list[str], needs_request: bool = False) -> None:
        self._events = events
        self.needs_request = needs_request

    async def __call__(self, receive: Receive, send: Send) -> None:
        self._events.append("sent")

    def close(self) -> None:
        self._events.append("closed")


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def send(message: Message) -> None:
    pass


async def serve(rest: Rest, events: list[str], error: Exception | None = None) -> Scope:
    """Serve a request whose innermost layer leaves `rest`; the scope afterwards."""

    async def innermost(scope: Scope, receive: Receive, send: Send) -> None:
        scope[GOES_ON] = rest
        scope["state"]["asked by"] = "somebody"
        events.append("layers done")
        if error:
            raise error

    app = Application()
    app.middleware_stack = innermost
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "state": {}}
    await app(scope, receive, send)
    return scope


async def test_rest_is_sent_after_the_layers_and_keeps_nothing_of_theirs() -> None:
    events: list[str] = []
    scope = await serve(Rest(events), events)
    assert events == ["layers done", "sent"]
    assert scope == {"type": "http", "method": "GET", "path": "/", "state": {}}


async def test_rest_that_needs_its_request_finds_it() -> None:
    events: list[str] = []
    scope = await serve(Rest(events, needs_request=True), events)
    assert events == ["layers done", "sent"]
    assert scope["state"] == {"asked by": "somebody"}


async def test_rest_is_given_up_when_a_layer_fails() -> None:
    events: list[str] = []
    with pytest.raises(RuntimeError, match="no luck"):
        await serve(Rest(events), events, RuntimeError("no luck"))
    assert events == ["layers done", "closed"]
