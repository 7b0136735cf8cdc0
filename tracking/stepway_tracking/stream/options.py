"""Options of the hub. Tests turn a safeguard off to show which failure it prevents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubOptions:
    """Times are in seconds. `jitter` is the fraction by which repeated intervals vary."""

    position_check: bool = True
    subscribe_before_read: bool = True

    check_interval: float = 2.0
    sweep_interval: float = 1.0
    jitter: float = 0.2
    read_timeout: float = 10.0

    ack_timeout: float = 1.0
    """Time that a new stream waits for Redis to confirm its subscription."""
    silence: float = 5.0
    """Time without a message after which Redis is pinged; after twice this time, reconnect."""
    reconnect_delay: float = 0.1
    reconnect_delay_max: float = 2.0

    gap_delay: float = 0.05
    """Time after which the versions before an early event are read from Postgres."""
    snapshot_age: float = 0.1
    """Minimum time between two snapshot reads of one project."""

    queue_size: int = 512
    """Events kept for each project; they limit how far a client may lag or resume."""
    queue_bytes: int = 4 * 1024 * 1024
    max_streams: int = 10_000
    write_timeout: float = 10.0
    keepalive: float = 15.0
    rotate_after: float = 300.0
