"""A worker for bare Temporal: the settings of Stepway's worker, without recording.

With the address of another server it also has no sandbox, so that the server dominates its cost.
"""

from __future__ import annotations

import sys

import uvloop
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.bare import BareSteps
from benchmarks.initializations import BARE_QUEUE
from benchmarks.sides.answering import answer
from benchmarks.steps import noop, pause
from stepway import worker
from stepway.runtime.settings import load_settings


async def main(address: str = "") -> None:
    """Run until the bench ends, on the server at `address` or else that of the settings."""
    client = await Client.connect(address or load_settings().temporal_address)
    async with Worker(
        client,
        task_queue=BARE_QUEUE,
        workflows=[BareSteps],
        activities=[noop, pause],
        max_concurrent_activities=50,
        max_heartbeat_throttle_interval=worker.HEARTBEATS,
        default_heartbeat_throttle_interval=worker.HEARTBEATS,
        workflow_runner=UnsandboxedWorkflowRunner() if address else worker.RUNNER,
        graceful_shutdown_timeout=worker.GRACE,
    ):
        await answer({})


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
