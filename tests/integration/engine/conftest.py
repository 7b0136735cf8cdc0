"""A Temporal that skips time, and a worker on it with scripted steps."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from stepway_tracking.workflow.search_attributes import SEARCH_ATTRIBUTES
from tests.support.scripted import TEST_SERVER, Stage, running_stage

_TYPES = {
    key.name: IndexedValueType.ValueType(key.indexed_value_type.value) for key in SEARCH_ATTRIBUTES
}


@pytest.fixture(scope="session")
async def skipping_time() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's test server."""
    env = await WorkflowEnvironment.start_time_skipping(test_server_existing_path=TEST_SERVER)
    async with env:
        # The test server cannot list them, as `migrate` does first.
        await env.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=env.client.namespace, search_attributes=_TYPES)
        )
        yield env


@pytest.fixture(scope="session")
async def stage(skipping_time: WorkflowEnvironment, pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    """One worker for all tests."""
    async with running_stage(skipping_time, pool) as found:
        yield found
