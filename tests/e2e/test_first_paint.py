"""An initialization's page before and after its scripts have run."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import NewContext
from tests.e2e.screen import panel, see_step, step
from tests.support.servers import Stepway

LEAST_MOVE = 2.0
"""Maximum pixels by which a row may move when the scripts run."""


async def top_of(page: Page, name: str) -> float:
    box = await step(page, name).bounding_box()
    assert box
    return box["y"]


async def test_steps_are_seen_without_scripts_and_stay_where_they_are(
    new_context: NewContext, stepway: Stepway
) -> None:
    project = await stepway.create("journey")
    context = await new_context()
    page = await context.new_page()
    await page.goto(f"/projects/{project}")
    await see_step(page, "compile", "running")
    bare = await context.new_page()
    await bare.route("**/*.js", lambda route: route.abort())
    await bare.goto(f"/projects/{project}")
    await see_step(bare, "prepare", "completed")
    await see_step(bare, "compile", "running")
    await see_step(bare, "publish", "pending")
    await expect(step(bare, "compile")).to_contain_text("Compile the code")
    await expect(panel(bare)).to_have_count(0)
    assert await violations(bare) == []
    for name in ("prepare", "compile"):
        assert abs(await top_of(page, name) - await top_of(bare, name)) <= LEAST_MOVE


async def test_scripts_replace_it(page: Page, stepway: Stepway) -> None:
    await page.goto(f"/projects/{await stepway.create('journey')}")
    await expect(panel(page)).to_have_count(1)
    await expect(page.locator("main")).to_have_count(1)
    await expect(page.locator('[data-step="compile"]')).to_have_count(1)
