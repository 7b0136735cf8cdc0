"""The same eight steps on bare Temporal, without recording or publishing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn
class BareSteps:
    """Runs one activity after the other."""

    @workflow.run
    async def run(self, uses: str, given: dict[str, Any], steps: int) -> str:
        """Run `steps` activities of one type, each with the same input."""
        for _ in range(steps):
            await workflow.execute_activity(
                uses, given, start_to_close_timeout=timedelta(minutes=10)
            )
        return "active"
