"""Reads and operates a page as a person does."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, Page, expect

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

# The elements that change only with events: no clocks, no versions.
_PICTURE = """panel => {
  const named = row => {
    const text = row.querySelector('button, span').cloneNode(true)
    if (row.dataset.status === 'running')
      text.querySelectorAll('.tabular-nums').forEach(clock => clock.remove())
    return text.textContent.trim().split(/\\s{2,}/)[0]
  }
  return {
    status: panel.dataset.status,
    headline: panel.querySelector('h2').textContent,
    steps: [...panel.querySelectorAll('[data-step]')].map(row => ({
      step: row.dataset.step,
      status: row.dataset.status,
      name: named(row),
    })),
    whole: panel.querySelector('[role=progressbar]').getAttribute('aria-valuenow'),
    errors: [...panel.querySelectorAll('pre')].map(text => text.textContent),
  }
}"""


def panel(page: Page) -> Locator:
    """The locator of the whole initialization."""
    return page.locator("[data-version]")


def step(page: Page, name: str) -> Locator:
    """A step's row."""
    return page.locator(f'[data-step="{name}"]')


async def see_project(page: Page, status: str) -> None:
    """Wait until the project is shown with this status."""
    await expect(panel(page)).to_have_attribute("data-status", status)


async def see_step(page: Page, name: str, status: str) -> None:
    """Wait until the step is shown with this status."""
    await expect(step(page, name)).to_have_attribute("data-status", status)


async def see_failure(page: Page, kind: str) -> None:
    """Wait for a state such as loading, error or empty."""
    await expect(page.locator(f'[data-failure="{kind}"]')).to_be_visible()


async def picture(page: Page) -> dict[str, Any]:
    """Return the visible state, without clocks."""
    return await panel(page).evaluate(_PICTURE)  # type: ignore[no-any-return]


async def answer(page: Page, button: str) -> None:
    """Press a button of the open dialog; wait until the dialog has closed."""
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name=button, exact=True).click()
    await expect(dialog).to_have_count(0)


async def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the element has the focus. Raises AssertionError if that never happens."""
    await expect(wanted.first).to_be_visible()
    for _ in range(80):
        if await wanted.evaluate_all("found => found.includes(document.activeElement)"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {wanted}")
