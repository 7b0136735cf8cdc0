"""Debian's Chromium, as everything here starts it: Playwright's own is not downloaded."""

from __future__ import annotations

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
