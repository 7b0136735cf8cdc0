"""The client of GitHub."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.client import PATIENCE
from stepway.hosts.features import features_of
from stepway.hosts.github.api import HEADERS, api_of
from stepway.hosts.github.app import AppTokens
from stepway.hosts.github.changes import Changes
from stepway.hosts.github.errors import explain, scopes_of
from stepway.hosts.github.people import People
from stepway.hosts.github.pipelines import Pipelines
from stepway.hosts.github.repositories import Repositories
from stepway.hosts.host import Feature, GitHost, Identity
from stepway.hosts.http import HostHttp, http_client
from stepway.hosts.pace import Budget, Pace, pace_of
from stepway.hosts.reading import reads_answers

BUDGET = Budget(apart=1.0, burst=90, creation=9.0)
"""github.com allows 80 creations in a minute and 500 in an hour, those of its pages included, and
asks for a second between requests that write. An Enterprise sets its own limits."""

_EXPIRES = "github-authentication-token-expiration"

_PERMISSIONS = {
    Feature.TOPICS: "administration",
    Feature.INTERNAL_VISIBILITY: "administration",
    Feature.FORCE_PUSH: "administration",
    Feature.TEAMS: "administration",
    Feature.COLLABORATORS: "administration",
    Feature.BRANCH_PROTECTION: "administration",
    Feature.DEPLOY_KEYS: "administration",
    Feature.ENVIRONMENTS: "environments",
    Feature.ENVIRONMENT_REVIEWERS: "environments",
    Feature.ENVIRONMENT_WAIT: "environments",
    Feature.ENVIRONMENT_SECRETS: "environments",
    Feature.SECRETS: "secrets",
    Feature.VARIABLES: "actions_variables",
    Feature.WEBHOOKS: "repository_hooks",
    Feature.PULL_REQUESTS: "pull_requests",
    Feature.DISPATCH: "actions",
    Feature.COMMIT_STATUS: "statuses",
}
"""The permission, to write, that an App needs for a feature."""


@reads_answers
class GitHubHost(Repositories, People, Pipelines, Changes):
    """GitHub as one account; implements GitHost."""

    kind = HostKind.GITHUB
    features = features_of(HostKind.GITHUB)

    async def identity(self) -> Identity:
        """Return the account behind the token; for an App, the account that has installed it."""
        tokens = self.access.tokens
        if isinstance(tokens, AppTokens):
            granted = await tokens.permissions()
            return Identity(
                self.access.account,
                frozenset(f"{name}:{right}" for name, right in granted.items()),
                kind="app",
            )
        response, data = await self.http.answer("GET", "user")
        return Identity(str(data["login"]), scopes_of(response.headers), _expiry(response))

    async def missing_scopes(self, needed: Sequence[Feature], *, workflows: bool) -> list[str]:
        """Return the scopes of a classic token, or the App's permissions, that are missing.

        A fine-grained token does not tell its permissions: the list is empty.
        """
        tokens = self.access.tokens
        if isinstance(tokens, AppTokens):
            granted = await tokens.permissions()
            wanted = {"contents", "administration", *(_PERMISSIONS[one] for one in needed)}
            wanted |= {"workflows"} if workflows else set()
            return sorted(
                f"{name}:write" for name in wanted if granted.get(name) not in ("write", "admin")
            )
        response, _ = await self.http.answer("GET", "user")
        scopes = scopes_of(response.headers)
        if scopes is None:
            return []
        return [
            scope
            for scope, is_needed in (("repo", True), ("workflow", workflows))
            if is_needed and scope not in scopes
        ]


def _expiry(response: httpx.Response) -> datetime | None:
    given = response.headers.get(_EXPIRES, "")
    try:
        return datetime.strptime(given.removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S").replace(
            tzinfo=UTC
        )
    except ValueError:
        return None


def budget_of(access: HostAccess) -> Budget | None:
    """Return how much the credential may write; None where the host sets no limit of its own."""
    return BUDGET if urlsplit(api_of(access.url)).netloc == "api.github.com" else None


@asynccontextmanager
async def open_github(
    access: HostAccess, *, pace: Pace | None = None, patience: Sequence[float] = PATIENCE
) -> AsyncIterator[GitHost]:
    """Open github.com or a GitHub Enterprise.

    `pace` spaces the writing requests; by default those of this process to github.com.
    `patience` are the pauses between tries while something new is "not found".
    """
    api = api_of(access.url)
    if pace is None and (budget := budget_of(access)) is not None:
        pace = pace_of(access.url, access.credential, budget)
    async with http_client(access.ca) as client:
        http = HostHttp(client, access, api, explain(access), HEADERS, pace, keeps=True)
        yield GitHubHost(http, access, patience)
