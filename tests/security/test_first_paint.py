"""The page of an initialization contains its steps only for people who may read them."""

from __future__ import annotations

import pytest

from stepway.api.routes.first_paint import is_built
from stepway.api.routes.pages import BUILT
from tests.security.conftest import Secured

STEP = 'data-step="doomed"'


@pytest.fixture(autouse=True)
def built() -> None:
    assert is_built(BUILT), "the page is not built: run scripts/web-build"


@pytest.mark.parametrize("who", ["controller", "reader"])
async def test_reader_gets_the_steps_with_the_page(secured: Secured, who: str) -> None:
    async with secured.client(who) as http:
        answer = await http.get(f"/projects/{secured.project}")
    assert STEP in answer.text
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("who", ["", "wrong", "expired", "other", "creator", "neighbour"])
async def test_others_get_the_empty_page(secured: Secured, who: str) -> None:
    async with secured.client(who) as http:
        answer = await http.get(f"/projects/{secured.project}")
        unknown = await http.get("/projects/0193a5c2-0000-7000-8000-000000000000")
    assert answer.status_code == 200
    assert STEP not in answer.text
    assert answer.text == unknown.text == (BUILT / "index.html").read_text()
    assert answer.headers["cache-control"] == unknown.headers["cache-control"] == "no-cache"
