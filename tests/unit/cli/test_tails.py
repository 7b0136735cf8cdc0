"""The last lines of running steps, followed for `watch`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from stepway.cli.client import logs
from stepway.cli.client.http import Api
from stepway.cli.client.tails import LINES, THREAD, Tails

PATIENCE = 30.0


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def followers() -> int:
    return sum(thread.name == THREAD for thread in threading.enumerate())


def running(name: str, attempt: int = 1) -> dict[str, Any]:
    return {"step": name, "round": 1, "attempt": attempt, "status": "running"}


def line(seq: int, text: str) -> str:
    return json.dumps({"seq": seq, "level": "info", "stream": "log", "text": text}) + "\n"


class Server(httpx.BaseTransport):
    """Serves each log as the test says, line by line until `ends` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ends = threading.Event()
        self.status = 200
        self.texts = [f"line {number}" for number in range(1, 8)]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.url.path.split('/')[-2]}?{request.url.query.decode()}")
        if self.status != 200:
            return httpx.Response(self.status, json={"title": "Refused"})
        return httpx.Response(200, stream=Body(self))


class Body(httpx.SyncByteStream):
    """The lines, and the end of the log when the test says so."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __iter__(self) -> Iterator[bytes]:
        for seq, text in enumerate(self._server.texts, 1):
            yield line(seq, text).encode()
        while not self._server.ends.wait(0.01):
            yield b"\n"
        yield (json.dumps({"end": {"seq": 7, "outcome": "completed"}}) + "\n").encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.ends.set()
    until(lambda: followers() == 0)


def tails_of(server: Server) -> Tails:
    return Tails(Api("http://127.0.0.1:8000", transport=server), "1")


def test_each_attempt_has_one_subscription_for_its_last_lines(server: Server) -> None:
    tails = tails_of(server)
    build = running("build")
    for _ in range(5):
        tails.show([build, running("test")])
    until(lambda: tails.lines(build) == ("line 5", "line 6", "line 7"))
    assert sorted(server.asked) == [
        f"build?round=1&attempt=1&tail={LINES}&follow=true",
        f"test?round=1&attempt=1&tail={LINES}&follow=true",
    ]
    again = running("build", 2)
    tails.show([again])
    until(lambda: len(tails.lines(again)) == LINES)
    assert len(server.asked) == 3
    assert tails.lines(build) == () and tails.lines(running("test")) == ()


def test_followers_end_with_their_attempt_and_with_the_watching(server: Server) -> None:
    tails = tails_of(server)
    tails.show([running("build")])
    until(lambda: bool(tails.lines(running("build"))))
    server.ends.set()
    until(lambda: followers() == 0)
    assert tails.lines(running("build")), "the lines stay until the step has ended"

    server.status = 503
    tails.show([running("other")])
    until(lambda: any(asked.startswith("other") for asked in server.asked))
    tails.stop()
    until(lambda: followers() == 0)


def test_marks_of_groups_and_empty_lines_are_left_out(server: Server) -> None:
    server.texts = ["::group::Install", "", "added", "::endgroup::"]
    tails = tails_of(server)
    tails.show([running("build")])
    until(lambda: tails.lines(running("build")) == ("Install", "added"))


@pytest.mark.parametrize(("status", "asks_again"), [(403, False), (401, False), (404, True)])
def test_a_refusal_ends_quietly(server: Server, status: int, asks_again: bool) -> None:
    server.status = status
    tails = tails_of(server)
    tails.show([running("build")])
    until(lambda: followers() == 0)
    tails.show([running("build")])
    tails.show([running("test")])
    until(lambda: followers() == 0)
    assert len(server.asked) == (2 if asks_again else 1)
    assert tails.lines(running("build")) == ()


def test_a_lost_connection_goes_on_after_the_last_line(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "backoff", lambda failures: 0.0)
    answers = iter([line(1, "first"), line(2, "second")])

    def answer(request: httpx.Request) -> httpx.Response:
        server.asked.append(request.url.query.decode())
        text = next(answers, json.dumps({"end": {"seq": 2, "outcome": "failed"}}) + "\n")
        return httpx.Response(200, text=text)

    tails = Tails(Api("http://127.0.0.1:8000", transport=httpx.MockTransport(answer)), "1")
    tails.show([running("build")])
    until(lambda: len(server.asked) == 3)
    assert tails.lines(running("build")) == ("first", "second")
    assert [asked.partition("attempt=1&")[2] for asked in server.asked] == [
        f"tail={LINES}&follow=true",
        "after=1&follow=true",
        "after=2&follow=true",
    ]
