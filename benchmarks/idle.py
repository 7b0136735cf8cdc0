"""Waits until the machine is idle."""

from __future__ import annotations

import os
import time

import psutil

BUSY = 0.15
"""Maximum CPU usage of other processes, as a share of all cores."""
PATIENCE = 15.0


def wait_until_idle(quick: bool) -> list[str]:
    """Wait up to PATIENCE seconds until the cores are idle; returns a note if they are not."""
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
