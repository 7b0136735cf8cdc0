"""The event stream of one initialization."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stepway.api.auth.guard import Admission, Guarded
from stepway.api.auth.limits import Limits
from stepway.api.auth.policy import LOCAL
from stepway.api.dependencies import Admitted, LastEventId, ProjectId, Resources
from stepway.api.errors import NOT_STORED
from stepway.api.middleware.detached_stream import DETACHED
from stepway.api.openapi import problems
from stepway.api.routes.methods import HEAD
from stepway.vault.sealing import hide_seals
from stepway_tracking.stream.hub import Hub
from stepway_tracking.stream.subscription import KEEPALIVE, Subscription

router = APIRouter(
    route_class=Guarded, prefix="/api/projects/{project_id}/initialization", tags=["initialization"]
)

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
# Milliseconds that a browser waits before it reconnects; random, so that not all reconnect at once.
RETRY = (500, 2000)

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `snapshot`, `step`, `project` and `end`; the ID is the version.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The initialization ended at the client's version."},
}


@router.get(
    "/events", response_class=Response, responses={**_EVENTS, **problems(400, 404, 422, 503)}
)
async def on_init_progress(
    project_id: ProjectId, last: LastEventId, given: Resources, admission: Admitted
) -> Response:
    """Stream every change after `Last-Event-ID`, live, until the initialization has ended."""
    return EventStream(given.hub, project_id, last, admission, given.limits)


class EventStream(Response):
    """The event stream of one client.

    It connects to the hub before the response starts, so that an unknown project still answers
    404. It sends the response's start and detaches the rest (api/middleware/detached_stream.py).
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
        """Connect and start the response. Raises TooMany, and the errors of `Hub.connect`."""
        person = self._admission.person
        self._limits.open_stream(person)
        subscription = None
        try:
            subscription = await self._hub.connect(self._project_id, self._last)
            if subscription is not None and HEAD not in scope:
                headers = self.raw_headers
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                scope[DETACHED] = LiveStream(subscription, self._hub, self._limits, self._admission)
                return
        except BaseException:
            if subscription is not None:
                self._hub.leave(subscription)
            self._limits.close_stream(person)
            raise
        self._limits.close_stream(person)
        if subscription is None:
            response = Response(status_code=204, headers=NOT_STORED)
        else:
            self._hub.leave(subscription)
            response = Response(headers=HEADERS)
        await response(scope, receive, send)


class LiveStream:
    """The rest of a started stream: sends events until the stream ends, the client disconnects,
    the hub closes it, or the client's permission is revoked.

    There is one per client, so it keeps little: without sign-in, no reference to the request.
    """

    __slots__ = ("_admission", "_hub", "_limits", "_subscription")

    def __init__(
        self, subscription: Subscription, hub: Hub, limits: Limits, admission: Admission
    ) -> None:
        self._subscription = subscription
        self._hub = hub
        self._limits = limits
        self._admission = None if admission.person is LOCAL else admission

    @property
    def keeps_scope(self) -> bool:
        """True with sign-in: the permission is checked again, from the request."""
        return self._admission is not None

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Send the events. Runs in the connection's task."""
        subscription, admission = self._subscription, self._admission
        subscription.task = asyncio.current_task()
        watching = [asyncio.create_task(_finish_when_gone(receive, subscription))]
        if admission is not None:
            watching.append(asyncio.create_task(_finish_when_revoked(admission, subscription)))
        # Sent with the first event: alone, some clients would take it for an event without data.
        hint = b"retry: %d\n" % random.randint(*RETRY)
        try:
            while (chunk := await subscription.next()) is not None:
                chunk = admission.visible(chunk) if admission else hide_seals(chunk)
                if hint and chunk is not KEEPALIVE:
                    chunk, hint = hint + chunk, b""
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:
            if not subscription.abandoned:
                raise
        finally:
            for task in watching:
                task.cancel()
            self.close()

    def close(self) -> None:
        """Unregister the client."""
        self._hub.leave(self._subscription)
        self._limits.close_stream(self._admission.person if self._admission else LOCAL)


async def _finish_when_gone(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.finish()


async def _finish_when_revoked(admission: Admission, subscription: Subscription) -> None:
    await admission.until_revoked()
    subscription.finish()
