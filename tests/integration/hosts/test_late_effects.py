"""Creations that take effect after their step was cancelled, or after their answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from stepway.activities.repository import create_repository
from stepway.activities.rollback import Removed
from stepway.hosts import client
from stepway.hosts.host import WebhookSpec, topic_of
from tests.integration.hosts.places import PLACES, SOON, Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.faults import Hold
from tests.support.githost.state import World
from tests.support.servers import eventually

pytestmark = pytest.mark.parametrize(
    "place", [name for name in PLACES if "live" not in name], indirect=True
)


@pytest.fixture
def stage(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(create_repository, "LATE_EFFECTS", (0.0,))
    return new_stage(place, tmp_path / "templates")


def world(stage: Stage) -> World:
    assert stage.place.server is not None
    return stage.place.server.world


async def cancelled(
    work: Coroutine[Any, Any, Any], hold: Hold, then: Callable[[], Coroutine[Any, Any, Any]]
) -> Any:
    """Cancel `work` while the host holds its request; return what is done after its end.

    The host goes on later, which must not be too late.
    """
    task = asyncio.create_task(work)

    async def reached() -> bool:
        return hold.reached

    await eventually(reached)

    async def follow() -> Any:
        with pytest.raises(asyncio.CancelledError):
            await task
        return await then()

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([following], timeout=0.5)
    hold.release()
    return await following


async def test_a_creation_that_ends_after_the_cancel_is_rolled_back(stage: Stage) -> None:
    assert stage.place.server is not None
    hold = Hold()
    stage.place.server.faults.add(stage.place.creation, hold=hold)
    removed = await cancelled(stage.create(), hold, stage.delete)
    assert isinstance(removed, Removed)
    assert len(removed.removed) == 1
    assert len(stage.place.server.requests(stage.place.creation)) == 1
    assert world(stage).find(f"{stage.place.owner}/{stage.project.name}") is None


async def test_a_cancelled_step_has_no_request_under_way_that_changes_something(
    stage: Stage,
) -> None:
    assert stage.place.server is not None
    await stage.create()
    repository = await stage.found()
    hold = Hold()
    stage.place.server.faults.add(r"POST .*/hooks$", hold=hold)
    webhook = WebhookSpec("https://ci.example.org/hook")

    async def hooks() -> int:
        stored = stage.place.stored(repository)
        assert stored is not None
        return len(stored.hooks)

    assert await cancelled(stage.place.host.add_webhook(repository, webhook), hold, hooks) == 1


async def test_a_creation_without_an_answer_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stage.place.server is not None
    monkeypatch.setattr(client, "UNDER_WAY", 60.0)
    monkeypatch.setattr(client, "_LATE_PAUSE", 0.05)
    server, name = stage.place.server, stage.project.name
    server.faults.add(stage.place.creation, lost=True)
    task = asyncio.create_task(stage.create())

    async def looked_often() -> bool:
        return len(server.requests(f"GET .*{name}$")) > len(SOON) + 4

    await eventually(looked_often)
    assert not task.done()
    topics = [topic_of(stage.project.id)]
    world(stage).add_repository(stage.place.owner, name, topics=topics)
    assert (await task).name == name
    assert len(server.requests(stage.place.creation)) == 1
