"""Logs of attempts: read, and followed with a new connection after a loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import httpx

from stepway.cli.client.errors import ApiRefused, ApiUnreachable
from stepway.cli.client.events import backoff, is_temporary
from stepway.cli.client.http import Api, Json

POLL = 1.0
"""Seconds between two looks for the next attempt of a step."""

_UNSETTLED = ("pending", "running")


@dataclass(frozen=True)
class LogQuery:
    """The log of one attempt. Without numbers the newest; `tail` is a number of last lines."""

    project_id: str
    step: str
    round: int | None = None
    attempt: int | None = None
    rollback: bool = False
    tail: int | None = None


def read(api: Api, query: LogQuery) -> Iterator[Json]:
    """Yield the lines and gaps that are kept now. Raises ApiUnreachable, ApiRefused."""
    try:
        yield from api.log_lines(query.project_id, query.step, _params(query, 0, follow=False))
    except httpx.TransportError as error:
        raise ApiUnreachable(api.url) from error


def follow(
    api: Api,
    query: LogQuery,
    connected: Callable[[bool], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Json]:
    """Yield the lines and gaps of an attempt until its log is complete; `{end: …}` is the last.

    Reconnects without limit. Raises ApiRefused for permanent errors, such as 404.
    """
    last, failures = 0, 0
    while True:
        try:
            params = _params(query, last, follow=True)
            for item in api.log_lines(query.project_id, query.step, params):
                connected(True)
                failures = 0
                last = item.get("seq", last)
                yield item
                if "end" in item:
                    return
        except httpx.TransportError:
            connected(False)
        except ApiRefused as refusal:
            if not is_temporary(refusal.status):
                raise
            connected(False)
        failures += 1
        pause(backoff(failures))


def follow_step(
    api: Api,
    query: LogQuery,
    connected: Callable[[bool], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
    shown: set[tuple[int, int]] | None = None,
) -> Iterator[Json]:
    """Yield the lines of the newest attempt and of those after it, until the step has ended.

    Before the lines of each attempt comes `{attempt: {round, attempt}}`. Rounds and attempts in
    `shown` are left out; those that were shown are added to it. Reconnects without limit. Raises
    ApiRefused for permanent errors.
    """
    shown = set() if shown is None else shown
    while True:
        numbers = patiently(lambda: _numbers(api, query), connected, pause)
        news = [each for each in numbers if each not in shown]
        for round_, attempt in news if shown else news[-1:]:
            yield {"attempt": {"round": round_, "attempt": attempt}}
            one = LogQuery(query.project_id, query.step, round_, attempt, tail=query.tail)
            yield from follow(api, one, connected, pause)
        shown.update(numbers)
        if not news and patiently(lambda: _has_ended(api, query), connected, pause):
            return
        if not news:
            pause(POLL)


Found = TypeVar("Found")


def patiently(
    ask: Callable[[], Found],
    connected: Callable[[bool], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Found:
    """Return what `ask` returns, and ask again while the API is away.

    Raises ApiRefused for permanent errors.
    """
    failures = 0
    while True:
        try:
            found = ask()
        except ApiUnreachable:
            connected(False)
        except ApiRefused as refusal:
            if not is_temporary(refusal.status):
                raise
            connected(False)
        else:
            connected(True)
            return found
        failures += 1
        pause(backoff(failures))


def _numbers(api: Api, query: LogQuery) -> list[tuple[int, int]]:
    attempts = api.attempts(query.project_id, query.step)
    return [(one["round"], one["attempt"]) for one in attempts]


def _has_ended(api: Api, query: LogQuery) -> bool:
    steps = api.get(f"/projects/{query.project_id}/initialization/steps")
    found = next((step for step in steps if step["step"] == query.step), None)
    return found is None or found["status"] not in _UNSETTLED


def _params(query: LogQuery, after: int, *, follow: bool) -> Json:
    return {
        "round": query.round,
        "attempt": query.attempt,
        "rollback": "true" if query.rollback else None,
        "after": after or None,
        # After a lost connection, all lines that were missed.
        "tail": None if after else query.tail,
        "follow": "true" if follow else None,
    }
