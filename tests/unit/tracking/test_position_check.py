"""The check of positions: when it asks Postgres, and how it handles the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from stepway_tracking.queries.reader import Position
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.stream.feed import HubCounts
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.position_check import PositionCheck, PositionLookup

NEVER = 3600.0


class Reader:
    """Positions in memory; notes the questions."""

    def __init__(self, positions: dict[UUID, Position]) -> None:
        self.found = positions
        self.asked: list[set[UUID]] = []
        self.error: Exception | None = None

    async def positions(self, project_ids: Iterable[UUID]) -> dict[UUID, Position]:
        self.asked.append(set(project_ids))
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        return {each: self.found[each] for each in self.asked[-1] if each in self.found}


@dataclass(eq=False)
class Watched:
    """A feed at a version."""

    version: int
    ended: bool = False
    project_id: UUID = field(default_factory=uuid4)
    compared: list[Position] = field(default_factory=list)

    @property
    def log(self) -> SimpleNamespace:
        return SimpleNamespace(version=self.version, ended=self.ended)

    def compare(self, position: Position) -> None:
        self.compared.append(position)


@dataclass
class Running:
    """A check that runs, and the feeds that it has retired."""

    check: PositionCheck
    counts: HubCounts
    retired: list[Watched]


@asynccontextmanager
async def running(
    reader: Reader, *feeds: Watched, interval: float = 0.01
) -> AsyncIterator[Running]:
    counts, retired = HubCounts(), list[Watched]()
    check = PositionCheck(
        reader,  # type: ignore[arg-type]
        HubOptions(check_interval=interval),
        counts,
        feeds=lambda: feeds,  # type: ignore[arg-type, return-value]
        retire=retired.append,  # type: ignore[arg-type]
    )
    task = asyncio.create_task(check.run())
    yield Running(check, counts, retired)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - whatever the condition, nothing signals it
            await asyncio.sleep(0.005)


async def test_watched_projects_are_compared_again_and_again_in_one_question() -> None:
    one, other, over = Watched(3), Watched(5), Watched(7, ended=True)
    reader = Reader({one.project_id: Position(4, False), other.project_id: Position(5, False)})
    async with running(reader, one, other, over) as found:
        await until(lambda: len(one.compared) > 2)
    assert reader.asked[0] == {one.project_id, other.project_id}
    assert one.compared[0] == Position(4, False)
    assert other.compared[0] == Position(5, False)
    assert not over.compared and not found.retired
    assert len(reader.asked) - 1 <= found.counts.position_checks <= len(reader.asked)


async def test_nobody_asks_where_nothing_is_watched() -> None:
    reader = Reader({})
    async with running(reader, Watched(7, ended=True)) as found:
        await asyncio.sleep(0.1)
    assert not reader.asked and found.counts.position_checks == 0


async def test_project_that_is_gone_or_went_back_is_retired() -> None:
    gone, back = Watched(3), Watched(3)
    reader = Reader({back.project_id: Position(2, False)})
    async with running(reader, gone, back) as found:
        await until(lambda: len(found.retired) >= 2)
    assert found.retired[:2] == [gone, back]
    assert not back.compared


async def test_version_that_came_during_the_question_is_no_step_back() -> None:
    feed = Watched(3)
    reader = Reader({feed.project_id: Position(3, False)})
    async with running(reader, feed) as found:
        await until(lambda: bool(reader.asked))
        feed.version = 4
        await until(lambda: bool(feed.compared))
        reader.found[feed.project_id] = Position(4, False)
    assert not found.retired


async def test_a_request_is_answered_at_once_and_once() -> None:
    feed = Watched(3)
    reader = Reader({feed.project_id: Position(3, False)})
    async with running(reader, feed, interval=NEVER) as found:
        await asyncio.sleep(0.05)
        assert not reader.asked
        found.check.check_now()
        await until(lambda: len(feed.compared) == 1)
        await asyncio.sleep(0.05)
        assert len(reader.asked) == 1
        found.check.check_now()
        await until(lambda: len(feed.compared) == 2)


@pytest.mark.parametrize("error", [ConnectionRefusedError("away"), TimeoutError("slow")])
async def test_postgres_that_is_away_is_asked_again(error: Exception) -> None:
    feed = Watched(3)
    reader = Reader({feed.project_id: Position(3, False)})
    reader.error = error
    async with running(reader, feed):
        await until(lambda: len(reader.asked) > 1)
        assert not feed.compared
        reader.error = None
        await until(lambda: bool(feed.compared))


async def test_lookups_of_one_project_share_a_question() -> None:
    here, missing = uuid4(), uuid4()
    reader = Reader({here: Position(3, True)})
    lookup = PositionLookup(reader)  # type: ignore[arg-type]
    both = await asyncio.gather(lookup.of(here), lookup.of(here))
    assert both == [Position(3, True)] * 2
    assert reader.asked == [{here}]
    assert await lookup.of(here) == Position(3, True)
    assert len(reader.asked) == 2
    with pytest.raises(ProjectUnknown, match=str(missing)):
        await lookup.of(missing)


async def test_client_that_goes_away_does_not_end_the_lookup_of_another() -> None:
    here = uuid4()
    lookup = PositionLookup(Reader({here: Position(3, False)}))  # type: ignore[arg-type]
    leaving, staying = asyncio.create_task(lookup.of(here)), asyncio.create_task(lookup.of(here))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == Position(3, False)
