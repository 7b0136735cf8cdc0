"""Requests that write are spaced."""

from __future__ import annotations

import asyncio
import time

import pytest

from stepway.hosts import pace
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.pace import LocalPace, pace_of


async def test_turns_are_apart() -> None:
    spaced = LocalPace(0.1)
    begun = time.monotonic()
    await asyncio.gather(*(spaced.wait() for _ in range(4)))
    assert time.monotonic() - begun >= 0.3


async def test_a_turn_that_is_too_far_away_is_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    spaced = LocalPace(30.0, "github.com")
    await spaced.wait()
    with pytest.raises(HostError) as later:
        await spaced.wait()
    assert later.value.reason is Reason.RATE_LIMITED
    assert later.value.retry_after is not None
    assert later.value.retry_after > 20.0
    assert "github.com" in later.value.message


async def test_a_refused_turn_is_not_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    spaced = LocalPace(30.0)
    await spaced.wait()
    waits = []
    for _ in range(3):
        with pytest.raises(HostError) as later:
            await spaced.wait()
        waits.append(later.value.retry_after)
    assert max(wait for wait in waits if wait is not None) < 31.0


def test_a_credential_has_one_pace_for_each_host() -> None:
    assert pace_of("https://github.com", "a", 1.0) is pace_of("https://github.com", "a", 1.0)
    assert pace_of("https://github.com", "a", 1.0) is not pace_of("https://github.com", "b", 1.0)
