"""The proxy of the environment for Git over HTTP. Uses the standard library and urllib3 only."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import make_headers


def proxy_of(url: str) -> tuple[str, Mapping[str, str]] | None:
    """Return the proxy's address and the headers that sign in to it; None for a direct way."""
    parts = urlsplit(url)
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    given = urlsplit(proxy)
    if given.username is None:
        return proxy, {}
    pair = f"{unquote(given.username)}:{unquote(given.password or '')}"
    return proxy, make_headers(proxy_basic_auth=pair)
