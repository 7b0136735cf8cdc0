"""The page in a browser: first paint, many changes per second, many tabs."""

from __future__ import annotations

import asyncio
import itertools
import time

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
)

from benchmarks.child import Child, ChildFailed
from benchmarks.initializations import LiveProject, marked
from benchmarks.measure import Comparison, Target
from benchmarks.stage import Stage
from stepway.api.routes.pages import BUILT
from tests.support.chromium import ARGUMENTS, CHROMIUM
from tests.support.servers import eventually

ABOUT = (
    "The page in Chromium, on the same machine as its servers. First steps: from the start of the "
    "navigation until steps are visible, with an empty cache and a processor slowed down 4 times. "
    "Live steps: until the scripts have taken over. Longest task: the longest of the tasks over "
    "50 ms that the browser reports, while 200 steps receive 50 changes a second. Streams of ten "
    "tabs: open streams while ten tabs of one browser watch one project."
)

SLOWER = 4
STEPS, CHANGES_A_SECOND = 200, 50
TABS = 10
REPORTED = 50
"""Browsers report tasks from this length in ms; without a report, this is the longest."""

PATIENCE = 30.0
WITHIN = Target(1.0)

FIRST, LIVE = "first steps", "live steps"
NOTE_STEPS = f"""
for (const [moment, element] of [['{FIRST}', '[data-step]'], ['{LIVE}', '[data-step] button']]) {{
  new MutationObserver((_, observer) => {{
    if (!document.querySelector(element)) return
    requestAnimationFrame(() => console.info(moment, performance.now()))
    observer.disconnect()
  }}).observe(document, {{ childList: true, subtree: true }})
}}
"""

NOTE_TASKS = f"""
() => {{
  window.longest = {REPORTED}
  new PerformanceObserver((list) => {{
    window.longest = Math.max(window.longest, ...list.getEntries().map((task) => task.duration))
  }}).observe({{ type: 'longtask' }})
}}
"""


async def run(stage: Stage) -> list[Comparison]:
    """Compare each metric with its limit."""
    if not (BUILT / "index.html").is_file():
        raise ChildFailed("the page is not built: run scripts/web-build")
    api = await stage.api()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        steps = [await _steps(stage, browser, api) for _ in range(stage.sized(7, 1))]
        tasks = [await _longest_task(stage, browser, api) for _ in range(stage.sized(3, 1))]
        streams = await _streams_of_tabs(stage, browser, api)
        await browser.close()
    return [
        _within("first steps on a slow processor", "ms", [seen for seen, _ in steps], 1000.0),
        _within("live steps on a slow processor", "ms", [live for _, live in steps], 1000.0, None),
        _within("longest task, 200 steps, 50 changes a second", "ms", tasks, 100.0),
        _within("streams of ten tabs", "streams", [streams], 1.0),
    ]


def _within(
    name: str, unit: str, found: list[float], limit: float, target: Target | None = WITHIN
) -> Comparison:
    pairs = [(value, limit) for value in found]
    return Comparison(name, unit, "limit", pairs, target, limit=True)


async def _steps(stage: Stage, browser: Browser, api: Child) -> tuple[float, float]:
    """Milliseconds until the steps are visible, and until they are live."""
    project = await LiveProject.start(stage.pool, stage.redis)
    context = await _profile(browser, api)
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    await page.add_init_script(NOTE_STEPS)
    # The page reports by console messages: polling it would run the driver's scripts in the page.
    times: dict[str, float] = {}
    page.on("console", lambda message: _note(message, times))
    await page.goto(f"/projects/{project.project_id}", wait_until="commit")
    await eventually(lambda: _has(times, FIRST, LIVE), PATIENCE)
    await context.close()
    return times[FIRST], times[LIVE]


def _note(message: ConsoleMessage, times: dict[str, float]) -> None:
    moment, _, took = message.text.rpartition(" ")
    if moment in (FIRST, LIVE):
        times[moment] = float(took)


async def _has(times: dict[str, float], *moments: str) -> bool:
    return times.keys() >= set(moments)


async def _longest_task(stage: Stage, browser: Browser, api: Child) -> float:
    project = await LiveProject.start(stage.pool, stage.redis, STEPS, STEPS)
    context = await _profile(browser, api)
    page = await context.new_page()
    await page.goto(f"/projects/{project.project_id}")
    await page.locator("[data-step]").nth(STEPS - 1).wait_for(state="attached")
    await page.evaluate(NOTE_TASKS)
    await _keep_changing(project, stage.sized(10.0, 2.0))
    longest = float(await page.evaluate("() => window.longest"))
    await context.close()
    return longest


async def _keep_changing(project: LiveProject, seconds: float) -> None:
    began = time.monotonic()
    for number in itertools.count():
        if (due := number / CHANGES_A_SECOND) > seconds:
            return
        await asyncio.sleep(max(0.0, began + due - time.monotonic()))
        await project.change(number, number % STEPS, number // STEPS + 1)


async def _streams_of_tabs(stage: Stage, browser: Browser, api: Child) -> float:
    project = await LiveProject.start(stage.pool, stage.redis)
    context = await _profile(browser, api)
    tabs = [await context.new_page() for _ in range(TABS)]
    for tab in tabs:
        await tab.goto(f"/projects/{project.project_id}")
    await asyncio.gather(*(tab.locator("[data-step]").first.wait_for() for tab in tabs))
    await project.change(7)
    await asyncio.gather(*(_shows(tab, marked(7)) for tab in tabs))
    open_streams = await _open_streams(tabs[0])
    await context.close()
    return open_streams


async def _shows(tab: Page, text: str) -> None:
    await tab.get_by_text(text).first.wait_for(state="attached", timeout=PATIENCE * 1000)


async def _open_streams(tab: Page) -> float:
    metrics: str = await tab.evaluate("async () => (await fetch('/metrics')).text()")
    [value] = [
        line.split()[1] for line in metrics.splitlines() if line.startswith("stepway_streams_open ")
    ]
    return float(value)


async def _profile(browser: Browser, api: Child) -> BrowserContext:
    return await browser.new_context(base_url=f"http://127.0.0.1:{api.port}", locale="en-GB")
