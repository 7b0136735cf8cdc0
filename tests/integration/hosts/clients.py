"""What the tests of one client share."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stepway.hosts.access import HostAccess, HostKind, StaticToken
from stepway.hosts.errors import HostError
from stepway.hosts.host import HostRepository, RepositorySpec
from tests.support.githost.server import Host
from tests.support.githost.state import Repository, Token

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5x7zt1LpAiBvhJ4NI2wqmE3Z4lG8wJ2K6ZC4fZbYlA"
"""A public SSH key."""


def access_to(host: Host, kind: HostKind, token: Token | str, account: str = "acme") -> HostAccess:
    """Return the access of the credential `forge` with a token."""
    value = token if isinstance(token, str) else token.value
    return HostAccess(kind, host.url, "forge", account, StaticToken(value))


def spec(name: str = "shop", owner: str = "acme", **fields: Any) -> RepositorySpec:
    """Return the specification of a repository of a new project."""
    return RepositorySpec(owner, name, str(uuid4()), **fields)


def stored(host: Host, repository: HostRepository) -> Repository:
    """Return what the host stores about a repository."""
    return host.world.repositories[int(repository.id)]


async def refused(request: Awaitable[Any]) -> HostError:
    """Return the error that a request ends with."""
    with pytest.raises(HostError) as caught:
        await request
    return caught.value


def new_key() -> str:
    """Return a public SSH key that no host has seen."""
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
