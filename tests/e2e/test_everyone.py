"""Languages, operation by keyboard, and accessibility (axe)."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import NewContext
from tests.e2e.projects import name_of, open_gate
from tests.e2e.screen import see_project, see_step, step, tab_to
from tests.e2e.states import STATES, Show
from tests.support.servers import Stepway


async def test_the_page_speaks_the_language_of_the_browser_names_of_steps_included(
    new_context: NewContext, stepway: Stepway
) -> None:
    project = await stepway.create("skippable")
    page = await (await new_context(locale="zh-CN")).new_page()
    await page.goto(f"/projects/{project}")
    await see_step(page, "docs", "failed")
    await expect(step(page, "docs")).to_contain_text("撰写文档")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    await expect(page.get_by_role("heading", name=await name_of(stepway, project))).to_have_count(2)
    shown = await page.locator("main").inner_text()
    assert re.findall(r"\b(Retry|Skip|Failed|Completed|Steps)\b", shown) == []


async def test_a_chosen_language_is_kept_and_changes_what_is_shown_at_once(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("skippable")
    await page.goto(f"/projects/{project}")
    await expect(step(page, "docs")).to_contain_text("Write the docs")
    await page.get_by_label("Language").select_option("zh")
    await expect(step(page, "docs")).to_contain_text("撰写文档")
    await page.reload()
    await expect(step(page, "docs")).to_contain_text("撰写文档")


async def test_keys_alone_create_watch_and_retry(page: Page, stepway: Stepway) -> None:
    press = page.keyboard.press
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    await tab_to(page, page.get_by_role("link", name="New project").first)
    await press("Enter")
    await expect(page.get_by_role("radio").first).to_be_visible()

    # Arrows choose within a group, Tab goes on to the next field.
    chosen = page.get_by_role("radio", name="The fixable one")
    await tab_to(page, page.locator("[role=radio][tabindex='0'], [role=radio][data-state=checked]"))
    for _ in range(20):
        if await chosen.get_attribute("data-state") == "checked":
            break
        # The choice follows the focus while the key is down.
        await press("ArrowDown", delay=100)
        await expect(page.locator("[role=radio]:focus")).to_be_checked()
    await expect(chosen).to_be_checked()
    await tab_to(page, page.locator("input[name=name]"))
    await page.keyboard.type("by-keys-alone")
    await press("Enter")

    await see_step(page, "connect", "failed")
    await tab_to(page, page.get_by_role("button", name="Retry Connect the parts"))
    await press("Enter")
    await tab_to(page, page.get_by_role("button", name="Edit parameters"))
    await press("Space")
    await tab_to(page, page.locator("[role=dialog] input[name=value]"))
    await press("ControlOrMeta+a")
    await page.keyboard.type("good")
    await tab_to(page, page.get_by_role("dialog").get_by_role("button", name="Retry", exact=True))
    await press("Enter")

    await see_step(page, "connect", "completed")
    stepway.open_gate("by-keys-alone-publish")
    await see_project(page, "active")


async def test_escape_closes_a_dialog_and_gives_the_focus_back(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("skippable")
    await page.goto(f"/projects/{project}")
    asked = page.get_by_role("button", name="Skip Write the docs")
    await asked.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(asked).to_be_focused()


async def test_changes_of_a_step_are_spoken_and_mere_progress_is_not(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("journey")
    await page.goto(f"/projects/{project}")
    await see_step(page, "compile", "running")
    spoken = page.locator("[aria-live=polite][aria-atomic=true]")
    await expect(step(page, "compile")).to_contain_text("%")
    await open_gate(stepway, project, "compile")
    await expect(spoken).to_contain_text("Publish the result: Running")
    await stepway.control(project, "cancel")


@pytest.mark.parametrize("show", STATES, ids=[show.__name__ for show in STATES])
async def test_axe_finds_nothing_in_light_nor_in_dark(
    show: Show, page: Page, stepway: Stepway
) -> None:
    await show(page, stepway)
    found: dict[str, list[str]] = {}
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found[scheme] = await violations(page)
    assert found == {"light": [], "dark": []}
