"""What the servers of a bench have cost."""

from __future__ import annotations

from collections import Counter

import psutil

SERVERS = {"temporal": "temporal", "postgres": "postgres", "valkey-server": "valkey"}


def servers_cpu() -> Counter[str]:
    """CPU seconds of each server that this process has started, by its name, up to now."""
    found: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        name = SERVERS.get(process.name())
        if name:
            used = process.cpu_times()
            found[name] += used.user + used.system
    return found
