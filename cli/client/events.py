"""The event stream of one initialization, resumed after connection losses."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
from httpx_sse import SSEError

from stepway.cli.client.errors import ApiRefused
from stepway.cli.client.http import Api, Json

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
_TEMPORARY = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Event:
    """One event: `type` is step, project, end or snapshot; `data` is its JSON object."""

    type: str
    data: Json


def follow(
    api: Api,
    project_id: str,
    after: int,
    connected: Callable[[bool], None],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Yield every event after version `after`, until the server responds 204: no more events.

    Reconnects without limit; calls `connected` with True or False when the connection is made or
    lost. Raises ApiRefused for permanent errors, such as 404.
    """
    last_id, failures = str(after), 0
    while True:
        try:
            with api.events(project_id, last_id) as source:
                connected(True)
                if source is None:
                    return
                for sse in source.iter_sse():
                    failures = 0
                    last_id = sse.id or last_id
                    # Unlike browsers, httpx-sse yields comments and `retry` as empty events.
                    if sse.data:
                        yield Event(sse.event, json.loads(sse.data))
        except (httpx.TransportError, SSEError):
            connected(False)
        except ApiRefused as refusal:
            if not is_temporary(refusal.status):
                raise
            connected(False)
        failures += 1
        pause(backoff(failures))


def backoff(failures: int) -> float:
    """Return the seconds to wait after `failures` in a row: exponential with a cap and jitter."""
    whole = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures, 16))
    return random.uniform(whole / 2, whole)


def is_temporary(status: int) -> bool:
    """Whether a request that was refused with this status may succeed later."""
    return status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _TEMPORARY
