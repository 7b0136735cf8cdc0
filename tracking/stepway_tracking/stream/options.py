"""How the hub reads; each guard can be turned off, so that a test can show what it guards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubOptions:
    """Times are seconds. `jitter` is the share by which a repeated interval varies."""

    position_check: bool = True
    subscribe_before_read: bool = True

    check_interval: float = 2.0
    sweep_interval: float = 1.0
    jitter: float = 0.2
    read_timeout: float = 10.0

    ack_timeout: float = 1.0
    """How long a new stream waits for Redis to confirm its subscription."""
    silence: float = 5.0
    """Redis is pinged after this silence, and given up after as much again."""
    reconnect_delay: float = 0.1
    reconnect_delay_max: float = 2.0

    gap_delay: float = 0.05
    """How long a version that came too early waits for those before it."""
    snapshot_age: float = 0.1
    """Snapshots of one project are read at most this often."""

    queue_size: int = 512
    """Events kept for each project: how far a client may lag, and how far back it may resume."""
    queue_bytes: int = 4 * 1024 * 1024
    max_streams: int = 10_000
    write_timeout: float = 10.0
    keepalive: float = 15.0
    rotate_after: float = 300.0
