"""The application, and the streams that outlive its layers."""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

GOES_ON = "stepway.goes_on"
"""Where a response that has started leaves what is still to be sent."""


class GoesOn(Protocol):
    """The rest of a response; it is either called or closed.

    Where it `needs_request` what the layers have left in the request's scope stays there.
    """

    @property
    def needs_request(self) -> bool: ...

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Send it."""

    def close(self) -> None:
        """Give it up."""


class Application(FastAPI):
    """Sends the rest of a stream after all layers have returned.

    An idle stream then keeps no request, no route and no frame of a layer in memory, and its events
    pass through none of them.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. Raises what a layer raises."""
        rest = await self._pass_layers(scope, receive, send)
        if rest is not None:
            await rest(receive, send)

    async def _pass_layers(self, scope: Scope, receive: Receive, send: Send) -> GoesOn | None:
        given = {**scope, "state": {}}
        rest: GoesOn | None = None
        try:
            await super().__call__(scope, receive, send)
        except BaseException:
            if (rest := scope.pop(GOES_ON, None)) is not None:
                rest.close()
            raise
        rest = scope.pop(GOES_ON, None)
        if rest is not None and not rest.needs_request:
            scope.clear()
            scope.update(given)
        return rest
