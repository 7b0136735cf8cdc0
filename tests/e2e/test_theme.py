"""The component's colours on another site's page: light, dark, and customized as documented."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, Route

from tests.e2e.axe import violations

ROOT = Path(__file__).parents[2]
DIST = ROOT / "web" / "dist"
GUIDE = ROOT / "docs" / "how-to" / "embed-the-component.md"
RECORDING = ROOT / "web" / "src" / "fixtures" / "waiting-for-next-attempt.ndjson"
PORTAL = "http://portal.test/"

Scheme = Literal["light", "dark"]
SCHEMES: list[Scheme] = ["light", "dark"]
INK = {"light": "rgb(22, 24, 29)", "dark": "rgb(236, 238, 242)"}
SURFACE = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 22, 26)"}
ACCENT = {"light": "rgb(43, 89, 217)", "dark": "rgb(134, 168, 255)"}
OF_THE_DOCS = {"light": "rgb(10, 122, 92)", "dark": "rgb(95, 211, 174)"}

PAGE = """<!doctype html><html lang="en"><head><title>Portal</title><meta charset="utf-8">
<style>html {{ color: rebeccapurple }} {css}</style>
<script type="module" src="/stepway-progress.js"></script></head>
<body><main><h1>Portal</h1><stepway-progress lang="en" {attributes}></stepway-progress></main>
</body></html>"""
PLAY = """events => {
  const element = document.querySelector('stepway-progress')
  element.source = {
    open(observer) {
      observer.connection({ state: 'live' })
      events.forEach(event => observer.event(event))
      return { refresh() {}, close() {} }
    },
  }
}"""
COLOURS = """() => {
  const root = document.querySelector('stepway-progress').shadowRoot
  const style = selector => getComputedStyle(root.querySelector(selector))
  return {
    ink: style('h2').color,
    surface: style('header.card').backgroundColor,
    accent: style('[role=progressbar] > div').backgroundColor,
  }
}"""


@pytest.fixture(params=SCHEMES)
def system(request: pytest.FixtureRequest) -> Scheme:
    """The colour scheme of the system."""
    scheme: Scheme = request.param
    return scheme


@pytest.fixture
async def portal(browser: Browser, system: Scheme) -> AsyncIterator[Page]:
    """A page of another site."""
    context = await browser.new_context(color_scheme=system, reduced_motion="reduce")
    yield await context.new_page()
    await context.close()


async def show(page: Page, attributes: str, css: str = "") -> dict[str, str]:
    """Open a page with the element; return its colours."""

    async def answer(route: Route) -> None:
        if route.request.url.endswith(".js"):
            await route.fulfill(path=DIST / "stepway-progress.js")
        else:
            body = PAGE.format(attributes=attributes, css=css)
            await route.fulfill(content_type="text/html", body=body)

    await page.route(f"{PORTAL}**", answer)
    await page.goto(PORTAL)
    events = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    await page.evaluate(PLAY, events)
    await page.wait_for_selector('[data-step="deployment"][data-status="running"]')
    colours: dict[str, str] = await page.evaluate(COLOURS)
    return colours


def css_of_the_docs() -> str:
    """The style sheet that docs/how-to/embed-the-component.md shows."""
    found = re.search(r"```css\n(.*?)```", GUIDE.read_text(), re.S)
    assert found, f"{GUIDE} shows no style sheet"
    return found.group(1)


@pytest.mark.parametrize("theme", [None, "auto", "light", "dark"])
@pytest.mark.parametrize("documented", [False, True])
async def test_colours_are_of_one_scheme_and_readable(
    portal: Page, system: Scheme, theme: str | None, documented: bool
) -> None:
    attributes = f'theme="{theme}"' if theme else ""
    shown = await show(portal, attributes, css_of_the_docs() if documented else "")
    scheme = theme if theme in SCHEMES else system
    accent = OF_THE_DOCS if documented else ACCENT
    assert shown == {"ink": INK[scheme], "surface": SURFACE[scheme], "accent": accent[scheme]}
    assert await violations(portal) == []


async def test_one_colour_for_both_is_taken_in_both(portal: Page) -> None:
    shown = await show(portal, 'style="--sw-accent: #123456"')
    assert shown["accent"] == "rgb(18, 52, 86)"


async def test_theme_changes_what_is_shown(portal: Page) -> None:
    await show(portal, 'theme="light"')
    await portal.evaluate("document.querySelector('stepway-progress').theme = 'dark'")
    await portal.wait_for_selector(".stepway[data-theme=dark]")
    assert (await portal.evaluate(COLOURS))["ink"] == INK["dark"]


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
@pytest.mark.parametrize("changed", [":root", ".stepway"])
async def test_styles_of_the_vue_package_do_the_same(
    portal: Page, system: Scheme, theme: str, changed: str
) -> None:
    await portal.set_content(
        f"<style>{(DIST / 'lib' / 'style.css').read_text()} {changed} {{ --sw-accent: green }}"
        f"</style><div class='stepway' data-theme='{theme}'><p class='card'>text"
        "<b class='text-accent'>text</b></p></div>"
    )
    colours = await portal.evaluate(
        """() => ['p', 'b'].map(name => getComputedStyle(document.querySelector(name)))
          .flatMap(({ color, backgroundColor }) => [color, backgroundColor])"""
    )
    scheme = system if theme == "auto" else theme
    assert colours[:3] == [INK[scheme], SURFACE[scheme], "rgb(0, 128, 0)"]
