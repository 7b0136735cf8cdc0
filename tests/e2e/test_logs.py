"""The log viewer on the API, with a worker's step that says what the test wants."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import Locator, Page, expect

from stepway.api.auth.tokens import Tokens
from stepway.runtime.scopes import Scope
from tests.e2e.axe import violations
from tests.e2e.logs import (
    BUILD,
    BUILD_LINES,
    COLOURED,
    LONG,
    TALK,
    failed_build,
    lines_in_document,
    open_log,
    see_line,
    talking,
)
from tests.e2e.restarting import RestartingApi
from tests.e2e.screen import see_step, step, tab_to
from tests.e2e.test_sign_in import sign_in
from tests.support.servers import Stepway, eventually


async def see_all_lines(pane: Locator, count: int) -> None:
    """Wait until the viewer has so many lines; those in the document have no gap between them."""
    await see_line(pane, count)
    shown = await lines_in_document(pane)
    assert sorted(shown) == list(range(min(shown), count + 1))
    await pane.get_by_label("Search the log").fill("line")
    await expect(pane).to_contain_text(f"of {count} lines")
    await pane.get_by_label("Search the log").fill("")


def saying(first: int, times: int) -> list[dict[str, object]]:
    """Items for lines with the numbers from `first` on."""
    return [{"text": f"line {number}"} for number in range(first, first + times)]


async def test_a_failed_step_shows_its_last_lines_beside_the_error(
    page: Page, stepway: Stepway
) -> None:
    talk = await talking(stepway)
    await page.goto(f"/projects/{talk.project}")
    await see_step(page, TALK, "running")
    talk.say(*BUILD)
    await talk.fail()
    # Also the lines that the worker writes after the step has failed.
    last = step(page, TALK).locator(".log-tail .log-row")
    await expect(last).to_have_count(10)
    await expect(last.last).to_contain_text("error: build failed")
    await expect(last.last.get_by_role("img", name="Error")).to_be_visible()
    await step(page, TALK).get_by_role("button", name="Show the whole log").click()
    pane = step(page, TALK).locator(".log-pane")
    await see_line(pane, BUILD_LINES)
    await expect(pane).to_contain_text("End of the log: Failed")


async def test_a_running_step_is_followed_until_somebody_scrolls_up(
    page: Page, stepway: Stepway
) -> None:
    talk = await talking(stepway, *saying(1, 300))
    pane = await open_log(page, talk.project, TALK, "running")
    await see_line(pane, 300)
    await expect(pane).to_contain_text("Live")
    talk.say(*saying(301, 100))
    await see_line(pane, 400)
    await pane.get_by_role("log").hover()
    await page.mouse.wheel(0, -600)
    await expect(pane.locator('[data-line="400"]')).not_to_be_in_viewport()
    held = await lines_in_document(pane)
    talk.say(*saying(401, 50))
    more = pane.get_by_role("button", name="50 new lines")
    await expect(more).to_be_visible()
    assert await lines_in_document(pane) == held, "the lines in view stay"
    await more.click()
    await see_line(pane, 450)
    await expect(more).to_have_count(0)
    # A wheel down to the end follows again, too.
    await pane.get_by_role("log").hover()
    await page.mouse.wheel(0, -300)
    await expect(pane.get_by_role("button", name="Go to the end")).to_be_visible()
    await page.mouse.wheel(0, 3_000)
    talk.say(*saying(451, 50))
    await see_all_lines(pane, 500)
    talk.end()
    await expect(pane).to_contain_text("End of the log: Completed")


async def test_a_reload_in_the_middle_shows_the_log_again(page: Page, stepway: Stepway) -> None:
    talk = await talking(stepway, *saying(1, 300))
    pane = await open_log(page, talk.project, TALK, "running")
    await see_line(pane, 300)
    assert page.url.endswith(f"#log={TALK}")
    talk.say(*saying(301, 20))
    await page.reload()
    await see_line(pane, 320)
    talk.say(*saying(321, 80))
    await see_all_lines(pane, 400)
    await step(page, TALK).get_by_role("button", name="Hide log").click()
    assert "#" not in page.url
    talk.end()


async def test_a_lost_connection_is_resumed_without_gap_or_double(
    page: Page, stepway: Stepway
) -> None:
    talk = await talking(stepway, *saying(1, 300))
    async with RestartingApi(stepway.settings) as api:
        pane = await open_log(page, talk.project, TALK, "running", at=api.url)
        await see_line(pane, 300)
        await api.stop()
        await expect(pane).to_contain_text("Connection lost")
        talk.say(*saying(301, 200))
        await api.start()
        await see_all_lines(pane, 500)
        talk.end()
        await expect(pane).to_contain_text("End of the log: Completed")


async def test_search_filter_and_groups(page: Page, stepway: Stepway) -> None:
    talk = await failed_build(stepway)
    pane = await open_log(page, talk.project, TALK, "failed")
    await see_line(pane, BUILD_LINES)

    search = pane.get_by_label("Search the log")
    await pane.get_by_role("log").focus()
    await page.keyboard.press("ControlOrMeta+f")
    await expect(search).to_be_focused()
    await search.fill("FILE 19")
    # The first match in view is not the first of all.
    await expect(pane).to_contain_text("2 of 11 lines")
    await search.press("Enter")
    await expect(pane).to_contain_text("3 of 11 lines")
    await search.press("Shift+Enter")
    await pane.get_by_role("button", name="Previous match").click()
    await expect(pane).to_contain_text("1 of 11 lines")
    await see_line(pane, 37)
    await pane.get_by_role("button", name="Previous match").click()
    await expect(pane).to_contain_text("11 of 11 lines")
    await see_line(pane, 217)
    await pane.get_by_role("button", name="Next match").click()
    await expect(pane).to_contain_text("1 of 11 lines")
    await see_line(pane, 37)
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


async def test_colours_times_and_wrapped_lines(page: Page, stepway: Stepway) -> None:
    talk = await failed_build(stepway)
    await page.goto(f"/projects/{talk.project}#log={TALK}:1.1:L{COLOURED}")
    pane = step(page, TALK).locator(".log-pane")
    line = pane.locator(f'[data-line="{COLOURED}"]')
    await see_line(pane, COLOURED)
    assert await line.locator(".log-text").inner_text() == "✓ 112 tests passed, 1 failed"
    colours = await line.locator(".log-text span").evaluate_all(
        "spans => spans.map(span => getComputedStyle(span).color)"
    )
    assert len(set(colours)) == 3, "green, red and the text's own"

    times = pane.get_by_label("Time stamps")
    await times.select_option("local")
    await expect(line.locator(".log-time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    await times.select_option("relative")
    await expect(line.locator(".log-time")).to_have_text(re.compile(r"^\+0:\d\d\.\d{3}$"))

    long = pane.locator(f'[data-line="{LONG}"]')
    box = await long.bounding_box()
    assert box and box["height"] > 20
    await pane.get_by_role("button", name="Wrap lines").click()
    await expect(long).to_have_css("height", "20px")


async def test_a_link_leads_to_lines_and_is_written_by_a_choice(
    page: Page, stepway: Stepway
) -> None:
    talk = await talking(stepway, {"text": "#", "times": 20_000})
    talk.end()
    await stepway.until(talk.project, "active")
    await page.goto(f"/projects/{talk.project}#log={TALK}:1.1:L10010-L10012")
    pane = step(page, TALK).locator(".log-pane")
    await see_line(pane, 10_010)
    selected = pane.locator(".log-selected")
    await expect(selected).to_have_count(3)
    await pane.locator('[data-line="10015"] .log-number').click()
    await pane.locator('[data-line="10018"] .log-number').click(modifiers=["Shift"])
    await expect(selected).to_have_count(4)
    assert page.url.endswith(f"#log={TALK}:1.1:L10015-L10018")
    await pane.get_by_label("Go to line").fill("7-9")
    await pane.get_by_label("Go to line").press("Enter")
    await see_line(pane, 7)
    assert page.url.endswith(f"#log={TALK}:1.1:L7-L9")
    await page.reload()
    await see_line(pane, 7)
    await expect(selected).to_have_count(3)
    await pane.locator('[data-line="8"] .log-number').click()
    assert page.url.endswith(f"#log={TALK}:1.1:L8")
    await page.reload()
    await expect(selected).to_have_count(1)
    await see_line(pane, 8)


async def test_the_viewer_needs_no_mouse(page: Page, stepway: Stepway) -> None:
    talk = await talking(stepway, *saying(1, 300))
    await page.goto(f"/projects/{talk.project}")
    await see_step(page, TALK, "running")
    row = step(page, TALK)
    await tab_to(page, row.get_by_role("button").first)
    await page.keyboard.press("Enter")
    await tab_to(page, row.get_by_role("button", name="Show log"))
    await page.keyboard.press("Enter")
    await expect(row.get_by_role("region", name="Log of", exact=False).first).to_be_focused()
    pane = row.locator(".log-pane")
    await see_line(pane, 300)
    log = pane.get_by_role("log")
    await tab_to(page, log)
    await page.keyboard.press("Home")
    await see_line(pane, 1)
    await page.keyboard.press("End")
    await see_line(pane, 300)
    await page.keyboard.press("/")
    search = pane.get_by_label("Search the log")
    await expect(search).to_be_focused()
    await page.keyboard.type("line 150")
    await expect(pane).to_contain_text("1 of 1 line")
    await see_line(pane, 150)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(log).to_be_focused()
    await tab_to(page, row.get_by_role("button", name="Hide log"))
    await page.keyboard.press("Enter")
    await expect(row.get_by_role("button", name="Show log")).to_be_focused()
    talk.end()


async def test_copy_and_download(page: Page, stepway: Stepway) -> None:
    talk = await failed_build(stepway)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pane = await open_log(page, talk.project, TALK, "failed")
    await see_line(pane, BUILD_LINES)
    await pane.get_by_role("button", name="Copy all").click()
    await expect(pane.get_by_role("button", name="Copied")).to_be_visible()
    copied = (await page.evaluate("navigator.clipboard.readText()")).splitlines()
    assert len(copied) == BUILD_LINES
    assert copied[COLOURED - 1] == "✓ 112 tests passed, 1 failed"
    async with page.expect_download() as download:
        await pane.get_by_role("button", name="Download").click()
    assert (await download.value).suggested_filename == "talk-1.1.log"
    saved = await asyncio.to_thread(Path(await (await download.value).path()).read_text)
    assert saved.splitlines() == copied

    await pane.locator(f'[data-line="{BUILD_LINES}"] .log-number').click()
    await pane.get_by_role("button", name="Copy 1 line").click()
    await expect(pane.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == "error: build failed\n"


async def test_lines_that_were_left_out_are_a_gap(
    page: Page, stepway: Stepway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepway_tracking.logs.attempt_log.MOST_WAITING", 20_000)
    talk = await talking(stepway, *saying(1, 3))
    pane = await open_log(page, talk.project, TALK, "running")
    await see_line(pane, 3)
    # More at once than a worker holds.
    talk.say({"print": "x" * 100, "times": 5_000}, {"text": "the end"})
    await see_line(pane, 5_004)
    path = f"/api/projects/{talk.project}/initialization/steps/{TALK}/logs"
    items = map(json.loads, (await stepway.http.get(path)).text.splitlines())
    gap = next(item["gap"] for item in items if "gap" in item)
    assert 0 < gap["lines"] < 5_000
    go_to = pane.get_by_label("Go to line")
    await go_to.fill(str(gap["after"]))
    await go_to.press("Enter")
    await see_line(pane, gap["after"])
    left_out = re.compile(rf"^… \d{{3}} kB left out \({gap['lines']:,} lines\)$")
    await expect(pane.locator(".log-gap")).to_have_text(left_out)
    talk.end()


async def test_two_attempts_stand_side_by_side(page: Page, stepway: Stepway) -> None:
    talk = await talking(stepway, *saying(1, 30))
    await talk.fail()
    await talk.again()
    talk.say(*saying(1, 40))
    await talk.fail()
    await open_log(page, talk.project, TALK, "failed")
    view = step(page, TALK).locator(".log-frame")
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


async def test_a_log_without_lines_says_so(page: Page, stepway: Stepway) -> None:
    talk = await talking(stepway)
    pane = await open_log(page, talk.project, TALK, "running")
    await expect(pane).to_contain_text("No log lines yet.")
    assert await violations(page) == []
    talk.end()
    await expect(pane).to_contain_text("This attempt wrote no log.")
    assert await violations(page) == []


async def test_a_log_that_was_removed_by_its_age_says_so(
    page: Page, stepway: Stepway, pool: asyncpg.Pool
) -> None:
    talk = await failed_build(stepway)

    async def has_ended() -> bool:
        # The last lines may be written a moment after the outcome.
        ends = "SELECT bool_or(ends) FROM project_initialization_logs WHERE project_id = $1"
        outcome = (await stepway.attempts(talk.project, TALK))[0]["outcome"]
        return bool(outcome and await pool.fetchval(ends, talk.project))

    await eventually(has_ended)
    await pool.execute(
        "UPDATE project_initialization_attempts SET ended_at = ended_at - interval '40 days'"
        " WHERE project_id = $1",
        talk.project,
    )
    await pool.execute(
        "DELETE FROM project_initialization_logs WHERE project_id = $1", talk.project
    )
    pane = await open_log(page, talk.project, TALK, "failed")
    await expect(pane).to_contain_text("older than the retention period")
    await expect(step(page, TALK).locator(".log-tail")).to_have_count(0)
    assert await violations(page) == []


@pytest.mark.parametrize("access", ["control", "read"])
async def test_a_reader_sees_logs_only_where_the_deployment_says_so(
    page: Page, stepway: Stepway, pool: asyncpg.Pool, access: str
) -> None:
    talk = await failed_build(stepway)
    settings = stepway.settings.model_copy(update={"sign_in": ["tokens"], "log_access": access})
    async with RestartingApi(settings) as api:
        await page.goto(f"{api.url}/projects/{talk.project}")
        token = await Tokens(pool).create("logs", "local", [Scope.READ])
        async with page.expect_response(lambda it: it.url.endswith("/initialization") and it.ok):
            await sign_in(page, token)
        await see_step(page, TALK, "failed")
        await step(page, TALK).get_by_role("button", name="Show the whole log").click()
        pane = step(page, TALK).locator(".log-pane")
        if access == "read":
            await see_line(pane, BUILD_LINES)
        else:
            await expect(pane).to_contain_text("You do not have permission to see this log.")
            await expect(pane.get_by_role("button", name="Download")).to_be_disabled()
        assert await violations(page) == []


@pytest.mark.parametrize("width", [1200, 390])
async def test_axe_finds_nothing_in_the_viewer(page: Page, stepway: Stepway, width: int) -> None:
    talk = await failed_build(stepway)
    await page.set_viewport_size({"width": width, "height": 900})
    pane = await open_log(page, talk.project, TALK, "failed")
    await see_line(pane, BUILD_LINES)
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
    talk = await talking(stepway, *saying(1, 20))
    pane = await open_log(page, talk.project, TALK, "running")
    await expect(pane.get_by_role("log")).to_have_attribute("aria-live", "off")
    await see_line(pane, 20)
    spoken = pane.locator("[role=status].sr-only")
    talk.say(*saying(21, 5))
    await expect(spoken).to_have_text(re.compile(r"^\d new log lines?\. Last: line 25$"))
    talk.end()
