"""Opens and reads the log viewer; lets a step say what the test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page, Route, expect

from tests.e2e.projects import name_of
from tests.e2e.screen import see_step, step
from tests.support.fake_logs import FakeLogs
from tests.support.servers import Stepway

TALK = "talk"
"""The step of the blueprint `talking` that says what a test wants."""

ESCAPE = "\x1b["

BUILD: list[dict[str, Any]] = [
    {"print": "::group::Prepare the workspace"},
    {"print": "cloning the repository"},
    {"level": "debug", "text": "cache key sha256:7d2e9b1f"},
    {"print": "::group::Install packages"},
    {"print": "added 290 packages in 1 min"},
    {"level": "warning", "text": "deprecated glob@7.2.3"},
    {"print": "::endgroup::"},
    {"print": "::endgroup::"},
    {
        "print": f"{ESCAPE}32m✓{ESCAPE}0m 112 tests {ESCAPE}1mpassed{ESCAPE}0m, "
        f"{ESCAPE}31m1 failed{ESCAPE}0m"
    },
    {"print": "".join(f"{ESCAPE}{n}m {n} " for n in [*range(30, 38), *range(90, 98)])},
    {"print": "".join(f"{ESCAPE}{n}m {n} " for n in [*range(40, 48), *range(100, 108)])},
    {"print": "".join(f"{ESCAPE}38;5;{n}m{n} " for n in range(16, 256, 7))},
    {"print": "".join(f"{ESCAPE}38;2;{n};{255 - n};128m=" for n in range(0, 255, 6))},
    {"print": f"{ESCAPE}2mdim{ESCAPE}0m {ESCAPE}3;4mitalic{ESCAPE}0m {ESCAPE}7minverse{ESCAPE}0m"},
    {"print": "下载依赖包:已完成 100%,用时 3 秒。" * 12},
    {"print": "10 %\r50 %\r100 % done"},
    {"print": "one long line " + "lorem ipsum dolor sit amet " * 40},
    {"error": "npm notice: a new version is available"},
    {"text": "compile file #", "times": 200},
    {"level": "error", "text": "error: build failed"},
]
"""A log with all that a line can have."""

BUILD_LINES = 219
COLOURED = 9
"""The number of the line with the result of the tests."""
LONG = 17


@dataclass
class Talk:
    """A project whose step TALK says what the test wants, as `logging_steps.talk` describes."""

    stepway: Stepway
    project: str
    name: str
    run: int = 1
    """The run of the step, from 1."""

    def say(self, *items: dict[str, Any]) -> None:
        """Let the step log these items."""
        file = self.stepway.folder / f"{self.name}-{TALK}.{self.run}.lines"
        with file.open("a") as lines:
            lines.write("".join(f"{json.dumps(item)}\n" for item in items))

    def end(self) -> None:
        """Let the step complete."""
        self.say({})

    async def fail(self) -> None:
        """Let the step fail, and wait until it has."""
        self.say({"fail": "The image cannot be built."})
        await self.stepway.until(self.project, "failed")

    async def again(self) -> None:
        """Retry the step; what is said from now on is of the new run."""
        self.run += 1
        answer = await self.stepway.control(self.project, f"steps/{TALK}/retry")
        assert answer.status_code == 202, answer.text
        await self.stepway.until_step(self.project, TALK, "running")


async def talking(stepway: Stepway, *items: dict[str, Any]) -> Talk:
    """Start a project, and let its running step log these items."""
    project = await stepway.create("talking")
    talk = Talk(stepway, project, await name_of(stepway, project))
    talk.say(*items)
    await stepway.until_step(project, TALK, "running")
    return talk


async def failed_build(stepway: Stepway) -> Talk:
    """A project whose step TALK has logged BUILD and failed."""
    talk = await talking(stepway, *BUILD)
    await talk.fail()
    return talk


@asynccontextmanager
async def fake_logs(page: Page) -> AsyncIterator[FakeLogs]:
    """Answer the page's requests for logs with logs that no step of a test can have."""
    async with FakeLogs().serving() as logs:

        async def here(route: Route) -> None:
            address = urlsplit(route.request.url)
            await route.continue_(url=f"{logs.url}{address.path}?{address.query}")

        await page.route("**/logs?*", here)
        yield logs


async def open_log(page: Page, project: str, name: str, status: str, at: str = "") -> Locator:
    """Open a step's log on the page of the API `at`; return the viewer."""
    await page.goto(f"{at}/projects/{project}")
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
