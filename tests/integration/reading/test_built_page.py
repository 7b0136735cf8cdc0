"""The built page as the API serves it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest

from stepway.api.routes import pages
from stepway.api.routes.first_paint import FOLDER, is_built
from tests.integration.reading.conftest import Serve

BUILT = pages.BUILT


@pytest.fixture(autouse=True)
def built() -> None:
    assert is_built(BUILT), "the page is not built: run scripts/web-build"


async def test_page_is_served_with_a_policy_that_allows_no_inline_script(
    http: httpx.AsyncClient,
) -> None:
    for path in ("/", "/projects/some/deep/link"):
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", answer.text)
        for asset in re.findall(r'(?:src|href)="(/[^"]+)"', answer.text):
            assert (await http.get(asset)).status_code == 200, asset


async def test_built_page_is_kept_for_long_and_its_entry_is_not(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    shutil.copytree(BUILT / FOLDER, tmp_path / "dist" / FOLDER)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html><title>built</title>")
    (tmp_path / "dist" / "favicon.svg").write_text("<svg/>")
    (tmp_path / "dist" / "assets" / "index-3f2a.js").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(pages, "BUILT", tmp_path / "dist")
    async with serve() as site, site.client() as client:
        asset = await client.get("/assets/index-3f2a.js")
        assert "immutable" in asset.headers["cache-control"]
        entry = await client.get("/projects/1")
        assert "built" in entry.text
        assert entry.headers["cache-control"] == "no-cache"
        assert (await client.get("/favicon.svg")).text == "<svg/>"
        missing = await client.get("/assets/index-0000.js")
        assert missing.status_code == 404
        assert "immutable" not in missing.headers.get("cache-control", "")
        for outside in ("/%2e%2e/secret", "/..%2fsecret", "//secret", "/a%00b"):
            assert "secret" not in (await client.get(outside)).text
