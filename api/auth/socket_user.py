"""Asks Linux for the user of the socket at the other end of a local TCP connection."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

Address = tuple[str, int]
"""An IP address and a port."""

Lookup = Callable[[Address, Address], int | None]
"""Returns the number of the user whose socket is bound to the first address and connected to the
second, or None if no process has such a socket. Raises OSError if the system cannot say.
"""

# From linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_NLMSG_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI2s2s16s16sI8s")
_ANSWER = struct.Struct("=BBBB2s2s16s16sI8sIIIII")
_ERROR = struct.Struct("=i")
_NO_COOKIE = b"\xff" * 8
_ESTABLISHED, _FIN_WAIT1, _FIN_WAIT2, _CLOSE_WAIT = 1, 4, 5, 8

_CONNECTED = {_ESTABLISHED, _FIN_WAIT1, _FIN_WAIT2, _CLOSE_WAIT}
"""States of a socket that was connected and that our side has not closed."""


def working_lookup() -> Lookup | None:
    """Return the fastest lookup that works on this system, or None."""
    if not sys.platform.startswith("linux"):
        return None
    return next((lookup for lookup in (by_netlink, by_proc) if _works(lookup)), None)


def by_netlink(peer: Address, ours: Address) -> int | None:
    """Look up one socket through NETLINK_SOCK_DIAG. The time does not depend on their number."""
    (host, port), (our_host, our_port) = peer, ours
    address, our_address = _plain(host), _plain(our_host)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    # In the request, the "source" is the socket that is looked for.
    body = _REQUEST.pack(
        family,
        socket.IPPROTO_TCP,
        0,
        0xFFFFFFFF,
        port.to_bytes(2, "big"),
        our_port.to_bytes(2, "big"),
        address.packed,
        our_address.packed,
        0,
        _NO_COOKIE,
    )
    size = _NLMSG_HEADER.size + len(body)
    header = _NLMSG_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        # The kernel answers before send returns.
        kernel.setblocking(False)
        kernel.send(header + body)
        answer = kernel.recv(4096)
    return _user_in(answer, our_port)


def by_proc(peer: Address, ours: Address) -> int | None:
    """Look up a socket in /proc/net, which lists all sockets: slow if there are many."""
    for name, bits in (("tcp", 32), ("tcp6", 128)):
        try:
            rows = Path("/proc/net", name).read_text()
        except FileNotFoundError:
            if name == "tcp":
                raise
            continue  # a system without IPv6
        _, found, rest = rows.partition(f" {_in_proc(peer, bits)} {_in_proc(ours, bits)} ")
        if found:
            state, _, _, _, user, _, inode, *_ = rest.split(maxsplit=7)
            return _user(int(state, 16), int(user), int(inode))
    return None


def _user_in(answer: bytes, our_port: int) -> int | None:
    """Return the user in the kernel's answer."""
    _, kind, *_ = _NLMSG_HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        [code] = _ERROR.unpack_from(answer, _NLMSG_HEADER.size)
        if -code == errno.ENOENT:
            return None
        raise OSError(-code, os.strerror(-code))
    _, state, _, _, _, port, *_, user, inode = _ANSWER.unpack_from(answer, _NLMSG_HEADER.size)
    return _user(state, user, inode) if int.from_bytes(port, "big") == our_port else None


def _user(state: int, user: int, inode: int) -> int | None:
    """Return the user of a connected socket. One that no process holds any more has inode 0, and
    the kernel may give root as its user.
    """
    return user if state in _CONNECTED and inode else None


def _plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an address; one of IPv4 in IPv6 (`::ffff:127.0.0.1`) becomes IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return (address.version == 6 and address.ipv4_mapped) or address


def _in_proc(address: Address, bits: int) -> str:
    """Return the address as /proc/net writes it: words of 32 bits in the machine's byte order."""
    host, port = _plain(address[0]), address[1]
    packed = host.packed
    if bits == 128 and host.version == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{port:04X}"


def _works(lookup: Lookup) -> bool:
    """Whether the lookup finds the user of a connection that we open for it."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as client,
        ):
            return lookup(client.getsockname(), listener.getsockname()) == os.geteuid()
    except OSError:
        return False
