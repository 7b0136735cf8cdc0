"""The sweep that ends initializations whose workflow has closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from stepway_tracking.workflow.recording import RECONCILE

NAME = "ReconcileInitializations"


@workflow.defn(name=NAME)
class ReconcileInitializations:
    """Runs on a schedule every few seconds, one run at a time, and continues from the last run."""

    @workflow.run
    async def run(self) -> Any:
        """Return the activity's state, which the next sweep gets, as JSON."""
        return await workflow.execute_activity(
            RECONCILE,
            workflow.get_last_completion_result(),
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
