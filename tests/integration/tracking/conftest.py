"""Runs a tracked step on the session's servers."""

from __future__ import annotations

import asyncpg
import pytest
from temporalio.client import Client

from tests.support.record import Collected
from tests.support.tracked import Tracker


@pytest.fixture
def tracker(temporal: Client, pool: asyncpg.Pool) -> Tracker:
    return Tracker(temporal, pool, Collected())
