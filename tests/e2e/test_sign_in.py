"""The page of an API with sign-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import asyncpg
import pytest
from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from stepway.api.auth.tokens import Tokens
from stepway.runtime.scopes import Scope
from tests.e2e.restarting import RestartingApi
from tests.e2e.screen import see_failure, see_project, see_step
from tests.support.servers import Stepway

MAY_ALL = [Scope.READ, Scope.CREATE, Scope.CONTROL]


@pytest.fixture(scope="module")
async def tokens(pool: asyncpg.Pool) -> Tokens:
    """Creates and revokes tokens."""
    return Tokens(pool)


@pytest.fixture
async def guarded(stepway: Stepway) -> AsyncIterator[str]:
    """The URL of an API with sign-in on the same servers."""
    settings = stepway.settings.model_copy(update={"sign_in": ["tokens"]})
    api = RestartingApi(settings)
    yield await api.start()
    await api.stop()


async def sign_in(page: Page, token: str) -> None:
    """Sign in with a token."""
    await page.get_by_label("Access token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_token_opens_the_page_and_signing_out_closes_it(
    page: Page, guarded: str, tokens: Tokens
) -> None:
    await page.goto(guarded)
    await sign_in(page, "stepway_" + "x" * 43)
    await expect(page.get_by_role("alert")).to_contain_text("invalid or has expired")
    # Tests that ran before may have made projects of others with that name.
    ada = f"ada-{uuid4().hex[:8]}"
    await sign_in(page, await tokens.create("page", ada, MAY_ALL))
    await expect(page.get_by_text("No projects yet")).to_be_visible()
    await expect(page.get_by_title(f"Signed in as {ada}")).to_be_visible()

    await page.goto(f"{guarded}/new?blueprint=skippable")
    await page.get_by_label("Name", exact=True).fill("of-ada")
    await page.get_by_role("button", name="Create project").click()
    await see_project(page, "failed")

    await page.reload()
    await see_project(page, "failed")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Access token")).to_be_visible()
    await expect(page.get_by_text("of-ada")).to_have_count(0)


async def test_another_persons_project_is_not_found(
    page: Page, guarded: str, tokens: Tokens, stepway: Stepway
) -> None:
    project = await stepway.create("skippable")
    await page.goto(f"{guarded}/projects/{project}")
    await sign_in(page, await tokens.create("page", "bob", MAY_ALL))
    await see_failure(page, "not_found")


async def test_reader_sees_no_stack_and_no_controls(
    page: Page, guarded: str, tokens: Tokens, stepway: Stepway
) -> None:
    project = await stepway.create("skippable")
    await stepway.until(project, "failed")
    await page.goto(f"{guarded}/projects/{project}")
    token = await tokens.create("page", "local", [Scope.READ])
    async with page.expect_response(lambda it: it.url.endswith("/initialization") and it.ok):
        await sign_in(page, token)
    await see_step(page, "docs", "failed")
    await expect(page.get_by_role("button", name="Technical details")).to_have_count(0)
    for name in ("Retry", "Skip", "Cancel setup"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)


async def test_a_session_that_has_ended_asks_for_a_new_one_and_goes_on(
    page: Page, guarded: str, tokens: Tokens, stepway: Stepway
) -> None:
    project = await stepway.create("skippable")
    await stepway.until(project, "failed")
    await page.goto(f"{guarded}/projects/{project}")
    await sign_in(page, await tokens.create("ends", "local", MAY_ALL))
    await see_step(page, "docs", "failed")
    await tokens.revoke("ends")
    # A request of the page itself may have been refused first; then the button is gone.
    with suppress(PlaywrightTimeout):
        await page.get_by_role("button", name="Compare attempts").click(timeout=5_000)

    await sign_in(page, await tokens.create("page", "local", MAY_ALL))
    await see_step(page, "docs", "failed")
