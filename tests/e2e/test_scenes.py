"""The three scenes: it goes well, the page is refreshed in the middle, it fails."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.e2e.conftest import NewContext
from tests.e2e.projects import name_of, open_gate
from tests.e2e.screen import panel, picture, see_project, see_step, step
from tests.support.servers import Stepway, eventually


async def test_a_project_is_created_and_watched_until_its_repository_can_be_cloned(
    page: Page,
) -> None:
    await page.goto("/")
    await page.get_by_role("link", name="New project").first.click()
    await page.get_by_role("radio", name="Web service").click()
    await page.get_by_label("Name", exact=True).fill("shop-window")
    await page.get_by_role("button", name="Create project").click()

    await see_project(page, "active")
    await expect(page.get_by_text("Ready in")).to_be_visible()
    await expect(page.get_by_text(re.compile("git clone .*/shop-window.git$"))).to_be_visible()
    await expect(page.locator("[data-step][data-status=completed]")).not_to_have_count(0)
    await expect(page.get_by_role("progressbar", name="Setup progress")).to_have_attribute(
        "aria-valuenow", "100"
    )
    await expect(page).to_have_title("shop-window is ready · Stepway")


async def test_steps_are_shown_as_they_happen(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("journey")
    await page.goto(f"/projects/{project}")
    await see_step(page, "prepare", "completed")
    await see_step(page, "compile", "running")
    await expect(step(page, "compile")).to_contain_text("waiting at the gate")
    await see_step(page, "publish", "pending")

    await open_gate(stepway, project, "compile")
    await see_step(page, "publish", "running")
    await step(page, "parts").get_by_role("button").first.click()
    await see_step(page, "parts.first", "completed")

    await open_gate(stepway, project, "publish")
    await see_project(page, "active")


async def test_a_refresh_at_any_moment_shows_what_a_page_shows_that_was_never_refreshed(
    new_context: NewContext, stepway: Stepway
) -> None:
    context = await new_context()
    witness, refreshed = await context.new_page(), await context.new_page()
    project = await stepway.create("journey")
    for page in (witness, refreshed):
        await page.goto(f"/projects/{project}")

    async def same() -> bool:
        return await picture(witness) == await picture(refreshed)

    async def refresh() -> None:
        await refreshed.reload()
        await panel(refreshed).wait_for()
        try:
            await eventually(same)
        except AssertionError:
            # That one says no more than that they differ.
            assert await picture(refreshed) == await picture(witness)
            raise

    await refresh()
    for gate, after in (("compile", "publish"), ("publish", None)):
        await see_step(witness, gate, "running")
        await refresh()
        await open_gate(stepway, project, gate)
        await see_step(witness, gate, "completed")
        await refresh()
        if after:
            await see_step(refreshed, after, "running")
    for page in (witness, refreshed):
        await see_project(page, "active")
    await refresh()


async def test_why_it_failed_is_seen_after_a_refresh(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("skippable")
    await stepway.until(project, "failed")

    await page.goto(f"/projects/{project}")
    await see_step(page, "docs", "failed")
    before = await picture(page)
    await page.reload()
    await see_project(page, "failed")

    assert await picture(page) == before
    failed = step(page, "docs")
    await expect(failed.get_by_role("group", name="Error message")).to_have_text(
        "The host refused the key."
    )
    await expect(failed).to_contain_text("How to fix: Add the key to the host.")
    await failed.get_by_role("button", name="Technical details").click()
    await expect(failed.get_by_role("group", name="Technical details")).to_contain_text(
        "ApplicationError"
    )
    name = await name_of(stepway, project)
    await expect(page).to_have_title(f"{name} needs your attention · Stepway")
