"""Fixtures that run a complete Stepway for each test: API, worker, blueprints and data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from stepway.runtime.settings import Settings
from tests.support.servers import Stepway, running_stepway


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Folder of the test's blueprints and of the files that its steps use."""
    return tmp_path


StartStepway = Callable[..., AbstractAsyncContextManager[Stepway]]


@pytest.fixture
def start_stepway(servers: Settings, folder: Path) -> StartStepway:
    """`async with start_stepway() as stepway`: call it once the blueprints are written."""
    return partial(running_stepway, servers, folder)
