"""Asks Temporal's visibility about many workflows in one call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from temporalio.client import Client

BATCH = 100
"""Workflow IDs in one question."""

PAGE = 1_000
"""Workflows in one answer."""

_PLAIN = re.compile(r"[\w.:/@+-]{1,200}", re.ASCII)
"""Names that a query may contain as they are; other workflows have to be asked about one by one."""

_CLOSED = "'Completed', 'Failed', 'Canceled', 'Terminated', 'TimedOut'"


async def running_workflows(client: Client, workflow_ids: Iterable[str]) -> dict[str, str]:
    """Return the types of those workflows that are running, by ID.

    A workflow that was started within the last seconds may be missing.
    """
    asked = iter(sorted({each for each in workflow_ids if _PLAIN.fullmatch(each)}))
    found: dict[str, str] = {}
    while batch := list(islice(asked, BATCH)):
        query = f"WorkflowId IN ({_listed(batch)}) AND ExecutionStatus = 'Running'"
        async for run in client.list_workflows(query, page_size=PAGE):
            found[run.id] = run.workflow_type
    return found


async def closed_workflows(client: Client, types: Sequence[str], since: datetime) -> set[str]:
    """Return the IDs of the workflows of these types that have closed since then."""
    named = [each for each in types if _PLAIN.fullmatch(each)]
    if not named:
        return set()
    query = (
        f"WorkflowType IN ({_listed(named)}) AND ExecutionStatus IN ({_CLOSED}) "
        f"AND CloseTime > '{since.isoformat()}'"
    )
    return {run.id async for run in client.list_workflows(query, page_size=PAGE)}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
