"""The sweep that ends initializations whose workflow has closed."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from stepway_tracking.workflow.recording import RECONCILE

NAME = "ReconcileInitializations"


@workflow.defn(name=NAME)
class ReconcileInitializations:
    """Runs on a schedule every few seconds, one run at a time."""

    @workflow.run
    async def run(self) -> int:
        """Return the number of initializations that were ended."""
        closed: int = await workflow.execute_activity(
            RECONCILE,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
        return closed
