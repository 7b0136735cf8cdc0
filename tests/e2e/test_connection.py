"""The network or the server goes away while a page is open."""

from __future__ import annotations

import asyncpg
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import NewContext
from tests.e2e.projects import open_gate
from tests.e2e.restarting import RestartingApi
from tests.e2e.screen import panel, see_failure, see_project, see_step
from tests.support.servers import Stepway, eventually

EVENTS = "**/initialization/events*"


def notice(page: Page, state: str) -> str:
    """The locator of a connection's state."""
    return f'[data-connection="{state}"]'


async def test_what_happened_offline_is_there_when_the_network_is_back(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("journey")
    await page.goto(f"/projects/{project}")
    await see_step(page, "compile", "running")
    await page.context.set_offline(True)
    await expect(page.locator(notice(page, "offline"))).to_be_visible()
    for gate in ("compile", "publish"):
        await open_gate(stepway, project, gate)
    await stepway.until(project, "active")
    await see_step(page, "compile", "running")

    await page.context.set_offline(False)
    await see_project(page, "active")
    await expect(page.locator("[data-connection]")).to_have_count(0)


async def test_an_api_that_restarts_is_followed_on(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("journey")
    async with RestartingApi(stepway.settings) as api:
        await page.goto(f"{api.url}/projects/{project}")
        await see_step(page, "compile", "running")
        await api.stop()
        await expect(page.locator(notice(page, "reconnecting"))).to_be_visible()
        await open_gate(stepway, project, "compile")
        await stepway.until_step(project, "publish", "running")
        await see_step(page, "compile", "running")

        await api.start()
        await see_step(page, "publish", "running")
        await expect(page.locator("[data-connection]")).to_have_count(0)
        await open_gate(stepway, project, "publish")
        await see_project(page, "active")


async def test_an_api_that_is_down_at_load_is_shown_and_tried_again(
    page: Page, stepway: Stepway
) -> None:
    project = await stepway.create("journey")
    async with RestartingApi(stepway.settings) as api:
        await page.goto(f"{api.url}/")
        await expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
        await api.stop()
        await page.evaluate(
            """path => {
                history.pushState({}, '', path)
                dispatchEvent(new PopStateEvent('popstate'))
            }""",
            f"/projects/{project}",
        )
        await see_failure(page, "unreachable")
        await api.start()
        await see_step(page, "compile", "running")
    await stepway.control(project, "cancel")


async def test_a_refused_stream_leaves_snapshots(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("journey")

    async def refuse(route: Route) -> None:
        await route.fulfill(
            status=503,
            headers={"Retry-After": "1", "Content-Type": "application/problem+json"},
            body='{"title": "Service Unavailable", "status": 503, "detail": "Too many streams."}',
        )

    await page.route(EVENTS, refuse)
    await page.goto(f"/projects/{project}")
    await expect(page.locator(notice(page, "polling"))).to_be_visible()
    await see_step(page, "compile", "running")
    await open_gate(stepway, project, "compile")
    await see_step(page, "publish", "running")

    await page.unroute(EVENTS)
    await expect(page.locator("[data-connection]")).to_have_count(0)
    await open_gate(stepway, project, "publish")
    await see_project(page, "active")


async def test_ten_tabs_share_one_stream_and_the_next_takes_over(
    new_context: NewContext, stepway: Stepway
) -> None:
    async def one_stream() -> bool:
        metrics = (await stepway.http.get("/metrics")).text
        return "\nstepway_streams_open 1.0\n" in metrics

    project = await stepway.create("journey")
    context = await new_context()
    tabs = [await context.new_page() for _ in range(10)]
    for tab in tabs:
        await tab.goto(f"/projects/{project}")
    for tab in tabs:
        await see_step(tab, "compile", "running")
    await eventually(one_stream)

    await tabs[0].close()
    await open_gate(stepway, project, "compile")
    for tab in tabs[1:]:
        await see_step(tab, "publish", "running")
    await eventually(one_stream)
    await open_gate(stepway, project, "publish")
    for tab in tabs[1:]:
        await see_project(tab, "active")


async def test_a_control_in_one_tab_is_seen_in_the_other(
    new_context: NewContext, stepway: Stepway
) -> None:
    project = await stepway.create("journey")
    context = await new_context()
    first, second = await context.new_page(), await context.new_page()
    for tab in (first, second):
        await tab.goto(f"/projects/{project}")
        await see_step(tab, "compile", "running")
    await second.get_by_role("button", name="Cancel setup").click()
    await second.get_by_role("dialog").get_by_role("button", name="Cancel setup").click()
    for tab in (first, second):
        await see_project(tab, "cancelled")
    await first.get_by_role("button", name="Resume").click()
    await first.get_by_role("dialog").get_by_role("button", name="Retry").click()
    for tab in (first, second):
        await see_step(tab, "compile", "running")
    await stepway.control(project, "cancel")


async def test_a_project_deleted_while_watched_stays_in_sight_and_says_so(
    page: Page, stepway: Stepway, pool: asyncpg.Pool
) -> None:
    project = await stepway.create("skippable")
    await page.goto(f"/projects/{project}")
    await see_project(page, "failed")
    await stepway.control(project, "cancel")
    await see_project(page, "cancelled")
    await delete(pool, project)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await see_failure(page, "deleted")
    await expect(panel(page)).to_be_visible()
    await see_step(page, "docs", "failed")
    await expect(page.get_by_role("button", name="Retry", exact=False)).to_have_count(0)


async def delete(pool: asyncpg.Pool, project: str) -> None:
    """Delete a project with all its rows."""
    tables = await pool.fetch(
        "SELECT conrelid::regclass::text FROM pg_constraint"
        " WHERE contype = 'f' AND confrelid = 'projects'::regclass"
    )
    for (table,) in tables:
        await pool.execute(f"DELETE FROM {table} WHERE project_id = $1", project)
    await pool.execute("DELETE FROM projects WHERE id = $1", project)
