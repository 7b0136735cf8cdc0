"""Where a credential may be sent."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from stepway.activities.credentials.git_hosts import host_kind
from stepway.hosts.access import HostKind
from stepway.hosts.github.api import api_of
from stepway.vault.vault import Secret

_PORTS = {"https": 443, "http": 80, "ssh": 22}


def addresses_of(secret: Secret) -> list[str]:
    """Return the addresses that a credential is for; empty if it is stored without one."""
    url = secret.target.url
    if not url:
        return []
    # The API of github.com is at another host than its pages.
    return [url, api_of(url)] if host_kind(secret) is HostKind.GITHUB else [url]


def is_at(url: str, address: str) -> bool:
    """Whether a URL is on the host of an address, and at or below its path."""
    here, there = urlsplit(url), urlsplit(address)
    if (here.scheme, here.hostname) != (there.scheme, there.hostname):
        return False
    port = _PORTS.get(here.scheme)
    if (here.port or port) != (there.port or port):
        return False
    base = there.path.rstrip("/")
    if base and {".", ".."} & set(unquote(here.path).split("/")):
        return False
    return here.path.rstrip("/") == base or here.path.startswith(f"{base}/")
