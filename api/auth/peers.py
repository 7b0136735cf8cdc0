"""The users of this machine that a Stepway without sign-in serves: its own and root."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from dataclasses import dataclass
from functools import cache

from stepway.api.auth.socket_user import Address, Lookup


@cache
def own_user() -> str:
    """Return the name of the user that runs this process, or `uid 1000` if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


@dataclass(frozen=True)
class Peers:
    """Decides whether a connection comes from one of `users`, by number."""

    lookup: Lookup
    users: frozenset[int]

    @classmethod
    def own(cls, lookup: Lookup) -> Peers:
        """Admit the user of this process and root."""
        return cls(lookup, frozenset({os.geteuid(), 0}))

    def admits(self, peer: Address | None, ours: Address | None) -> bool:
        """Whether the connection from `peer` to `ours` is served. An address is None if the
        connection has ended.
        """
        if peer is None or ours is None:
            return False
        try:
            user = self.lookup(peer, ours)
        except OSError:
            return False
        if user is None:
            # A peer on this machine is unknown if it has closed its socket: it may have sent a
            # request before. Other peers arrive through a container's network.
            return not _of_this_machine(peer[0])
        return user in self.users


def _of_this_machine(host: str) -> bool:
    address = ipaddress.ip_address(host)
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
