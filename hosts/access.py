"""How a host is reached, and as whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class HostKind(StrEnum):
    """The kinds of Git hosts; `gitea` stands for Forgejo too."""

    LOCAL = "local"
    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"


_OF_CREDENTIALS = {
    "github": HostKind.GITHUB,
    "github-app": HostKind.GITHUB,
    "gitlab": HostKind.GITLAB,
    "gitea": HostKind.GITEA,
}


def host_of_credential(kind: str | None) -> HostKind | None:
    """Return the kind of host that credentials of a kind sign in to; None if it is none."""
    return _OF_CREDENTIALS.get(kind or "")


class TokenSource(Protocol):
    """Gives the token for the next request."""

    async def token(self) -> str:
        """Return a token that is valid now. Raises HostError."""
        ...

    def refused(self, token: str) -> None:
        """Forget the token: the host has refused it."""
        ...


@dataclass(frozen=True)
class StaticToken:
    """A token that stays the same; repr hides it."""

    value: str = field(repr=False)

    async def token(self) -> str:
        """Return the token."""
        return self.value

    def refused(self, token: str) -> None:
        """Do nothing: there is no other token."""


@dataclass(frozen=True)
class HostAccess:
    """`url` is the host's address as people open it, without a slash at the end.

    `credential` is the name of the credential, for messages. `account` is the account, organization
    or group that owns new repositories where a step names none. `ca` is a PEM text with the
    authorities to trust, in place of the public ones.
    """

    kind: HostKind
    url: str
    credential: str
    account: str
    tokens: TokenSource
    ca: str | None = field(default=None, repr=False)
    scheme: str = "Bearer"
    """Of the Authorization header; Gitea also takes `token`."""
