"""Opens and reads the log viewer, with logs that the test makes up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Route, expect

from tests.e2e.screen import see_step, step
from tests.support.fake_logs import FakeLogs

ESCAPE = "\x1b["

COLOURS: list[Any] = [
    "::group::Prepare the workspace",
    "cloning the repository",
    {"level": "debug", "stream": "log", "text": "cache key sha256:7d2e9b1f"},
    "::group::Install packages",
    "added 290 packages in 1 min",
    {"level": "warning", "stream": "stderr", "text": "deprecated glob@7.2.3"},
    "::endgroup::",
    "::endgroup::",
    f"{ESCAPE}32m✓{ESCAPE}0m 112 tests {ESCAPE}1mpassed{ESCAPE}0m, {ESCAPE}31m1 failed{ESCAPE}0m",
    "".join(f"{ESCAPE}{n}m {n} " for n in [*range(30, 38), *range(90, 98)]),
    "".join(f"{ESCAPE}{n}m {n} " for n in [*range(40, 48), *range(100, 108)]),
    "".join(f"{ESCAPE}38;5;{n}m{n} " for n in range(16, 256, 7)),
    "".join(f"{ESCAPE}38;2;{n};{255 - n};128m#" for n in range(0, 255, 6)),
    f"{ESCAPE}2mdim{ESCAPE}0m {ESCAPE}3;4mitalic{ESCAPE}0m {ESCAPE}7minverse{ESCAPE}0m",
    "下载依赖包:已完成 100%,用时 3 秒。" * 12,
    "10 %\r50 %\r100 % done",
    "one long line " + "lorem ipsum dolor sit amet " * 40,
    {"gap": {"after": 17, "before": 19, "lines": 1, "characters": 83_000_000}},
    *(f"compile file {number}" for number in range(200)),
    {"level": "error", "stream": "stderr", "text": f"{ESCAPE}31merror{ESCAPE}0m: build failed"},
]
"""A log with all that a line can have."""


@asynccontextmanager
async def fake_logs(page: Page) -> AsyncIterator[FakeLogs]:
    """Answer the page's requests for logs."""
    async with FakeLogs().serving() as logs:

        async def here(route: Route) -> None:
            address = urlsplit(route.request.url)
            await route.continue_(url=f"{logs.url}{address.path}?{address.query}")

        await page.route("**/logs?*", here)
        yield logs


async def open_log(page: Page, project: str, name: str, status: str) -> Locator:
    """Open a step's log; return the viewer."""
    await page.goto(f"/projects/{project}")
    await see_step(page, name, status)
    row = step(page, name)
    if status != "failed":
        await row.get_by_role("button").first.click()
    wanted = "Show the whole log" if status == "failed" else "Show log"
    await row.get_by_role("button", name=wanted).click()
    return row.locator(".log-pane").first


async def see_line(pane: Locator, number: int) -> None:
    """Wait until a line is in view."""
    await expect(pane.locator(f'[data-line="{number}"]')).to_be_in_viewport()


async def lines_in_document(pane: Locator) -> list[int]:
    """Return the numbers of the lines that are in the document."""
    found: list[int] = await pane.locator("[data-line]").evaluate_all(
        "rows => rows.map(row => Number(row.dataset.line))"
    )
    return found
