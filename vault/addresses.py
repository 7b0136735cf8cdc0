"""Checks the addresses of hosts and brings them into one form."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from stepway.vault.errors import CredentialRefused

_APIS = ("/api/v1", "/api/v3", "/api/v4")
_SAME = {"api.github.com": "github.com", "www.github.com": "github.com"}
_PORTS = {"https": 443, "http": 80, "ssh": 22}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_SHORT_SSH = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*)@([^/:@]+)")


def web_address(given: str) -> str:
    """Return the address of a host as people open it: https, no slash at the end.

    The path of its API is removed. Raises CredentialRefused; http is accepted on loopback only.
    """
    url = _split(given)
    if url.scheme not in ("https", "http"):
        raise CredentialRefused(f"The URL {_shown(url)} must begin with https://")
    if url.username is not None or url.password is not None:
        raise CredentialRefused(
            f"The URL {_shown(url)} must not contain a user name or password: use --account, and "
            "give the secret on standard input"
        )
    host = _host(url)
    if url.scheme == "http" and not is_loopback(host):
        raise CredentialRefused(
            f"The URL {_shown(url)} must begin with https://: over http, anyone in between could "
            "read the secret"
        )
    path = url.path.rstrip("/")
    for api in _APIS:
        path = path.removesuffix(api)
    if url.query or url.fragment or not _PATH.fullmatch(path):
        raise CredentialRefused(
            f"The URL {_shown(url)} must be the address of the host as people open it, such as "
            "https://git.example.com"
        )
    return f"{url.scheme}://{_SAME.get(host, host)}{_port(url)}{path}"


def is_at(url: str, address: str) -> bool:
    """Whether a URL is on the host of a stored address, and at or below its path."""
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


def ssh_address(given: str) -> str:
    """Return `ssh://USER@HOST[:PORT]`; takes `USER@HOST` too. Raises CredentialRefused."""
    short = _SHORT_SSH.fullmatch(given.strip())
    url = _split(f"ssh://{short[1]}@{short[2]}" if short else given)
    user = url.username or ""
    if (
        url.scheme != "ssh"
        or url.password is not None
        or url.path not in ("", "/")
        or url.query
        or url.fragment
        or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", user)
    ):
        raise CredentialRefused(
            f"The URL {_shown(url)} must have the form ssh://USER@HOST or ssh://USER@HOST:PORT, "
            "such as ssh://git@github.com"
        )
    return f"ssh://{user}@{_host(url)}{_port(url)}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address, possibly in brackets, is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _split(given: str) -> SplitResult:
    try:
        url = urlsplit(given.strip())
        url.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        raise CredentialRefused("The URL is malformed: its host or port is not valid") from None
    if not url.hostname:
        raise CredentialRefused(
            "The URL must be an address such as https://git.example.com, with scheme and host"
        )
    return url


def _host(url: SplitResult) -> str:
    host = (url.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    elif not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            host = ""
    if not _HOST.fullmatch(host):
        raise CredentialRefused(f"The URL {_shown(url)} has no valid host name")
    return host


def _port(url: SplitResult) -> str:
    return "" if url.port in (None, _PORTS[url.scheme]) else f":{url.port}"


def _shown(url: SplitResult) -> str:
    """The URL without what may be a secret."""
    place = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{place}{url.path}"
