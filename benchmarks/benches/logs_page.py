"""The log viewer in a browser: a fast log, and a scroll over a million lines."""

from __future__ import annotations

import asyncio
from multiprocessing import get_context
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from playwright.async_api import Browser, Locator, Page, Route, async_playwright

from benchmarks.child import Child, ChildFailed
from benchmarks.initializations import LiveProject
from benchmarks.measure import Comparison, Target
from benchmarks.stage import Stage
from stepway.api.routes.pages import BUILT
from tests.support.chromium import ARGUMENTS, CHROMIUM
from tests.support.fake_logs import FakeLog, FakeLogs

ABOUT = (
    "The log viewer in Chromium, with made-up logs of a server in a process of its own. Longest "
    "task: the longest of the tasks over 50 ms that the browser reports. Frames: a million lines, "
    "while the scroll bar is moved from the start to the end."
)

RATE = 5_000
MILLION = 1_000_000
FRAMES = 300
REPORTED = 50
"""Browsers report tasks from this length in ms; without a report, this is the longest."""

PATIENCE_MS = 120_000
STEP = "step_0"
WITHIN = Target(1.0)

NOTE_TASKS = f"""() => {{
  window.longest = {REPORTED}
  new PerformanceObserver((list) => {{
    window.longest = Math.max(window.longest, ...list.getEntries().map((task) => task.duration))
  }}).observe({{ type: 'longtask' }})
}}"""

NEWEST = """() => Math.max(
  ...[...document.querySelectorAll('[data-line]')].map((row) => Number(row.dataset.line))
)"""
"""The number of the newest line that is shown."""

SCROLL = """async (box, frames) => {
  const began = performance.now()
  for (let frame = 0; frame < frames; frame++) {
    box.scrollTop = (frame / frames) * box.scrollHeight
    await new Promise((resolve) => requestAnimationFrame(resolve))
  }
  return (performance.now() - began) / frames
}"""


async def run(stage: Stage) -> list[Comparison]:
    """Compare each metric with its limit."""
    if not (BUILT / "index.html").is_file():
        raise ChildFailed("the page is not built: run scripts/web-build")
    api = await stage.api()
    million = stage.sized(MILLION, 20_000)
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs, million), daemon=True)
    process.start()
    try:
        url = await asyncio.to_thread(ours.recv)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            times = range(stage.sized(3, 1))
            fast = [await _fast(stage, browser, api, url) for _ in times]
            long = [await _long(stage, browser, api, url) for _ in times]
            await browser.close()
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
    tasks, frames = [task for task, _ in long], [frame for _, frame in long]
    return [
        _within(f"longest task, {RATE:,} lines a second", "ms", fast, 100.0),
        _within("longest task, scroll over 1,000,000 lines", "ms", tasks, 100.0),
        _within("frame, scroll over 1,000,000 lines", "ms", frames, 1000 / 30),
    ]


def _within(name: str, unit: str, found: list[float], limit: float) -> Comparison:
    return Comparison(name, unit, "limit", [(value, limit) for value in found], WITHIN, limit=True)


def _serve(parent: Connection, million: int) -> None:
    """Serve both logs, as two attempts, until the process ends."""

    async def serve() -> None:
        logs = FakeLogs()
        logs.logs[STEP, 1, 1] = FakeLog(100, rate=RATE, outcome=None)
        logs.logs[STEP, 1, 2] = FakeLog(million, outcome="completed")
        async with logs.serving():
            parent.send(logs.url)
            await asyncio.Event().wait()

    asyncio.run(serve())


async def _open(stage: Stage, browser: Browser, api: Child, url: str, attempt: int) -> Page:
    project = await LiveProject.start(stage.pool, stage.redis, 3, 3)
    context = await browser.new_context(
        base_url=f"http://127.0.0.1:{api.port}", locale="en-GB", viewport=None
    )
    page = await context.new_page()

    async def here(route: Route) -> None:
        address = urlsplit(route.request.url)
        await route.continue_(url=f"{url}{address.path}?{address.query}")

    await page.route("**/logs?*", here)
    await page.goto(f"/projects/{project.project_id}#log={STEP}:1.{attempt}")
    await page.locator(".log-row").first.wait_for(timeout=PATIENCE_MS)
    return page


async def _fast(stage: Stage, browser: Browser, api: Child, url: str) -> float:
    page = await _open(stage, browser, api, url, 1)
    await page.evaluate(NOTE_TASKS)
    began = int(await page.evaluate(NEWEST))
    seconds = stage.sized(10.0, 2.0)
    await asyncio.sleep(seconds)
    longest = float(await page.evaluate("window.longest"))
    shown = int(await page.evaluate(NEWEST)) - began
    if shown < RATE * seconds * 0.8:
        raise ChildFailed(f"the viewer lags behind: {shown:,} lines in {seconds:g} s")
    await page.context.close()
    return longest


async def _to_the_start(page: Page) -> None:
    """Show line 1. While earlier lines are still loaded, the start moves away."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not await page.locator('[data-line="1"]').is_visible():
            await page.keyboard.press("Home")
            await asyncio.sleep(0.2)


async def _long(stage: Stage, browser: Browser, api: Child, url: str) -> tuple[float, float]:
    page = await _open(stage, browser, api, url, 2)
    box: Locator = page.locator(".log-scroller")
    await box.focus()
    await _to_the_start(page)
    await page.evaluate(NOTE_TASKS)
    frame = float(await box.evaluate(SCROLL, FRAMES))
    longest = float(await page.evaluate("window.longest"))
    await page.context.close()
    return longest, frame
