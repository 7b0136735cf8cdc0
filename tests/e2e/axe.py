"""Runs axe on a page: the rules of WCAG 2.2 A and AA, and best practices."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from playwright.async_api import Page

_SOURCE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

_RUN = """async () => (await axe.run()).violations.map(
  ({ id, help, nodes }) =>
    `${id}: ${help} ${nodes.map(node => node.html.slice(0, 200) + ' ' + node.failureSummary)}`
)"""


@cache
def _source() -> str:
    assert _SOURCE.is_file(), "axe is not installed: run npm --prefix web ci"
    return _SOURCE.read_text()


async def violations(page: Page) -> list[str]:
    """Return the violated rules with their elements."""
    await page.evaluate(_source())
    return await page.evaluate(_RUN)  # type: ignore[no-any-return]
