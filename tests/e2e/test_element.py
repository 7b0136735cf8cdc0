"""The custom element on another site's page, with the documentation's example."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.axe import violations
from tests.e2e.logs import TALK, see_line, talking
from tests.e2e.projects import open_gate
from tests.e2e.restarting import RestartingApi
from tests.e2e.screen import see_failure, see_project, see_step, step
from tests.support.servers import Stepway

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
WRITTEN_URL = "http://127.0.0.1:8000"
"""Address of Stepway in the example."""


class Portal(SimpleHTTPRequestHandler):
    """Serves the examples of the docs, and writes no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Write no log."""


@contextmanager
def serving_portal() -> Iterator[str]:
    """Serve another site; yields its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Portal, directory=EXAMPLES)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@asynccontextmanager
async def embedding(page: Page, stepway: Stepway, *, let_in: bool) -> AsyncIterator[str]:
    """Serve the documentation's page with a new project; yields its origin."""
    with serving_portal() as site:
        settings = stepway.settings.model_copy(update={"cors_origins": [site] if let_in else []})
        async with RestartingApi(settings) as api:

            async def here(route: Route) -> None:
                await route.continue_(url=route.request.url.replace(WRITTEN_URL, api.url))

            await page.route(f"{WRITTEN_URL}/**", here)
            project = await stepway.create("journey")
            await page.goto(f"{site}/embed.html?project={project}&api={api.url}")
            yield site


def project_in(url: str) -> str:
    """The project that the documentation's page is asked to show."""
    return parse_qs(urlsplit(url).query)["project"][0]


@pytest.fixture
async def embedded(page: Page, stepway: Stepway) -> AsyncIterator[Page]:
    """The documentation's page, on an origin that the API allows."""
    async with embedding(page, stepway, let_in=True):
        yield page


async def test_an_element_on_another_origin_follows_to_the_end(
    embedded: Page, stepway: Stepway
) -> None:
    await see_step(embedded, "compile", "running")
    project = str(await embedded.locator("stepway-progress").get_attribute("project-id"))
    for gate in ("compile", "publish"):
        await open_gate(stepway, project, gate)
    await see_project(embedded, "active")
    await expect(embedded.locator("#heard")).to_contain_text("active, 100 %")
    assert await violations(embedded) == []


async def test_an_element_loads_the_log_viewer_when_a_log_is_opened(
    page: Page, stepway: Stepway
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def viewer_was_asked_for() -> bool:
        return any("stepway-progress-viewer-" in url for url in asked)

    async with embedding(page, stepway, let_in=True) as site:
        talk = await talking(stepway, {"text": "line #", "times": 100})
        await page.goto(page.url.replace(project_in(page.url), talk.project))
        await see_step(page, TALK, "running")
        row = step(page, TALK)
        await row.get_by_role("button").first.click()
        show = row.get_by_role("button", name="Show log")
        await expect(show).to_be_visible()
        assert not viewer_was_asked_for()
        assert not any("/logs?" in url for url in asked)
        await show.click()
        pane = row.locator(".log-pane")
        await see_line(pane, 100)
        assert viewer_was_asked_for()
        talk.say({"text": "last"})
        await see_line(pane, 101)
        # The address is the portal's: no link to a line is offered or written.
        await pane.locator('[data-line="101"] .log-number').click()
        await expect(pane.locator(".log-selected")).to_have_count(1)
        await expect(pane.get_by_role("button", name="Copy link")).to_have_count(0)
        assert page.url.startswith(site) and "#" not in page.url
        assert await violations(page) == []

        await page.locator("stepway-progress").evaluate("one => one.setAttribute('logs', 'off')")
        await expect(pane).to_have_count(0)
        await expect(show).to_have_count(0)
        talk.end()


async def test_an_origin_that_the_api_does_not_know_is_told_which_setting_lets_it_in(
    page: Page, stepway: Stepway
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    async with embedding(page, stepway, let_in=False) as site:
        await see_failure(page, "origin_refused")
        advice = f"Add {site} to STEPWAY_CORS_ORIGINS"
        await expect(page.locator("[data-failure]")).to_contain_text(advice)
    assert any(text.startswith("Stepway: ") and advice in text for text in said)
