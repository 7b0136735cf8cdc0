"""The last lines of the steps that run now, each followed in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from stepway.cli.client.errors import ApiRefused, ClientError
from stepway.cli.client.http import Api, Json
from stepway.cli.client.logs import LogQuery, follow

LINES = 3
"""Lines that are kept of a step."""

THREAD = "log of a running step"

_GROUP_END = "::endgroup::"


class _Stopped(Exception):
    """Ends a follower."""


class Tails:
    """Follows the logs of steps.

    A follower ends with its attempt. Without permission to read logs, nothing is followed.
    """

    def __init__(self, api: Api, project_id: str) -> None:
        self._api = api
        self._project_id = project_id
        self._followers: dict[tuple[str, int, int], _Follower] = {}
        self._refused = threading.Event()

    def show(self, steps: Iterable[Mapping[str, Any]]) -> None:
        """Follow the running attempts of these steps, and no others."""
        wanted = {} if self._refused.is_set() else {_key(step): step for step in steps}
        for key in [key for key in self._followers if key not in wanted]:
            self._followers.pop(key).stopped.set()
        for key in wanted:
            if key not in self._followers:
                name, round_, attempt = key
                query = LogQuery(self._project_id, name, round_, attempt, tail=LINES)
                self._followers[key] = _Follower(self._api, query, self._refused)
                self._followers[key].start()

    def lines(self, step: Mapping[str, Any]) -> tuple[str, ...]:
        """The last lines of the step's running attempt, the newest last. From any thread."""
        follower = self._followers.get(_key(step))
        return follower.lines if follower else ()

    def stop(self) -> None:
        """End all followers. Does not wait for them."""
        self.show(())


def _key(step: Mapping[str, Any]) -> tuple[str, int, int]:
    return str(step["step"]), step.get("round") or 1, step.get("attempt") or 1


@dataclass(eq=False)
class _Follower:
    api: Api
    query: LogQuery
    refused: threading.Event
    """Set if logs may not be read."""
    lines: tuple[str, ...] = ()
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        # A response that is silent cannot be interrupted: the end of the process must not wait.
        threading.Thread(target=self._run, name=THREAD, daemon=True).start()

    def _run(self) -> None:
        try:
            for item in follow(self.api, self.query, pause=self._pause):
                if self.stopped.is_set():
                    return
                self._take(item)
        except ApiRefused as refusal:
            if refusal.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                self.refused.set()
        except (_Stopped, ClientError, ValueError):
            return  # Watching works without the lines.

    def _take(self, item: Json) -> None:
        text = str(item.get("text", ""))
        if text.strip() and not text.startswith(_GROUP_END):
            self.lines = (*self.lines, text.removeprefix("::group::"))[-LINES:]

    def _pause(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise _Stopped
