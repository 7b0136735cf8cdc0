"""The folded state equals the state in Postgres after each transaction of real initializations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from stepway.cli.client.fold import fold, from_snapshot
from stepway.runtime.settings import Settings
from tests.fold.record import KEEP_SNAPSHOTS, STORIES, Recorded, act, blueprints, version_of
from tests.support.folding import as_json, snapshot_as_json
from tests.support.servers import Stepway, running_stepway


@pytest.fixture
async def kept(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a record that keeps each version's snapshot."""
    await pool.execute(KEEP_SNAPSHOTS)
    yield pool
    await pool.execute("DROP FUNCTION keep_snapshot CASCADE; DROP TABLE snapshots")


@pytest.fixture
async def stepway(servers: Settings, tmp_path: Path) -> AsyncIterator[Stepway]:
    """A running Stepway with the stories' blueprints."""
    async with running_stepway(servers, blueprints(tmp_path)) as found:
        yield found


@pytest.mark.parametrize("name", STORIES)
async def test_events_fold_to_the_snapshot_of_every_version(
    name: str, stepway: Stepway, kept: asyncpg.Pool
) -> None:
    recorded = await act(name, stepway, kept)
    check(recorded)
    assert [version_of(event) for event in recorded.events] == list(
        range(1, max(recorded.snapshots) + 1)
    )


def check(recorded: Recorded) -> None:
    """Compare the states at all versions with a snapshot; the client may not have the end yet."""
    first, *events = recorded.events
    state, compared = from_snapshot(first["data"]), 0
    for event in events:
        state = fold(state, event["type"], event["data"])
        if snapshot := recorded.snapshots.get(state.version):
            expected = snapshot_as_json(snapshot)
            assert as_json(state) == {**expected, "ended": state.ended}
            compared += 1
    assert compared > 5
    assert state.ended
