"""What the clients of all Git hosts share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stepway.hosts.access import HostAccess
from stepway.hosts.http import HostHttp

PATIENCE = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries while a host does not show what was created a moment ago."""

Json = dict[str, Any]


class HostClient:
    """Requests to one host as one account.

    `patience` are the seconds between tries while something new is "not found".
    """

    def __init__(
        self, http: HostHttp, access: HostAccess, patience: Sequence[float] = PATIENCE
    ) -> None:
        self.http = http
        self.access = access
        self.patience = patience

    @property
    def account(self) -> str:
        """The owner of new repositories where a step names none; empty if not stored."""
        return self.access.account


def time_of(text: Any) -> datetime | None:
    """Return a time in ISO 8601, as hosts write it; None for one that says nothing."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # Gitea writes the year 1 for a time that it does not know.
    return time.replace(tzinfo=time.tzinfo or UTC) if time.year > 1 else None
