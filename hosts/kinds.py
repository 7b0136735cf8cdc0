"""The client and the token sources of each kind of host, loaded when they are first used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, cast

import httpx

from stepway.hosts.access import HostAccess, HostKind, TokenSource
from stepway.hosts.host import GitHost

_OPENERS: Mapping[HostKind, str] = {
    HostKind.GITHUB: "stepway.hosts.github.client:open_github",
    HostKind.GITLAB: "stepway.hosts.gitlab.host:open_gitlab",
    HostKind.GITEA: "stepway.hosts.gitea.host:open_gitea",
}
"""Functions that take a HostAccess and return a context manager."""


@asynccontextmanager
async def open_git_host(access: HostAccess) -> AsyncIterator[GitHost]:
    """Open the host of this access."""
    async with _loaded(_OPENERS[access.kind])(access) as host:
        yield host


def app_tokens(
    url: str,
    app_id: str,
    private_key: str,
    account: str,
    ca: str | None,
    made: Callable[[str], None],
) -> TokenSource:
    """Return the tokens of a GitHub App's installation in `account`.

    `made` gets each token before anything uses it.
    """
    source = _loaded("stepway.hosts.github.app:AppTokens")
    return cast("TokenSource", source(url, app_id, private_key, account, ca, made=made))


def oauth_tokens(
    client: httpx.AsyncClient,
    url: str,
    fields: Mapping[str, str],
    credential: str,
    load: Callable[[], Any],
    store: Callable[[Any], Any],
) -> TokenSource:
    """Return the OAuth tokens of a GitLab account, which are refreshed before they expire.

    `load` and `store` are as RefreshedToken documents them, with pairs by `oauth_pair`.
    """
    module = "stepway.hosts.gitlab.oauth"
    application = _loaded(f"{module}:OAuthApplication")(
        url, fields["client_id"], fields.get("client_secret", "")
    )
    source = _loaded(f"{module}:RefreshedToken")(client, application, credential, load, store)
    return cast("TokenSource", source)


def oauth_pair(access: str, refresh: str, expires_at: Any) -> Any:
    """Return a pair of OAuth tokens with the fields `access`, `refresh` and `expires_at`."""
    return _loaded("stepway.hosts.gitlab.oauth:OAuthTokens")(access, refresh, expires_at)


def _loaded(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
