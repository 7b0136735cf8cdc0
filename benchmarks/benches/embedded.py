"""Temporal as `stepway up` starts it, on a file, against the unconfigured dev server."""

from __future__ import annotations

import asyncio
import sysconfig
import time
from pathlib import Path
from statistics import median

from temporalio.client import Client

from benchmarks.initializations import run_bare
from benchmarks.measure import Comparison, Metrics, Target, interleave
from benchmarks.stage import Stage
from stepway.embedded.ports import HOST, Ports
from stepway.embedded.server import program_in

ABOUT = (
    "8 no-op steps of bare Temporal in sequence, on the server that `stepway up` starts (on a "
    "file, to survive a restart), against an unconfigured `temporal server start-dev`, in "
    "memory. Both workers run workflows without Python's sandbox, which belongs to neither server."
)

PATIENCE = 60.0


async def run(stage: Stage) -> list[Comparison]:
    """Compare the latency of one workflow."""
    ports = Ports(stage.settings.data_dir / "run" / "plain.json", {})
    port = ports.get("temporal")
    plain = await _plain_server(stage, port)
    await stage.side("bare_worker", stage.settings.temporal_address)
    await stage.side("bare_worker", f"{HOST}:{port}")
    times = stage.sized(20, 3)
    await run_bare(stage.bare, "noop")
    await run_bare(plain, "noop")
    found = await interleave(
        lambda: _latency(stage.bare, times),
        lambda: _latency(plain, times),
        stage.sized(5, 1),
        "latency",
    )
    return [
        Comparison("latency", "ms", "unconfigured start-dev", found.pairs("latency"), Target(0.25))
    ]


async def _plain_server(stage: Stage, port: int) -> Client:
    temporal = str(program_in(Path(sysconfig.get_path("scripts")), "temporal"))
    options = ["--headless", "--log-level=error", f"--ip={HOST}", f"--port={port}"]
    await stage.side("server", port, temporal, "server", "start-dev", *options)
    return await _connected(f"{HOST}:{port}")


async def _connected(address: str) -> Client:
    """Wait until the server is healthy; returns a client. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await Client.connect(address)
            except RuntimeError:
                await asyncio.sleep(0.1)


async def _latency(client: Client, times: int) -> Metrics:
    took = []
    for _ in range(times):
        began = time.monotonic()
        await run_bare(client, "noop")
        took.append(time.monotonic() - began)
    return {"latency": median(took) * 1000}
