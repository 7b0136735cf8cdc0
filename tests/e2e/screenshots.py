"""Takes screenshots of the page in each of its states: light and dark, narrow and wide."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from playwright.async_api import Browser, async_playwright

from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from tests.e2e.blueprints import write_blueprints
from tests.e2e.states import STATES, Show
from tests.support.chromium import ARGUMENTS, CHROMIUM
from tests.support.servers import Stepway, running_stepway

SCHEMES = ("light", "dark")
WIDTHS = (320, 1280)
HEIGHT = 800


async def take_all(target: Path, wanted: set[str]) -> None:
    """Start servers and take the given states, or all."""
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_blueprints(folder)
        async with (
            EmbeddedServers(Settings(data_dir=folder / "servers")) as servers,
            async_playwright() as playwright,
        ):
            await upgrade_database(servers.sqlalchemy_url)
            async with running_stepway(servers, folder) as stepway:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                for show in STATES:
                    state = show.__name__.removeprefix("show_")
                    if not wanted or state in wanted:
                        await take(browser, stepway, show, target / state)
                await browser.close()


async def take(browser: Browser, stepway: Stepway, show: Show, path: Path) -> None:
    """Take one state in each scheme and width, as `path-SCHEME-WIDTH.png`."""
    context = await browser.new_context(
        base_url=str(stepway.http.base_url), locale="en-GB", reduced_motion="reduce"
    )
    page = await context.new_page()
    await show(page, stepway)
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": HEIGHT})
            await page.evaluate("scrollTo(0, 0)")
            asked = await page.get_by_role("dialog").count()
            file = path.with_name(f"{path.name}-{scheme}-{width}.png")
            await page.screenshot(path=file, full_page=not asked)
            print(file, flush=True)
    await context.close()


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp(prefix="stepway-screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_all(folder, set(sys.argv[2:])))
