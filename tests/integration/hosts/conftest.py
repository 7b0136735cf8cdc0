"""Opens each kind of host for the contract; checks at the end that all requests had its shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from stepway.hosts import client
from tests.integration.hosts.places import PLACES, Place, forgejo, github, gitlab
from tests.support.githost.shapes import test_data as shared_data


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Each kind of host in turn."""
    async with PLACES[request.param]() as opened:
        yield opened
        if opened.server is not None:
            assert not opened.server.violations


@pytest.fixture
async def on_github() -> AsyncIterator[Place]:
    """GitHub."""
    async with github() as opened:
        yield opened
        assert opened.server is not None
        assert not opened.server.violations


@pytest.fixture
async def on_gitlab() -> AsyncIterator[Place]:
    """GitLab."""
    async with gitlab() as opened:
        yield opened
        assert opened.server is not None
        assert not opened.server.violations


@pytest.fixture
async def on_forgejo() -> AsyncIterator[Place]:
    """Forgejo."""
    async with forgejo() as opened:
        yield opened
        assert opened.server is not None
        assert not opened.server.violations


@pytest.fixture(autouse=True)
def _nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for late effects of a request without an answer, which only some tests have."""
    monkeypatch.setattr(client, "UNDER_WAY", 0.0)


@pytest.fixture(autouse=True, scope="session")
def _shapes() -> Iterator[None]:
    """Say so where the hosts' documents are missing: shapes are then not compared."""
    if shared_data() is None:
        print("No shared test data (STEPWAY_TESTDATA): shapes of requests are not compared")
    yield
