"""Which addresses the step http_request may reach.

Names are resolved once, and the connection goes to the address that was checked, so that a name
cannot point elsewhere a moment later.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from temporalio.exceptions import ApplicationError

from stepway_tracking.record.errors import step_error

_RESOLVING = 10.0
_PORTS = {"http": 80, "https": 443}
_SETTING = "STEPWAY_HTTP_HOSTS"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC = [
    ipaddress.ip_network("64:ff9b:1::/48"),  # translated within a network, RFC 8215
    ipaddress.ip_network("::/96"),  # IPv4-compatible, RFC 4291
    ipaddress.ip_network("::ffff:0:0:0/96"),  # IPv4-translated, RFC 2765
]
"""Ranges that stand for IPv4 addresses, and that ipaddress takes as public."""


@dataclass(frozen=True)
class Pinned:
    """An address that may be reached, for a host and port of a URL."""

    host: str
    port: int
    address: str

    def url_of(self, url: str) -> str:
        """Return the URL with the address in place of the host's name."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return urlsplit(url)._replace(netloc=f"{shown}:{self.port}", fragment="").geturl()

    def host_header(self, url: str) -> str:
        """Return the header Host of a request to the URL."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if _PORTS.get(urlsplit(url).scheme) == self.port else f"{shown}:{self.port}"


class Guard:
    """`allowed` are names of hosts, `*.NAME`, networks such as `10.0.0.0/8`, each maybe with
    `:PORT`; `*` stands for all public addresses. Empty: all public addresses.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = [_Entry.parse(entry) for entry in allowed]

    async def pinned(self, url: str) -> Pinned:
        """Return the address to connect to. Raises step_error if the URL must not be reached."""
        parts = _checked(url)
        host = (parts.hostname or "").rstrip(".").lower()
        port = parts.port or _PORTS[parts.scheme]
        is_listed = any(entry.names(host, port) for entry in self._allowed)
        addresses = await _resolved(host, port)
        for address in addresses:
            if not self._may_reach(address, port, is_listed=is_listed):
                raise _refused(host, address, is_listed=bool(self._allowed))
        return Pinned(host, port, str(addresses[0]))

    def _may_reach(self, address: Address, port: int, *, is_listed: bool) -> bool:
        if is_listed or any(entry.contains(address, port) for entry in self._allowed):
            return True
        all_public = not self._allowed or any(entry.is_any for entry in self._allowed)
        return all_public and is_public(address)


@dataclass(frozen=True)
class _Entry:
    host: str
    port: int | None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None

    @classmethod
    def parse(cls, text: str) -> _Entry:
        host, port = _with_port(text.strip().lower())
        try:
            return cls("", port, ipaddress.ip_network(host.strip("[]"), strict=False))
        except ValueError:
            return cls(host.rstrip("."), port, None)

    @property
    def is_any(self) -> bool:
        return self.host == "*"

    def names(self, host: str, port: int) -> bool:
        """Whether it names this host, or a domain above it."""
        if self.network is not None or self.is_any or self.port not in (None, port):
            return False
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return host == self.host

    def contains(self, address: Address, port: int) -> bool:
        """Whether it is a network with this address."""
        if self.network is None or self.port not in (None, port):
            return False
        return any(one in self.network for one in (address, *_embedded(address)))


def _with_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    is_ipv6 = host.count(":") > 0 and not host.endswith("]")
    if colon and port.isdecimal() and not is_ipv6:
        return host, int(port)
    return text, None


def is_public(address: Address) -> bool:
    """Whether everybody on the internet can reach the address, also through a translation."""
    every = (address, *_embedded(address))
    if any(one.is_multicast or getattr(one, "is_site_local", False) for one in every):
        return False
    return all(one.is_global for one in every) and not any(address in one for one in _NOT_PUBLIC)


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())[1:]]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("it is not a URL") from None
    if parts.scheme not in _PORTS:
        raise _bad("it must begin with https:// or http://")
    if not parts.hostname or port == 0:
        raise _bad("it names no host")
    if parts.username is not None or parts.password is not None:
        raise _bad("it has a user name or password; use a header with a credential")
    return parts


def _bad(reason: str) -> ApplicationError:
    return step_error(
        f"`url` cannot be used: {reason}",
        remedy="Correct it in the blueprint, then retry.",
        retry=False,
    )


async def _resolved(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVING):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise step_error(
            f"The name {host} cannot be resolved",
            remedy="Check the name, and the network of the worker; then retry.",
        ) from error
    addresses = (str(info[4][0]).partition("%")[0] for info in found)
    return [ipaddress.ip_address(address) for address in addresses]


def _refused(host: str, address: Address, *, is_listed: bool) -> ApplicationError:
    reason = "is a private address" if not is_public(address) else "is not on the list"
    shown = host if host == str(address) else f"{host} ({address})"
    named = "" if is_listed else ", which is not set"
    return step_error(
        f"{shown} must not be reached: it {reason}",
        remedy=f"If this is intended, ask an operator to add the host to {_SETTING}{named}.",
        retry=False,
    )
