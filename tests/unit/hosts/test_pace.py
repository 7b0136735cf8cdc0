"""Requests that write are spaced."""

from __future__ import annotations

import asyncio
import time

import pytest

from stepway.hosts import pace
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.pace import Budget, LocalPace, pace_of


def apart(seconds: float) -> Budget:
    """Spaces all requests that write alike."""
    return Budget(seconds, burst=1, creation=seconds)


async def test_turns_are_apart() -> None:
    spaced = LocalPace(apart(0.1))
    begun = time.monotonic()
    await asyncio.gather(*(spaced.wait(creates=False) for _ in range(4)))
    assert time.monotonic() - begun >= 0.3


async def test_a_turn_that_is_too_far_away_is_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    spaced = LocalPace(apart(30.0), "github.com")
    await spaced.wait(creates=False)
    with pytest.raises(HostError) as later:
        await spaced.wait(creates=False)
    assert later.value.reason is Reason.RATE_LIMITED
    assert later.value.retry_after is not None
    assert later.value.retry_after > 20.0
    assert "github.com" in later.value.message


async def test_a_refused_turn_is_not_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    spaced = LocalPace(apart(30.0))
    await spaced.wait(creates=False)
    waits = []
    for _ in range(3):
        with pytest.raises(HostError) as later:
            await spaced.wait(creates=False)
        waits.append(later.value.retry_after)
    assert max(wait for wait in waits if wait is not None) < 31.0


def test_a_credential_has_one_pace_for_each_host() -> None:
    budget = apart(1.0)
    first = pace_of("https://github.com", "a", budget)
    assert pace_of("https://github.com", "a", budget) is first
    assert pace_of("https://github.com", "b", budget) is not first


async def test_creations_are_spread_after_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    spaced = LocalPace(Budget(0.0, burst=3, creation=3600.0))
    for _ in range(3):
        await spaced.wait(creates=True)
    with pytest.raises(HostError) as later:
        await spaced.wait(creates=True)
    assert (later.value.retry_after or 0.0) > 3000.0
    await spaced.wait(creates=False)


async def test_nobody_gets_a_turn_while_the_host_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    spaced = LocalPace(Budget(0.0, burst=3, creation=0.0))
    await spaced.limited(600.0)
    with pytest.raises(HostError) as later:
        await spaced.wait(creates=False)
    assert (later.value.retry_after or 0.0) > 500.0
