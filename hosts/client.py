"""What the clients of all Git hosts share."""

from __future__ import annotations

from collections.abc import Sequence
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
