"""The log viewer: long logs, fast logs, search, links, groups, attempts, lost connections."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.logs import COLOURS, fake_logs, lines_in_document, open_log, see_line
from tests.e2e.screen import see_project, step
from tests.support.fake_logs import FakeLog, lines_of
from tests.support.servers import Stepway, eventually

MILLION = 1_000_000
MOST_ROWS = 150
"""Lines that are in the document at most."""


async def failed(stepway: Stepway) -> str:
    """A project whose step `docs` has failed and whose step `prepare` is completed."""
    project = await stepway.create("skippable")
    await stepway.until(project, "failed")
    return project


async def test_a_failed_step_shows_its_last_lines_beside_the_error(
    page: Page, stepway: Stepway
) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["docs", 1, 1] = FakeLog(len(COLOURS), lines_of(*COLOURS))
        await page.goto(f"/projects/{project}")
        last = step(page, "docs").locator(".log-tail .log-row")
        await expect(last).to_have_count(10)
        await expect(last.last).to_contain_text("error: build failed")
        await expect(last.last.get_by_role("img", name="Error")).to_be_visible()
        await step(page, "docs").get_by_role("button", name="Show the whole log").click()
        pane = step(page, "docs").locator(".log-pane")
        await see_line(pane, len(COLOURS))
        await expect(pane).to_contain_text("End of the log: Failed")


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
        await expect(more).to_contain_text(re.compile(r"\d{4,}"))
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
        follows = [query for query in logs.asked if "follow=true" in query]
        assert [re.sub(r".*?(tail|after)", r"\1", query) for query in follows] == [
            "tail=5000&follow=true",
            "after=700&follow=true",
            "after=2100&follow=true",
        ]
        await pane.get_by_label("Search the log").fill("compiled")
        await expect(pane).to_contain_text("of 3000 lines")


async def test_search_filter_and_groups(page: Page, stepway: Stepway) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["docs", 1, 1] = FakeLog(len(COLOURS), lines_of(*COLOURS))
        pane = await open_log(page, project, "docs", "failed")
        await see_line(pane, len(COLOURS))

        search = pane.get_by_label("Search the log")
        await pane.get_by_role("log").focus()
        await page.keyboard.press("ControlOrMeta+f")
        await expect(search).to_be_focused()
        await search.fill("FILE 19")
        await expect(pane).to_contain_text(re.compile(r"\d+ of 11 lines"))
        await pane.get_by_role("button", name="Match case").click()
        await expect(pane).to_contain_text("No matches")
        await pane.get_by_role("button", name="Regular expression").click()
        await search.fill(r"file 19\d$")
        await expect(pane).to_contain_text(re.compile(r"\d+ of 10 lines"))
        await search.fill("file (")
        await expect(pane).to_contain_text("Invalid regular expression")
        await expect(search).to_have_attribute("aria-invalid", "true")

        await pane.get_by_role("button", name="Close all groups").click()
        await pane.get_by_role("button", name="Regular expression").click()
        await search.fill("290 packages")
        await see_line(pane, 5)
        await expect(pane.locator('[data-line="5"] mark')).to_have_text("290 packages")
        await search.press("Escape")
        await pane.get_by_role("button", name="Prepare the workspace").click()
        await expect(pane.locator('[data-line="5"]')).to_have_count(0)

        await pane.get_by_text("Filter", exact=True).click()
        for level in ("Debug", "Info", "Warning"):
            await pane.get_by_label(level, exact=True).uncheck()
        await page.keyboard.press("Escape")
        await expect(pane.locator("[data-line]")).to_have_count(1)
        await expect(pane.locator("[data-line]")).to_contain_text("build failed")


async def test_a_link_leads_to_lines_and_is_written_by_a_choice(
    page: Page, stepway: Stepway
) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = FakeLog(30_000, outcome="completed")
        await page.goto(f"/projects/{project}#log=prepare:1.1:L20010-L20012")
        pane = step(page, "prepare").locator(".log-pane")
        await see_line(pane, 20_010)
        selected = pane.locator(".log-selected")
        await expect(selected).to_have_count(3)
        await pane.locator('[data-line="20015"] .log-number').click()
        await pane.locator('[data-line="20018"] .log-number').click(modifiers=["Shift"])
        await expect(selected).to_have_count(4)
        assert page.url.endswith("#log=prepare:1.1:L20015-L20018")
        await pane.get_by_label("Go to line").fill("7-9")
        await pane.get_by_label("Go to line").press("Enter")
        await see_line(pane, 7)
        assert page.url.endswith("#log=prepare:1.1:L7-L9")
        await page.reload()
        await see_line(pane, 7)
        await expect(selected).to_have_count(3)


async def test_copy_and_download(page: Page, stepway: Stepway) -> None:
    project = await failed(stepway)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    async with fake_logs(page) as logs:
        logs.logs["docs", 1, 1] = FakeLog(len(COLOURS), lines_of(*COLOURS))
        pane = await open_log(page, project, "docs", "failed")
        await see_line(pane, len(COLOURS))
        await pane.get_by_role("button", name="Copy all").click()
        await expect(pane.get_by_role("button", name="Copied")).to_be_visible()
        copied = (await page.evaluate("navigator.clipboard.readText()")).splitlines()
        assert len(copied) == len(COLOURS)
        assert copied[8] == "✓ 112 tests passed, 1 failed"
        assert copied[17] == "… 83 MB left out (1 line)"
        async with page.expect_download() as download:
            await pane.get_by_role("button", name="Download").click()
        assert (await download.value).suggested_filename == "docs-1.1.log"


async def test_two_attempts_stand_side_by_side(page: Page, stepway: Stepway) -> None:
    project = await failed(stepway)
    await stepway.control(project, "steps/docs/retry")

    async def has_failed_again() -> bool:
        found = (await stepway.steps(project))["docs"]
        return bool(found["round"] == 2 and found["status"] == "failed")

    await eventually(has_failed_again)
    async with fake_logs(page) as logs:
        logs.logs["docs", 1, 1] = FakeLog(30, outcome="failed")
        logs.logs["docs", 2, 1] = FakeLog(40, outcome="failed")
        await open_log(page, project, "docs", "failed")
        view = step(page, "docs").locator(".log-frame")
        await view.get_by_role("button", name="Compare").click()
        first, second = view.locator(".log-pane").nth(0), view.locator(".log-pane").nth(1)
        await see_line(first, 40)
        await see_line(second, 30)
        await view.get_by_role("button", name="Full window").click()
        boxes = [await pane.bounding_box() for pane in (first, second)]
        assert boxes[0] and boxes[1] and boxes[0]["y"] == boxes[1]["y"]
        await page.set_viewport_size({"width": 500, "height": 900})
        boxes = [await pane.bounding_box() for pane in (first, second)]
        assert boxes[0] and boxes[1] and boxes[0]["x"] == boxes[1]["x"]
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (FakeLog(0), "This attempt wrote no log."),
        (FakeLog(0, outcome=None), "No log lines yet."),
        (FakeLog(0, status=404), "There is no log of this attempt."),
        (FakeLog(0, status=403), "You do not have permission to see this log."),
        (FakeLog(0, status=410), "older than the retention period"),
        (FakeLog(0, status=503), "The log cannot be read right now."),
    ],
    ids=["empty", "none-yet", "absent", "forbidden", "gone", "unavailable"],
)
async def test_no_lines_are_explained(
    page: Page, stepway: Stepway, log: FakeLog, said: str
) -> None:
    project = await failed(stepway)
    async with fake_logs(page) as logs:
        logs.logs["prepare", 1, 1] = log
        pane = await open_log(page, project, "prepare", "completed")
        await expect(pane).to_contain_text(said)
        assert await violations(page) == []


@pytest.mark.parametrize("width", [1200, 390])
async def test_axe_finds_nothing_in_the_viewer(page: Page, stepway: Stepway, width: int) -> None:
    project = await failed(stepway)
    await page.set_viewport_size({"width": width, "height": 900})
    async with fake_logs(page) as logs:
        logs.logs["docs", 1, 1] = FakeLog(len(COLOURS), lines_of(*COLOURS))
        pane = await open_log(page, project, "docs", "failed")
        await see_line(pane, len(COLOURS))
        await pane.get_by_role("log").focus()
        await page.keyboard.press("Home")
        await pane.get_by_label("Search the log").fill("packages")
        await expect(pane).to_contain_text("1 of 2 lines")
        await pane.get_by_label("Time stamps").select_option("relative")
        found: dict[str, list[str]] = {}
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            found[scheme] = await violations(page)
            if folder := os.environ.get("STEPWAY_PICTURES"):
                await page.screenshot(path=Path(folder) / f"log-{width}-{scheme}.png")
        assert found == {"light": [], "dark": []}


async def test_the_log_is_spoken_only_while_it_is_followed(page: Page, stepway: Stepway) -> None:
    project = await stepway.create("journey")
    async with fake_logs(page) as logs:
        logs.logs["compile", 1, 1] = FakeLog(20, rate=20, outcome=None)
        pane = await open_log(page, project, "compile", "running")
        await expect(pane.get_by_role("log")).to_have_attribute("aria-live", "off")
        await expect(pane.locator("[role=status].sr-only")).to_contain_text("new log lines. Last:")
    await stepway.control(project, "cancel")
    await see_project(page, "cancelled")
