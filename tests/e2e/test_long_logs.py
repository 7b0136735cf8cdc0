"""The log viewer with what no step of a test can log: very long and fast logs, cut responses."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.logs import fake_logs, lines_in_document, open_log, see_line
from tests.support.fake_logs import FakeLog
from tests.support.servers import Stepway, eventually

MILLION = 1_000_000
MOST_ROWS = 150
"""Lines that are in the document at most."""


async def failed(stepway: Stepway) -> str:
    """A project whose step `docs` has failed and whose step `prepare` is completed."""
    project = await stepway.create("skippable")
    await stepway.until(project, "failed")
    return project


async def test_a_million_lines_are_a_small_document(page: Page, stepway: Stepway) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = FakeLog(MILLION, outcome="completed")
        pane = await open_log(page, project, "prepare", "completed")
        await see_line(pane, MILLION)
        log = pane.get_by_role("log")
        await log.focus()
        await page.keyboard.press("Home")
        await expect(pane.locator('[data-line="1"]')).to_be_in_viewport(timeout=120_000)
        await log.evaluate("box => box.scrollTop = box.scrollHeight / 2")
        await expect(pane.locator('[data-line^="5000"], [data-line^="4999"]').first).to_be_visible()
        assert len(await lines_in_document(pane)) < MOST_ROWS
        # Small steps move by lines, although the box is lower than the list.
        await log.hover()
        before = min(await lines_in_document(pane))
        await page.mouse.wheel(0, 400)

        async def has_moved_by_twenty_lines() -> bool:
            return min(await lines_in_document(pane)) == before + 20

        await eventually(has_moved_by_twenty_lines)
        await pane.get_by_label("Search the log").fill("[0123456]")
        await expect(pane).to_contain_text("1 of 1 line", timeout=120_000)
        await see_line(pane, 123_456)


async def test_a_fast_log_is_followed_until_somebody_scrolls_up(
    page: Page, stepway: Stepway
) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = FakeLog(100, rate=5000, most=40_000, outcome="completed")
        pane = await open_log(page, project, "prepare", "completed")

        async def newest() -> int:
            return max(await lines_in_document(pane), default=0)

        async def is_beyond(number: int) -> bool:
            return await newest() > number

        await eventually(lambda: is_beyond(5_000))
        log = pane.get_by_role("log")
        await log.hover()
        await page.mouse.wheel(0, -600)
        more = pane.get_by_role("button", name=re.compile("new lines"))
        await expect(more).to_be_visible()
        held = await newest()
        await expect(more).to_contain_text(re.compile(r"\d,\d{3} new lines"))
        assert await newest() == held, "the lines in view stay"
        await more.click()
        await eventually(lambda: is_beyond(held + 1_000))
        await see_line(pane, 40_000)
        await expect(pane).to_contain_text("End of the log: Completed")


async def test_a_lost_connection_leaves_no_gap_and_no_double(page: Page, stepway: Stepway) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = FakeLog(3_000, outcome="completed", lose_after=[700, 2_100])
        pane = await open_log(page, project, "prepare", "completed")
        await expect(pane).to_contain_text("Connection lost")
        await expect(pane).to_contain_text("End of the log", timeout=60_000)
        # The failed step beside it asks for its last ten lines.
        asked = [query for query in logs.asked if "tail=10&" not in query]
        follows = [query for query in asked if "follow=true" in query]
        assert [re.sub(r".*?(tail|after)", r"\1", query) for query in follows] == [
            "tail=5000&follow=true",
            "after=700&follow=true",
            "after=2100&follow=true",
        ]
        await pane.get_by_label("Search the log").fill("compiled")
        await expect(pane).to_contain_text("of 3,000 lines")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (FakeLog(0, status=404), "There is no log of this attempt."),
        (FakeLog(0, status=503), "The log cannot be read right now."),
    ],
    ids=["absent", "unavailable"],
)
async def test_a_refusal_is_explained(
    page: Page, stepway: Stepway, log: FakeLog, said: str
) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = log
        pane = await open_log(page, project, "prepare", "completed")
        await expect(pane).to_contain_text(said)
        assert await violations(page) == []


async def test_a_log_whose_worker_was_lost_says_that_its_end_is_missing(
    page: Page, stepway: Stepway
) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = FakeLog(30, outcome="lost", complete=False)
        pane = await open_log(page, project, "prepare", "completed")
        await see_line(pane, 30)
        await expect(pane).to_contain_text("The end of this log is missing")
        await expect(pane).to_contain_text("A newer attempt has begun.")
        await expect(pane).to_contain_text("End of the log: Worker lost")
        assert await violations(page) == []
