"""Where a credential may be sent."""

from __future__ import annotations

from stepway.activities.credentials.git_hosts import host_kind
from stepway.hosts.access import HostKind
from stepway.hosts.github.api import api_of
from stepway.vault.vault import Secret


def addresses_of(secret: Secret) -> list[str]:
    """Return the addresses that a credential is for; empty if it is stored without one."""
    url = secret.target.url
    if not url:
        return []
    # The API of github.com is at another host than its pages.
    return [url, api_of(url)] if host_kind(secret) is HostKind.GITHUB else [url]
