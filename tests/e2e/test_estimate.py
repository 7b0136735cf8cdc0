"""The remaining time, after enough earlier runs."""

from __future__ import annotations

import asyncpg
from playwright.async_api import Page, expect

from tests.e2e.projects import open_gate
from tests.e2e.restarting import RestartingApi
from tests.e2e.screen import see_project, see_step
from tests.support.servers import Stepway

SAMPLES = 3


async def take_a_minute_each(stepway: Stepway) -> None:
    """Set the duration of earlier runs to one minute: no estimate is shown for overdue steps."""
    connection = await asyncpg.connect(stepway.settings.database_url)
    await connection.execute(
        "UPDATE project_initialization_steps SET duration = 60000 WHERE step = 'steady'"
    )
    await connection.close()


async def test_an_estimate_appears_after_three_runs_and_not_before(
    page: Page, stepway: Stepway
) -> None:
    left = page.get_by_text("Remaining", exact=True)
    for _ in range(SAMPLES):
        project = await stepway.create("steady")
        await page.goto(f"/projects/{project}")
        await see_step(page, "steady", "running")
        await expect(page.get_by_text("Elapsed")).to_be_visible()
        await expect(left).to_have_count(0)
        await open_gate(stepway, project, "steady")
        await see_project(page, "active")

    await take_a_minute_each(stepway)
    project = await stepway.create("steady")
    # A new API, which has not cached the earlier durations.
    async with RestartingApi(stepway.settings) as api:
        await page.goto(f"{api.url}/projects/{project}")
        await see_step(page, "steady", "running")
        await expect(left).to_be_visible()
        await open_gate(stepway, project, "steady")
        await see_project(page, "active")
        await expect(left).to_have_count(0)
