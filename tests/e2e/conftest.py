"""Fixtures: one browser and one Stepway for all browser tests, a new page for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from stepway.api.routes.first_paint import is_built
from stepway.api.routes.pages import BUILT
from stepway.runtime.settings import Settings
from tests.e2e.blueprints import write_blueprints
from tests.support.chromium import ARGUMENTS, CHROMIUM, require_chromium
from tests.support.servers import Stepway, running_stepway

MODULES = ("tests.support.steps", "tests.support.logging_steps")
POLICY = "Content Security Policy"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A browser: Debian's Chromium."""
    require_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def stepway(servers: Settings) -> AsyncIterator[Stepway]:
    """API with the built page, and a worker."""
    assert is_built(BUILT), "the page is not built: run scripts/web-build"
    with TemporaryDirectory(prefix="stepway-e2e-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_blueprints(folder)
        async with running_stepway(servers, folder, modules=MODULES) as stepway:
            yield stepway


NewContext = Callable[..., Coroutine[Any, Any, BrowserContext]]


@pytest.fixture
async def new_context(browser: Browser, stepway: Stepway) -> AsyncIterator[NewContext]:
    """Opens a browser profile, with separate cookies, storage and tabs."""
    opened: list[BrowserContext] = []

    async def new(**options: Any) -> BrowserContext:
        given = {"base_url": str(stepway.http.base_url), "locale": "en-GB", **options}
        context = await browser.new_context(reduced_motion="reduce", **given)
        opened.append(context)
        return context

    yield new
    for context in opened:
        await context.close()


@pytest.fixture
async def page(new_context: NewContext) -> AsyncIterator[Page]:
    """A page in a new profile; asserts that it causes no error and no CSP violation."""
    page = await (await new_context()).new_page()
    raised: list[str] = []
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.on("console", lambda said: raised.append(said.text) if POLICY in said.text else None)
    yield page
    assert raised == [], "the page raised errors"
