"""The remaining time in the terminal: when it is requested, and when it is not shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from stepway.cli.client.estimate import Estimates
from stepway.cli.client.fold import Initialization
from stepway.cli.client.http import Api
from stepway.cli.view.text import rough
from stepway.cli.view.words import TimeLeft, time_left

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Answers:
    """An API that gives the same response to all calls and counts them."""

    def __init__(self, status: int = 200, **estimate: Any) -> None:
        self.asked = 0
        self._status = status
        self._body = {"p50_ms": 5000, "p95_ms": 9000, "samples": 3, **estimate}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(self._status, json=self._body)

    @property
    def estimates(self) -> Estimates:
        return Estimates(Api("http://api", transport=httpx.MockTransport(self)), "id")


def state(*statuses: str, project: str = "initializing") -> Initialization:
    steps = {str(i): {"step": str(i), "status": status} for i, status in enumerate(statuses)}
    return Initialization({"status": project}, steps, 0, 1, False)


def test_time_left_is_asked_for_at_first_and_when_a_step_has_ended() -> None:
    api = Answers()
    estimates = api.estimates
    for statuses in (("running",), ("running",), ("completed",), ("completed",)):
        left = estimates.left(state(*statuses, "pending"))
    assert api.asked == 2
    assert left is not None
    assert (left.low, left.high) == (5000, 9000)


@pytest.mark.parametrize("status", [404, 503])
def test_an_api_that_cannot_say_is_tolerated(status: int) -> None:
    assert Answers(status).estimates.left(state("running")) is None


def test_nothing_is_said_where_too_few_have_gone_before() -> None:
    assert Answers(p50_ms=None, p95_ms=None).estimates.left(state("running")) is None


def test_nothing_is_asked_while_it_waits_for_a_person() -> None:
    api = Answers()
    assert api.estimates.left(state("failed", project="failed")) is None
    assert api.asked == 0


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"asked_to_wait": True, "next_attempt_at": "2999-01-01T00:00:00Z"}, False),
        ({"waiting_for_worker": {"since": "2026-03-02T09:00:00Z"}}, False),
        ({"next_attempt_at": "2999-01-01T00:00:00Z"}, True),
        ({"asked_to_wait": True, "next_attempt_at": "2020-01-01T00:00:00Z"}, True),
        ({}, True),
    ],
)
def test_nothing_is_said_while_a_step_is_held_up(metadata: dict[str, Any], shown: bool) -> None:
    found = state("running")
    found.steps["0"]["metadata"] = metadata
    assert (Answers().estimates.left(found) is not None) == shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "5 s to 9 s left"), (3, "2 s to 6 s left"), (8, "about 1 s left"), (9, ""), (60, "")],
)
def test_time_left_goes_down_and_never_below_nothing(seconds: int, said: str) -> None:
    left = TimeLeft(5000, 9000, NOW)
    assert time_left(left, NOW + timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(1, "1 s"), (19_400, "19 s"), (43_000, "45 s"), (118_000, "2 min"), (4_000_000, "1 h 10 min")],
)
def test_a_rough_time_is_rounded_to_what_is_known(milliseconds: float, said: str) -> None:
    assert rough(milliseconds) == said
