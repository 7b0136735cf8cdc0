"""Missing, huge or hostile data has its own state on the page."""

from __future__ import annotations

from playwright.async_api import Page, Route, expect

from tests.e2e.blueprints import HOSTILE
from tests.e2e.screen import see_failure, see_project, step
from tests.support.servers import Stepway


async def test_an_unknown_project_says_so_and_leads_back(page: Page) -> None:
    for id in ("0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10", "no-id-at-all"):
        await page.goto(f"/projects/{id}")
        await see_failure(page, "not_found")
        await expect(page.get_by_text("Project not found")).to_be_visible()
        await page.get_by_role("link", name="All projects").click()
        await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


async def test_a_project_one_may_not_see_says_so(page: Page) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=403, json={"title": "Forbidden", "status": 403})

    await page.route("**/initialization*", refuse)
    await page.goto("/projects/0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10")
    await see_failure(page, "forbidden")
    await expect(page.get_by_text("You don't have access")).to_be_visible()


async def test_markup_is_text_and_a_huge_error_is_cut_until_asked_for(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("hostile")
    await page.goto(f"/projects/{project}")
    await see_project(page, "failed")
    noisy = step(page, "noisy")
    await expect(noisy).to_contain_text(HOSTILE)
    assert await page.locator("main img").count() == 0

    text = noisy.get_by_role("group", name="Error message")
    assert len(await text.inner_text()) < 3_000
    await noisy.get_by_role("button", name="Show all").first.click()
    await expect(noisy.get_by_role("button", name="Show less").first).to_be_visible()
    assert len(await text.inner_text()) > 10_000
    await expect(page).not_to_have_title("hacked")


async def test_a_name_in_use_is_said_beside_the_field(page: Page, stepway: Stepway) -> None:
    taken = (await stepway.initialization(await stepway.create("skippable")))["project"]["name"]
    await page.goto("/new?blueprint=skippable")
    await page.get_by_label("Name", exact=True).fill(taken)
    await page.get_by_role("button", name="Create project").click()
    await expect(page.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("alert")).to_contain_text(taken)


async def test_pressing_twice_creates_once(page: Page, stepway: Stepway) -> None:
    await page.goto("/new?blueprint=skippable")
    await page.get_by_label("Name", exact=True).fill("pressed-twice")
    await page.get_by_role("button", name="Create project").dblclick()
    await see_project(page, "failed")
    found = (await stepway.http.get("/api/projects?limit=200")).json()["items"]
    assert [one["name"] for one in found].count("pressed-twice") == 1


async def test_back_leads_back(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("skippable")
    await page.goto("/?status=failed")
    await stepway.until(project, "failed")
    await page.locator(f'a[href="/projects/{project}"]').click()
    await see_project(page, "failed")
    await page.get_by_role("link", name="History").click()
    await expect(page.locator("[data-action=failed]").first).to_be_visible()
    await page.go_back()
    await see_project(page, "failed")
    await page.go_back()
    await expect(page).to_have_url("/?status=failed")
