"""The page in each of its states, for axe and for screenshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from playwright.async_api import Page, Route, expect

from tests.e2e.projects import open_gate
from tests.e2e.screen import see_failure, see_project, see_step, step
from tests.support.servers import Stepway

Show = Callable[[Page, Stepway], Awaitable[None]]


async def show_list(page: Page, stepway: Stepway) -> None:
    """The projects."""
    await stepway.create("skippable")
    await page.goto("/")
    await expect(page.get_by_text("skippable").first).to_be_visible()


async def show_empty_list(page: Page, stepway: Stepway) -> None:
    """A filter that finds nothing."""
    await page.goto("/?status=archived")
    await expect(page.get_by_text("No archived projects")).to_be_visible()


async def show_form(page: Page, stepway: Stepway) -> None:
    """The form to create a project, with errors."""
    await page.goto("/new?blueprint=web-service")
    await page.get_by_role("button", name="Create project").click()
    await expect(page.get_by_role("alert").first).to_be_visible()


async def show_running(page: Page, stepway: Stepway) -> None:
    """Steps that run at the same time."""
    await page.goto(f"/projects/{await stepway.create('together')}")
    await see_step(page, "left", "running")
    await see_step(page, "right", "running")
    await step(page, "start").get_by_role("button").first.click()


async def show_waiting(page: Page, stepway: Stepway) -> None:
    """An attempt that failed and waits for the next."""
    await page.goto(f"/projects/{await stepway.create('stubborn')}")
    await expect(step(page, "flaky")).to_contain_text("Next attempt in")


async def show_limited(page: Page, stepway: Stepway) -> None:
    """A step that waits for a host's rate limit."""
    await page.goto(f"/projects/{await stepway.create('limited')}")
    await expect(step(page, "ask")).to_contain_text("limit is used up")


async def show_unclaimed(page: Page, stepway: Stepway) -> None:
    """A step for whose queue there is no worker."""
    await page.goto(f"/projects/{await stepway.create('unclaimed')}")
    await expect(step(page, "far")).to_contain_text("nowhere", timeout=60_000)


async def show_failed(page: Page, stepway: Stepway) -> None:
    """A failed step with everything unfolded."""
    await page.goto(f"/projects/{await stepway.create('skippable')}")
    await step(page, "docs").get_by_role("button", name="Technical details").click()
    await step(page, "docs").get_by_role("button", name="Compare attempts").click()
    await expect(step(page, "docs").get_by_role("table")).to_be_visible()


async def show_timeline(page: Page, stepway: Stepway) -> None:
    """Steps on one axis of time."""
    await page.goto(f"/projects/{await stepway.create('skippable')}")
    await see_project(page, "failed")
    await page.get_by_role("tab", name="Timeline").click()
    await expect(page.get_by_role("tabpanel", name="Timeline")).to_be_visible()


async def show_retry(page: Page, stepway: Stepway) -> None:
    """The question before a retry."""
    await page.goto(f"/projects/{await stepway.create('fixable', value='bad')}")
    await page.get_by_role("button", name="Retry Connect the parts").click()
    await page.get_by_role("button", name="Edit parameters").click()
    await expect(page.get_by_role("dialog").get_by_label("Value")).to_be_visible()


async def show_skip(page: Page, stepway: Stepway) -> None:
    """The question before a skip."""
    await page.goto(f"/projects/{await stepway.create('skippable')}")
    await page.get_by_role("button", name="Skip Write the docs").click()
    await page.get_by_role("button", name="Skip step").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()


async def show_cancel(page: Page, stepway: Stepway) -> None:
    """The question before a cancel."""
    await page.goto(f"/projects/{await stepway.create('skippable')}")
    await page.get_by_role("button", name="Cancel setup").click()
    await expect(page.get_by_role("dialog")).to_be_visible()


async def show_rollback(page: Page, stepway: Stepway) -> None:
    """The question before a cancel with rollback, and its preview."""
    project = await stepway.create("undoable")
    await stepway.until_step(project, "long", "running")
    await page.goto(f"/projects/{project}")
    await page.get_by_role("button", name="Cancel setup").click()
    await page.get_by_role("dialog").get_by_label("Also roll back").check()
    await expect(page.get_by_role("dialog")).to_contain_text("Will stay")


async def show_retry_of_all(page: Page, stepway: Stepway) -> None:
    """The question before a retry of all uncompleted steps."""
    project = await stepway.create("journey")
    await stepway.control(project, "cancel")
    await stepway.until(project, "cancelled")
    await page.goto(f"/projects/{project}")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Will run")


async def show_cancelled(page: Page, stepway: Stepway) -> None:
    """Steps that were rolled back, and one that was not."""
    project = await stepway.create("undoable")
    await stepway.until_step(project, "long", "running")
    await open_gate(stepway, project, "undo")
    await stepway.control(project, "cancel", {"undo": True})
    await page.goto(f"/projects/{project}")
    await see_project(page, "cancelled")


async def show_ready(page: Page, stepway: Stepway) -> None:
    """The notice of success, with its links."""
    await page.goto(f"/projects/{await stepway.create()}")
    await see_project(page, "active")


async def show_offline(page: Page, stepway: Stepway) -> None:
    """The last known state."""
    await page.goto(f"/projects/{await stepway.create('skippable')}")
    await see_project(page, "failed")
    await page.evaluate("dispatchEvent(new Event('offline'))")
    await expect(page.locator("[data-connection=offline]")).to_be_visible()


async def show_history(page: Page, stepway: Stepway) -> None:
    """The history."""
    await page.goto(f"/projects/{await stepway.create('skippable')}/history")
    await expect(page.locator("[data-action]").first).to_be_visible()


async def show_statistics(page: Page, stepway: Stepway) -> None:
    """Charts and the table behind them."""
    await stepway.until(await stepway.create("skippable"), "failed")
    await page.goto("/statistics")
    await expect(page.get_by_role("table").first).to_be_visible()


async def show_unknown_project(page: Page, stepway: Stepway) -> None:
    """No such project."""
    await page.goto("/projects/0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10")
    await see_failure(page, "not_found")


async def show_unknown_page(page: Page, stepway: Stepway) -> None:
    """No such page."""
    await page.goto("/nowhere")
    await expect(page.get_by_text("Page not found")).to_be_visible()


async def show_parts(page: Page, stepway: Stepway) -> None:
    """The parts of a step."""
    project = await stepway.create("journey")
    await open_gate(stepway, project, "compile")
    await page.goto(f"/projects/{project}")
    await see_step(page, "publish", "running")
    await step(page, "parts").get_by_role("button").first.click()
    await see_step(page, "parts.second", "completed")


async def show_undoing(page: Page, stepway: Stepway) -> None:
    """Steps that are being rolled back."""
    project = await stepway.create("undoable")
    await stepway.until_step(project, "long", "running")
    await stepway.control(project, "cancel", {"undo": True})
    await page.goto(f"/projects/{project}")
    await expect(step(page, "first")).to_contain_text("Rolling back")


async def show_skipped(page: Page, stepway: Stepway) -> None:
    """A skipped step."""
    project = await stepway.create("skippable")
    await stepway.until(project, "failed")
    await stepway.control(project, "steps/docs/skip", {"reason": "They are written by hand."})
    await page.goto(f"/projects/{project}")
    await see_project(page, "active")


async def show_hostile(page: Page, stepway: Stepway) -> None:
    """Markup in names, and an error of 100 kB."""
    await page.goto(f"/projects/{await stepway.create('hostile')}")
    await see_project(page, "failed")


async def show_many(page: Page, stepway: Stepway) -> None:
    """Many steps, some with long names."""
    await page.goto(f"/projects/{await stepway.create('many')}")
    await see_step(page, "step_20", "running")


async def show_sign_in(page: Page, stepway: Stepway) -> None:
    """The sign-in form."""

    async def nobody(route: Route) -> None:
        await route.fulfill(json={"required": True, "signed_in": False, "groups": [], "scopes": []})

    await page.route("**/api/session", nobody)
    await page.goto("/")
    await expect(page.get_by_label("Access token")).to_be_visible()


STATES: list[Show] = [
    show_list,
    show_empty_list,
    show_form,
    show_running,
    show_parts,
    show_many,
    show_waiting,
    show_limited,
    show_unclaimed,
    show_failed,
    show_timeline,
    show_retry,
    show_skip,
    show_cancel,
    show_rollback,
    show_retry_of_all,
    show_undoing,
    show_cancelled,
    show_skipped,
    show_hostile,
    show_ready,
    show_offline,
    show_history,
    show_statistics,
    show_unknown_project,
    show_unknown_page,
    show_sign_in,
]
