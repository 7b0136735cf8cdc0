"""The event stream of one initialization, carried on across lost connections."""

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
_PASSING = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Event:
    """One event: `type` is step, project, end or snapshot; `data` as in the contract."""

    type: str
    data: Json


def follow(
    api: Api,
    project_id: str,
    after: int,
    connected: Callable[[bool], None],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Every event after version `after`, until the server says that there are no more (204).

    Connects again, forever, whenever the connection is lost; `connected` hears of each loss and
    of each return. Raises ApiRefused when the answer is one that waiting does not mend.
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
                    # A comment or a `retry` makes an event without data here, unlike in browsers.
                    if sse.data:
                        yield Event(sse.event, json.loads(sse.data))
        except (httpx.TransportError, SSEError):
            connected(False)
        except ApiRefused as refusal:
            if not _may_pass(refusal.status):
                raise
            connected(False)
        failures += 1
        pause(backoff(failures))


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling, capped, half of it by chance."""
    whole = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures, 16))
    return random.uniform(whole / 2, whole)


def _may_pass(status: int) -> bool:
    return status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _PASSING
