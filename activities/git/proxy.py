"""The proxy that the environment names for a URL, with the user and password to sign in there."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import make_headers


@dataclass(frozen=True)
class Proxy:
    """A proxy; `headers` sign in there, and repr hides them and the URL, which may hold secrets."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy for a URL by `https_proxy` and its like; None without one."""
    parts = urlsplit(url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.hostname or ""):
        return None
    found = found if "://" in found else f"http://{found}"
    proxy = urlsplit(found)
    if proxy.username is None:
        return Proxy(found)
    given = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return Proxy(found, make_headers(proxy_basic_auth=given))
