"""The event stream of one initialization."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.access import LOCAL
from api.dependencies import Admitted, LastEventId, ProjectId, Resources
from api.guard import Admission, Guarded
from api.limits import Limits
from api.openapi import problems
from api.requests import UNWRAPPED_SEND
from tracking.hub import Hub
from tracking.subscription import KEEPALIVE, Subscription

router = APIRouter(
    route_class=Guarded, prefix="/api/projects/{project_id}/initialization", tags=["initialization"]
)

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
# Milliseconds that a browser waits before it connects again; spread, so that not all come at once.
RETRY = (500, 2000)

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `snapshot`, `step`, `project`, `end`, with their version as id.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The initialization ended at the version that the client has."},
}


@router.get(
    "/events", response_class=Response, responses={**_EVENTS, **problems(400, 404, 422, 503)}
)
async def on_init_progress(
    project_id: ProjectId, last: LastEventId, given: Resources, admission: Admitted
) -> Response:
    """Every change from `Last-Event-ID` on, live, until the initialization has ended."""
    return EventStream(given.hub, project_id, last, admission, given.limits)


class EventStream(Response):
    """Sends what the hub has for one client.

    It connects before the response starts, so that an unknown project is a plain 404. It ends when
    the client's right to see the project does.
    """

    def __init__(
        self,
        hub: Hub,
        project_id: UUID,
        last: int | None,
        admission: Admission,
        limits: Limits,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._hub = hub
        self._project_id = project_id
        self._last = last
        self._admission = admission
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Connect, then send until the end, the client's leaving, or the hub's word."""
        with self._limits.stream(self._admission.person):
            await self._connected(scope, receive, send)

    async def _connected(self, scope: Scope, receive: Receive, send: Send) -> None:
        subscription = await self._hub.connect(self._project_id, self._last)
        if subscription is None:
            await Response(status_code=204)(scope, receive, send)
            return
        # In a task of its own: each event would otherwise wake every layer of the application.
        sending = asyncio.create_task(
            self._stream(subscription, send, scope.get(UNWRAPPED_SEND, send))
        )
        watching = [asyncio.create_task(_finish_when_gone(receive, subscription))]
        if self._admission.person is not LOCAL:
            revoked = _finish_when_revoked(self._admission, subscription)
            watching.append(asyncio.create_task(revoked))
        subscription.task = sending
        try:
            await asyncio.wait([sending])
            if not sending.cancelled():
                sending.result()
        finally:
            self._hub.leave(subscription)
            sending.cancel()
            for task in watching:
                task.cancel()

    async def _stream(self, subscription: Subscription, send: Send, send_body: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        # Inside the first event: alone it would be an event without data to some clients.
        hint = b"retry: %d\n" % random.randint(*RETRY)
        while (chunk := await subscription.next()) is not None:
            chunk = self._admission.shown(chunk)
            if hint and chunk is not KEEPALIVE:
                chunk, hint = hint + chunk, b""
            await send_body({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _finish_when_gone(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.finish()


async def _finish_when_revoked(admission: Admission, subscription: Subscription) -> None:
    await admission.revoked()
    subscription.finish()
