"""The controls on an initialization's page."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.projects import open_gate
from tests.e2e.screen import answer, see_project, see_step, step
from tests.support.servers import Stepway


async def test_a_retry_shows_what_runs_and_takes_changed_parameters(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("fixable", value="bad")
    await page.goto(f"/projects/{project}")
    await see_step(page, "connect", "failed")
    await page.get_by_role("button", name="Retry Connect the parts").click()

    dialog = page.get_by_role("dialog")
    runs = dialog.locator("section", has=page.get_by_role("heading", name="Will run"))
    keeps = dialog.locator("section", has=page.get_by_role("heading", name="Kept"))
    await expect(runs.get_by_role("listitem")).to_have_text(
        ["Connect the parts", "Publish the result"]
    )
    await expect(keeps.get_by_role("listitem")).to_have_text(["Prepare the ground"])

    await dialog.get_by_role("button", name="Edit parameters").click()
    await expect(dialog.get_by_label("Value")).to_have_value("bad")
    await dialog.get_by_label("Value").fill("good")
    await answer(page, "Retry")

    await see_step(page, "connect", "completed")
    await open_gate(stepway, project, "publish")
    await see_project(page, "active")
    assert (await stepway.initialization(project))["project"]["parameters"]["value"] == "good"


async def test_a_bad_parameter_is_refused_beside_its_field(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("fixable", value="bad")
    await page.goto(f"/projects/{project}")
    await page.get_by_role("button", name="Retry Connect the parts").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Edit parameters").click()
    await dialog.get_by_label("Port").fill("80")
    await dialog.get_by_role("button", name="Retry", exact=True).click()

    await expect(dialog.get_by_label("Port")).to_have_attribute("aria-invalid", "true")
    await expect(dialog.get_by_role("alert").first).to_contain_text("1024")
    await page.keyboard.press("Escape")
    await see_step(page, "connect", "failed")


async def test_a_retry_that_comes_too_late_says_why(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("fixable", value="bad")
    await page.goto(f"/projects/{project}")
    await page.get_by_role("button", name="Retry Connect the parts").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading", name="Will run")).to_be_visible()

    retried = await stepway.control(
        project, "steps/connect/retry", {"parameters": {"value": "good"}}
    )
    assert retried.status_code == 202
    await stepway.until_step(project, "publish", "running")
    await dialog.get_by_role("button", name="Retry", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await expect(dialog.get_by_role("alert")).not_to_be_empty()
    await stepway.control(project, "cancel")


async def test_an_optional_step_is_skipped_with_a_reason(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("skippable")
    await page.goto(f"/projects/{project}")
    await page.get_by_role("button", name="Skip Write the docs").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Skip step").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Enter a reason")

    await dialog.get_by_label("Reason").fill("Written by hand & <b>soon</b>")
    await answer(page, "Skip step")
    await see_step(page, "docs", "skipped")
    await expect(step(page, "docs")).to_contain_text("Written by hand & <b>soon</b>")
    await see_project(page, "active")
    await expect(page.get_by_text("1 step skipped").first).to_be_visible()

    await page.get_by_role("link", name="History").click()
    entry = page.locator("[data-action=skipped]")
    await expect(entry).to_contain_text("local skipped Write the docs")
    await expect(entry).to_contain_text("Reason: Written by hand & <b>soon</b>")


async def test_a_cancel_shows_each_step_being_taken_back_and_what_was_left(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("undoable")
    await page.goto(f"/projects/{project}")
    await see_step(page, "long", "running")
    await page.get_by_role("button", name="Cancel setup").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Also roll back").check()
    await expect(dialog.locator("section", has_text="Will be rolled back")).to_contain_text(
        "SecondFirst"
    )
    await answer(page, "Cancel and roll back")

    await expect(step(page, "long")).not_to_have_attribute("data-status", "running")
    await expect(step(page, "second")).to_contain_text("Somebody has changed it since.")
    await expect(step(page, "first")).to_contain_text("Rolling back")
    await open_gate(stepway, project, "undo")
    await expect(step(page, "first")).to_contain_text("Rolled back")
    await see_project(page, "cancelled")
    await expect(page.get_by_text("Could not be rolled back: second")).to_be_visible()
    await expect(
        page.get_by_text("1 of 2 steps were rolled back. 1 rollback failed.")
    ).to_be_visible()


async def test_a_cancel_that_a_step_holds_up_is_shown_and_leaves_no_controls(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("deaf")
    await page.goto(f"/projects/{project}")
    await see_step(page, "deaf", "running")
    await page.get_by_role("button", name="Cancel setup").click()
    await answer(page, "Cancel setup")

    name = (await stepway.initialization(project))["project"]["name"]
    await expect(page.get_by_role("heading", name=f"Cancelling {name}")).to_be_visible()
    await expect(page.get_by_role("button", name="Cancel setup")).to_have_count(0)
    await see_step(page, "deaf", "running")
    await see_project(page, "initializing")
    await page.goto("/")
    row = page.get_by_role("listitem").filter(has_text=name)
    await expect(row.get_by_text("Cancelling", exact=True)).to_be_visible()

    await page.goto(f"/projects/{project}")
    await open_gate(stepway, project, "deaf")
    await see_project(page, "cancelled")


async def test_an_ended_initialization_is_taken_up_again_and_followed(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("journey")
    await stepway.control(project, "cancel")
    await stepway.until(project, "cancelled")
    await page.goto(f"/projects/{project}")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Will run")
    await answer(page, "Retry")

    await see_project(page, "initializing")
    for gate in ("compile", "publish"):
        await open_gate(stepway, project, gate)
    await see_project(page, "active")
