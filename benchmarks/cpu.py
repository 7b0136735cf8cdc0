"""CPU time of a bench's servers."""

from __future__ import annotations

from collections import Counter

import psutil

SERVERS = {"temporal": "temporal", "postgres": "postgres", "valkey-server": "valkey"}


def servers_cpu() -> Counter[str]:
    """CPU seconds so far of each server that this process has started, by name."""
    found: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        name = SERVERS.get(process.name())
        if name:
            used = process.cpu_times()
            found[name] += used.user + used.system
    return found
