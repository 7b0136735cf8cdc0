"""The activities that write the record for workflows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway_tracking.postgres import REFUSED
from stepway_tracking.record.changes import Changes, NewInitialization
from stepway_tracking.record.errors import NameTaken, StartExpired
from stepway_tracking.record.store import Store
from stepway_tracking.workflow.recording import KEPT, PLAN, RECORD, REQUEST_CANCEL


class Recorder:
    """Local activities. Each may run more than once; its changes are applied once.

    `converter` reads the results that the record keeps; it is the client's by default.
    """

    def __init__(
        self, store: Store, client: Client, converter: DataConverter | None = None
    ) -> None:
        self._store = store
        self._client = client
        self._converter = converter or client.data_converter

    def activities(self) -> Sequence[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [self.plan, self.record, self.kept, self.request_cancel]

    @activity.defn(name=PLAN)
    async def plan(self, new: NewInitialization) -> bool:
        """Insert a project and its steps. Raises ApplicationError (NameTaken, StartExpired)."""
        with _non_retryable(NameTaken, StartExpired):
            return await self._store.initialize_steps_in_database(new)

    @activity.defn(name=RECORD)
    async def record(self, changes: dict[str, Any]) -> list[str]:
        """Apply `Changes` (as JSON) and publish the events; returns the `said` of each outcome."""
        with _non_retryable():
            return [outcome.said for outcome in await self._store.record(Changes.of(changes))]

    @activity.defn(name=KEPT)
    async def kept(self, given: dict[str, str]) -> dict[str, Any]:
        """Return the status and result of the step `step` of the project `project_id`."""
        status, kept = await self._store.kept(given["project_id"], given["step"])
        if kept is None:
            return {"status": status, "result": None}
        payload = Payload.FromString(kept)
        return {"status": status, "result": (await self._converter.decode([payload]))[0]}

    @activity.defn(name=REQUEST_CANCEL)
    async def request_cancel(self, workflow_id: str) -> None:
        """Ask Temporal to cancel the calling run of the workflow, but no later run."""
        run_id = activity.info().workflow_run_id
        await self._client.get_workflow_handle(workflow_id, run_id=run_id).cancel()


@contextmanager
def _non_retryable(*kinds: type[Exception]) -> Iterator[None]:
    """Raise errors that a retry cannot fix as non-retryable ApplicationErrors."""
    try:
        yield
    except (*kinds, *REFUSED, ValueError) as error:
        kind = type(error).__name__
        raise ApplicationError(str(error), type=kind, non_retryable=True) from error
