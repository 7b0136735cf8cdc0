"""Debian's Chromium, as everything here starts it: Playwright's own is not downloaded."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def require_chromium() -> None:
    """Raise AssertionError, which says what to do, where Chromium is not installed."""
    assert Path(CHROMIUM).exists(), (
        f"{CHROMIUM} is not installed: run scripts/test browser, or apt-get install chromium"
    )
