"""A running cluster with its watchers, in a temporary folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.blueprint import (
    write_faulty_blueprint,
    write_one_step_blueprint,
    write_steady_blueprint,
)
from tests.faults.cluster import Cluster
from tests.faults.hosts.blueprint import write_hosted_blueprint
from tests.faults.injections import OUTAGE
from tests.faults.recovery import write_held_blueprint
from tests.faults.rounds import Rounds


@asynccontextmanager
async def running_rounds(
    seed: int, keep: Path | None = None, outages: tuple[float, ...] = (OUTAGE,)
) -> AsyncIterator[tuple[Cluster, Rounds]]:
    """Start the cluster and the watchers; Postgres may be gone for one of `outages` seconds."""
    with TemporaryDirectory(prefix="stepway-faults-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        # If this process is root, Postgres runs as another user, who needs access.
        await asyncio.to_thread(place.chmod, 0o711)
        write_faulty_blueprint(place)
        write_steady_blueprint(place)
        write_one_step_blueprint(place)
        write_held_blueprint(place)
        write_hosted_blueprint(place)
        cluster = Cluster(place)
        rounds = Rounds(cluster, seed, keep, outages)
        try:
            await cluster.start()
            try:
                await rounds.start()
                yield cluster, rounds
            finally:
                await rounds.stop()
        finally:
            await cluster.stop()
