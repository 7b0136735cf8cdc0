"""Release a service and print the events that were recorded.

python run.py postgresql://user:password@host/database redis://host:6379 host:7233
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID, uuid4

from release_steps import Release, announce, build_image, run_tests
from release_workflow import ReleaseService
from temporalio.client import Client
from temporalio.worker import Worker

from stepway_tracking.migrate import migrate
from stepway_tracking.postgres import open_pool
from stepway_tracking.queries.reader import Reader
from stepway_tracking.worker.plugin import open_tracking

QUEUE = "release-service"


async def main(database_url: str, redis_url: str, temporal_address: str) -> None:
    """Create the tables, start a worker, release, print the events."""
    await migrate(database_url)
    client = await Client.connect(temporal_address)
    release = Release(str(uuid4()), "shop", "1.4.0")
    async with (
        open_tracking(database_url, redis_url) as tracking,
        Worker(
            client,
            task_queue=QUEUE,
            workflows=[ReleaseService],
            activities=[run_tests, build_image, announce],
            plugins=[tracking],
        ),
    ):
        await run(client, release)
    await show(database_url, release.project_id)


async def run(client: Client, release: Release) -> None:
    """Run the workflow to its end."""
    print(f"project {release.project_id}", flush=True)
    await client.execute_workflow(
        ReleaseService.run, release, id=f"release-{release.project_id}", task_queue=QUEUE
    )


async def show(database_url: str, project_id: str) -> None:
    """Print every event of the project."""
    async with await open_pool(database_url) as pool:
        for event in await Reader(pool).events_after(UUID(project_id), 0):
            print(event.version, event.type, event.data.decode()[:160])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
