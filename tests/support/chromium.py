"""Debian's Chromium, which the tests use instead of a download by Playwright."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def require_chromium() -> None:
    """Raise AssertionError if Chromium is not installed."""
    assert Path(CHROMIUM).exists(), (
        f"{CHROMIUM} is not installed: run scripts/test browser, or apt-get install chromium"
    )
