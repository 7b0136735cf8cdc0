"""Release a service and show what was recorded. Needs the three STEPWAY_* addresses:

STEPWAY_DATABASE_URL, STEPWAY_REDIS_URL, STEPWAY_TEMPORAL_ADDRESS
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID, uuid4

from release_steps import Release, announce, build_image, run_tests
from release_workflow import ReleaseService
from temporalio.client import Client
from temporalio.worker import Worker

from stepway.runtime.settings import Settings, load_settings
from stepway.runtime.temporal import connect_temporal
from stepway_tracking.migrate import migrate
from stepway_tracking.postgres import open_pool
from stepway_tracking.queries.reader import Reader
from stepway_tracking.worker.plugin import open_tracking

QUEUE = "release-service"


async def main() -> None:
    """Migrate, work, release, show."""
    settings = load_settings()
    if not (settings.database_url and settings.redis_url and settings.temporal_address):
        sys.exit(__doc__)
    await migrate(settings.database_url)
    client = await connect_temporal(settings)
    release = Release(str(uuid4()), "shop", "1.4.0")
    async with (
        open_tracking(settings.database_url, settings.redis_url) as tracking,
        Worker(
            client,
            task_queue=QUEUE,
            workflows=[ReleaseService],
            activities=[run_tests, build_image, announce],
            plugins=[tracking],
        ),
    ):
        await run(client, release)
    await show(settings, release.project_id)


async def run(client: Client, release: Release) -> None:
    """Run the workflow to its end."""
    print(f"project {release.project_id}: stepway watch shows it live", flush=True)
    await client.execute_workflow(
        ReleaseService.run, release, id=f"release-{release.project_id}", task_queue=QUEUE
    )


async def show(settings: Settings, project_id: str) -> None:
    """Print what happened, as the history has it."""
    async with await open_pool(settings.database_url) as pool:
        for event in await Reader(pool).events_after(UUID(project_id), 0):
            print(event.version, event.type, event.data.decode()[:160])


if __name__ == "__main__":
    asyncio.run(main())
