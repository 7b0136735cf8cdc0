"""Waiting for a machine that does nothing else, and saying so where it never does."""

from __future__ import annotations

import os
import time

import psutil

BUSY = 0.15
"""The share of the processors that may be in use by others."""
PATIENCE = 15.0


def wait_until_quiet(quick: bool) -> list[str]:
    """Wait a while for the processors to be free; a note when they are not."""
    end = time.monotonic() + (1.0 if quick else PATIENCE)
    busy = 1.0
    while time.monotonic() < end:
        busy = psutil.cpu_percent(interval=0.5) / 100
        if busy < BUSY:
            return []
    return [
        f"The machine was busy with something else: {busy:.0%} of {os.cpu_count()} cores; "
        "expect a wide spread."
    ]
