"""`stepway logs`: follows attempts and steps while the API comes and goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stepway.cli.client import logs as client
from stepway.cli.client.errors import ApiRefused, ApiUnreachable
from stepway.cli.client.http import Api
from stepway.cli.client.logs import LogQuery, follow_step, patiently
from stepway.cli.commands import logs as command
from stepway.cli.view.log_lines import LogPrinter
from stepway.cli.view.output import has_colours

PROJECT = "0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pauses."""
    monkeypatch.setattr(client, "backoff", lambda failures: 0.0)
    monkeypatch.setattr(client, "POLL", 0.0)
    monkeypatch.setattr(command, "POLL", 0.01)


class Server(httpx.BaseTransport):
    """A project with the step `build`; each `down` request in between is lost."""

    def __init__(self) -> None:
        self.attempts = [(1, 1)]
        self.then: list[tuple[int, int]] = []
        """Attempts that begin, one after each log that was read."""
        self.down: set[int] = set()
        """Numbers of requests, from 1, that find no API."""
        self.requests = 0
        self.read: list[tuple[int, int]] = []
        self.status = 200

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests in self.down:
            raise httpx.ConnectError("no route")
        if self.status != 200:
            return httpx.Response(self.status, json={"title": "Refused"})
        path = request.url.path
        if path.endswith("/logs"):
            return self._log(int(request.url.params["round"]), int(request.url.params["attempt"]))
        if path.endswith("/attempts"):
            return httpx.Response(
                200, json=[{"round": one, "attempt": other} for one, other in self.attempts]
            )
        if path.endswith("/steps"):
            return httpx.Response(200, json=[self._step()])
        ended = None if self.then else "2026-11-26T02:30:00Z"
        status = "failed" if self.attempts[-1] in self.read else "initializing"
        return httpx.Response(200, json={"initialization_completed_at": ended, "status": status})

    def _step(self) -> dict[str, Any]:
        round_, attempt = self.attempts[-1]
        status = "failed" if (round_, attempt) in self.read else "running"
        step = {"step": "build", "parent_step": None, "status": status}
        if status == "failed" and self.then:
            # Somebody retries the step later.
            self.attempts.append(self.then.pop(0))
        return {**step, "round": round_, "attempt": attempt}

    def _log(self, round_: int, attempt: int) -> httpx.Response:
        self.read.append((round_, attempt))
        items = [
            {"seq": 1, "level": "info", "stream": "log", "text": f"of {round_}.{attempt}"},
            {"end": {"seq": 1, "outcome": "failed"}},
        ]
        return httpx.Response(200, text="".join(f"{json.dumps(item)}\n" for item in items))


def api_of(server: Server) -> Api:
    return Api("http://127.0.0.1:8000", transport=server)


def texts(items: Iterator[Any]) -> list[str]:
    return [item["text"] for item in items if "text" in item]


@pytest.mark.parametrize("down", [{1}, {2}, {3}, {1, 2, 3, 5, 7}])
def test_an_api_that_is_away_between_two_requests_is_waited_for(down: set[int]) -> None:
    server = Server()
    server.attempts = [(1, 1)]
    server.down = down
    said: list[bool] = []
    found = follow_step(api_of(server), LogQuery(PROJECT, "build"), said.append, lambda _: None)
    assert texts(found) == ["of 1.1"]
    assert False in said and said[-1]


def test_a_permanent_refusal_ends_the_waiting() -> None:
    server = Server()
    server.status = 404
    with pytest.raises(ApiRefused):
        patiently(lambda: api_of(server).get("/projects/1"))
    server.status = 503
    failures: list[bool] = []

    def connected(now: bool) -> None:
        failures.append(now)
        if len(failures) == 3:
            server.status = 200

    patiently(lambda: api_of(server).get("/projects/1"), connected, lambda _: None)
    assert failures == [False, False, False, True]


def test_all_steps_are_followed_through_a_retry_and_an_absent_api() -> None:
    server = Server()
    server.then = [(2, 1), (2, 2)]
    server.down = {3, 6, 9}
    found = command._all_followed(api_of(server), PROJECT, None)
    assert texts(item for _, item in found) == ["of 1.1", "of 2.1", "of 2.2"]


def test_a_refused_log_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()

    def refuse(round_: int, attempt: int) -> httpx.Response:
        return httpx.Response(403, json={"title": "Refused", "detail": "Not your logs."})

    server._log = refuse  # type: ignore[method-assign]
    problems = [item for _, item in command._all_followed(api_of(server), PROJECT, None)]
    assert [item["problem"] for item in problems if "problem" in item] == ["Not your logs."]


def test_without_an_api_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    server.down = set(range(100))
    monkeypatch.setattr(command, "connect", lambda: api_of(server))
    with pytest.raises(ApiUnreachable):
        command.logs(PROJECT, "build", True, None, None, False, None, None, False, False)


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ([{"attempt": {"round": 1, "attempt": 1}}], ""),
        ([{"attempt": {"round": 1, "attempt": 2}}], "── attempt 2 ──\n"),
        ([{"attempt": {"round": 2, "attempt": 1}}], "── round 2, attempt 1 ──\n"),
        ([{"text": "\x1b[31mred\x1b[0m", "level": "error"}], "red\n"),
    ],
)
def test_what_is_printed_where_nothing_has_colours(
    items: list[dict[str, Any]], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = LogPrinter(timestamps=False, colours=False)
    for item in items:
        printer.show(None, item)
    assert capsys.readouterr().out == shown


def test_no_colours_in_a_pipe_and_where_they_are_turned_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert not has_colours()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert has_colours()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colours()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not has_colours()
