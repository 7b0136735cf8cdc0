"""A cancel at any moment, asked through Temporal's own tools, ends the initialization in order."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.scripted import Initialization, Stage, Troubles, planned, undone_by_script


async def while_stalled(it: Initialization, *, seconds: float = 0.2) -> None:
    """Cancel while a write of the record is under way, then let it go on."""
    async with asyncio.timeout(20):
        await it.troubles.stalled.wait()
    await it.handle.cancel()
    # A workflow task hears of it when its local activity has made it heartbeat.
    await asyncio.sleep(seconds)
    it.troubles.stalled_action = ""
    it.troubles.resumed.set()


def has_ended_in_order(events: list[object]) -> bool:
    """Whether there is one `end` event, and it is the last."""
    ends = [event["type"] == "end" for event in events]  # type: ignore[index]
    return ends[-1] and sum(ends) == 1


@pytest.mark.parametrize("action", ["planned", "failed", "skipped"])
async def test_cancel_during_a_local_activity_ends_the_initialization(
    stage: Stage, action: str
) -> None:
    steps = [
        planned("a", timeout=1e15 if action == "failed" else 600.0),
        planned("b", needs=["a"]),
        planned("c"),
    ]
    script = {"a": ["skip"], "c": ["wait"]}
    it = await stage.start(steps, script, Troubles(stalled_action=action))
    await while_stalled(it, seconds=9)
    it.script.released.set()
    assert await it.closes() == "CANCELED"
    assert (await it.row())["status"] == "cancelled"
    assert set((await it.statuses()).values()) <= {"completed", "failed", "skipped"}
    assert has_ended_in_order(await it.events())


async def test_cancel_while_the_end_is_written_changes_nothing(stage: Stage) -> None:
    it = await stage.start([planned("a")], {}, Troubles(stalled_action="project activated"))
    await while_stalled(it, seconds=9)
    assert await it.closes() == "COMPLETED"
    assert (await it.row())["status"] == "active"
    assert has_ended_in_order(await it.events())


async def test_cancel_while_postgres_is_away_ends_the_initialization_once_it_is_back(
    stage: Stage,
) -> None:
    steps = [planned("a", undo=undone_by_script("a")), planned("b", needs=["a"])]
    it = await stage.start(steps, {"b": ["final"]})
    await it.until("failed")
    it.troubles.away = 25
    await it.handle.cancel()
    assert await it.closes() == "CANCELED"
    assert (await it.row())["status"] == "cancelled"
    assert has_ended_in_order(await it.events())


async def test_cancel_that_could_not_be_written_lets_the_initialization_go_on(
    stage: Stage,
) -> None:
    it = await stage.start([planned("a")], {"a": ["wait"]})
    await it.until_step("a", "running")
    it.troubles.refused_action = "project cancel_requested"
    with pytest.raises(Exception, match="update failed"):
        await it.cancel()
    it.troubles.refused_action = ""
    it.script.released.set()
    assert await it.closes() == "COMPLETED"
    assert (await it.row())["status"] == "active"


async def test_long_outage_of_postgres_costs_history_little(stage: Stage) -> None:
    it = await stage.start([planned("a", timeout=1e15)], {}, Troubles(away=0))
    await it.until("failed")
    before = (await it.handle.describe()).history_length
    it.troubles.away = 100
    asking = asyncio.create_task(it.retry("a"))
    async with asyncio.timeout(100):
        while not asking.done():
            await stage.env.sleep(10)
    await asking
    await it.until("failed")
    assert it.troubles.away == 0
    assert (await it.handle.describe()).history_length - before < 100
    await it.cancel()
    assert await it.closes() == "CANCELED"
