"""The user at the other end of a connection, with real sockets."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from stepway.api.auth import socket_user
from stepway.api.auth.peers import Peers
from stepway.api.auth.socket_user import Address, Lookup, by_netlink, by_proc, working_lookup
from tests.support.others import OTHER, as_other, needs_root

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux's kernel")

LOOPBACK = [
    (socket.AF_INET, "127.0.0.1", socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::1", socket.AF_INET6, "::1"),
    (socket.AF_INET, "127.0.0.1", socket.AF_INET6, "::ffff:127.0.0.1"),
]

CONNECT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    print(client.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=[by_netlink, by_proc])
def lookup(request: pytest.FixtureRequest) -> Lookup:
    if not socket_user._works(request.param):
        pytest.skip(f"{request.param.__name__} does not work on this system")
    return request.param


@contextmanager
def connection(
    family: int = socket.AF_INET,
    host: str = "127.0.0.1",
    from_family: int = socket.AF_INET,
    to: str = "127.0.0.1",
) -> Iterator[tuple[socket.socket, Address, Address]]:
    """The client, and both addresses as the server sees them."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.create_server((host, 0), family=family))
        except OSError as error:
            pytest.skip(f"cannot listen on {host}: {error}")
        client = stack.enter_context(socket.socket(from_family))
        client.connect((to, listener.getsockname()[1]))
        server, peer = listener.accept()
        stack.enter_context(server)
        yield client, peer[:2], server.getsockname()[:2]


@pytest.mark.parametrize("families", LOOPBACK, ids=["IPv4", "IPv6", "IPv4 in IPv6"])
def test_our_own_socket_is_ours(lookup: Lookup, families: tuple[int, str, int, str]) -> None:
    with connection(*families) as (client, peer, ours):
        assert lookup(peer, ours) == os.geteuid()
        client.shutdown(socket.SHUT_WR)
        assert lookup(peer, ours) == os.geteuid()


@needs_root
def test_socket_of_another_user_is_theirs(lookup: Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = listener.getsockname()
        with as_other(CONNECT, ours[1]) as client:
            assert client.stdin and client.stdout
            peer = ("127.0.0.1", int(client.stdout.readline()))
            assert lookup(peer, ours) == OTHER.pw_uid
            client.stdin.close()


def closed(client: socket.socket) -> None:
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("end", [closed, reset])
def test_closed_socket_belongs_to_nobody_and_its_requests_are_refused(
    lookup: Lookup, end: Callable[[socket.socket], None]
) -> None:
    """The kernel may give root as the user of a socket that no process holds."""
    with connection() as (client, peer, ours):
        end(client)
        assert lookup(peer, ours) is None
        assert not Peers.own(lookup).admits(peer, ours)


def test_listening_socket_is_no_peer(lookup: Lookup) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        assert lookup(other.getsockname(), listener.getsockname()) is None


def test_our_user_and_root_are_admitted() -> None:
    peer, ours = ("127.0.0.1", 1), ("127.0.0.1", 2)
    for user, admitted in ((os.geteuid(), True), (0, True), (os.geteuid() + 1, False)):
        assert Peers.own(lambda *_, user=user: user).admits(peer, ours) is admitted


def test_unknown_peer_is_admitted_only_from_elsewhere() -> None:
    peers = Peers.own(lambda *_: None)
    assert peers.admits(("192.0.2.1", 1), ("127.0.0.1", 2))
    for host in ("127.0.0.1", "127.9.9.9", "::1"):
        assert not peers.admits((host, 1), ("127.0.0.1", 2))
    assert not peers.admits(None, ("127.0.0.1", 2))


def test_peer_is_refused_if_the_lookup_fails() -> None:
    def fails(*_: Address) -> int:
        raise OSError("too many open files")

    assert not Peers.own(fails).admits(("192.0.2.1", 1), ("127.0.0.1", 2))


def test_proc_is_read_where_netlink_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    if not socket_user._works(by_proc):
        pytest.skip("/proc/net does not list sockets on this system")
    monkeypatch.setattr(socket_user, "_NETLINK_SOCK_DIAG", 31)
    assert working_lookup() is by_proc
