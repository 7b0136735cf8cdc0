"""The API's page in a browser."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Page

from tests.e2e.axe import violations

SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_page_of_the_api_is_styled_accessible_and_asks_no_other_server(
    page: Page, scheme: Literal["light", "dark"]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": 400, "height": 800})
    await page.goto("/docs")
    origin = page.url.removesuffix("/docs")
    assert all(url.startswith(origin) for url in asked)
    assert f"{origin}/docs/page.css" in asked
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(248, 249, 250)", "dark": "rgb(12, 13, 16)"}[scheme]
    assert await page.evaluate("document.documentElement.scrollWidth") <= 400
    assert await violations(page) == []
