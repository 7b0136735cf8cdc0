"""A worker of bare Temporal with the settings of Stepway's: only what records is left out.

Where another server is named it has no sandbox either, so that the server is most of what it costs.
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
from stepway.runtime.temporal import connect_temporal


async def main(address: str = "") -> None:
    """Work until the bench is gone, for the settings' server or the one at this address."""
    client = await (Client.connect(address) if address else connect_temporal(load_settings()))
    async with Worker(
        client,
        task_queue=BARE_QUEUE,
        workflows=[BareSteps],
        activities=[noop, pause],
        max_concurrent_activities=worker.STEPS_AT_ONCE,
        max_heartbeat_throttle_interval=worker.HEARTBEATS,
        default_heartbeat_throttle_interval=worker.HEARTBEATS,
        workflow_runner=UnsandboxedWorkflowRunner() if address else worker.RUNNER,
        graceful_shutdown_timeout=worker.GRACE,
    ):
        await answer({})


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
