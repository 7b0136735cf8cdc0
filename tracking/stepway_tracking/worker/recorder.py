"""The activities through which workflows write the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from stepway_tracking.postgres import REFUSED
from stepway_tracking.record.changes import Changes, NewInitialization
from stepway_tracking.record.errors import NameTaken, StartExpired
from stepway_tracking.record.store import Store
from stepway_tracking.workflow.recording import PLAN, RECORD, REQUEST_CANCEL


class Recorder:
    """Local activities; each may run more than once and is applied once."""

    def __init__(self, store: Store, client: Client) -> None:
        self._store = store
        self._client = client

    def activities(self) -> Sequence[Callable[..., Any]]:
        """What to register with a worker."""
        return [self.plan, self.record, self.request_cancel]

    @activity.defn(name=PLAN)
    async def plan(self, new: NewInitialization) -> bool:
        """Insert a project and its steps. Raises ApplicationError (NameTaken, StartExpired)."""
        with _for_good(NameTaken, StartExpired):
            return await self._store.initialize_steps_in_database(new)

    @activity.defn(name=RECORD)
    async def record(self, changes: dict[str, Any]) -> list[str]:
        """Apply `Changes`, as JSON, and tell others; what came of each."""
        with _for_good():
            return [outcome.said for outcome in await self._store.record(Changes.of(changes))]

    @activity.defn(name=REQUEST_CANCEL)
    async def request_cancel(self, workflow_id: str) -> None:
        """Ask Temporal to cancel the run of a workflow that calls this, and no later one."""
        run_id = activity.info().workflow_run_id
        await self._client.get_workflow_handle(workflow_id, run_id=run_id).cancel()


@contextmanager
def _for_good(*kinds: type[Exception]) -> Iterator[None]:
    """What trying again could not help ends the activity at once."""
    try:
        yield
    except (*kinds, *REFUSED, ValueError) as error:
        kind = type(error).__name__
        raise ApplicationError(str(error), type=kind, non_retryable=True) from error
