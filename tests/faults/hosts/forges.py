"""The Git hosts of a run, each behind a proxy, with credentials in Stepway's vault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex

from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import open_keyring
from stepway.vault.kinds import PLAIN, CredentialKind, Target
from stepway.vault.vault import EVERYONE, Vault
from tests.faults.proxy import HOST, Proxy
from tests.support.canaries import Canaries
from tests.support.githost.gitea import GiteaSurface
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.gitlab import GitLabSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.state import Token, World, now
from tests.support.githost.surface import Surface

OWNER, ME, OTHER, TEAM, GITOPS = "acme", "erin", "otto", "developers", "gitops"
REGISTRY, HOOK = "registry", "hook"
"""Names of the credentials of the secret that is created, and of the webhook's."""

APP_RIGHTS = {
    "administration": "write",
    "contents": "write",
    "environments": "write",
    "secrets": "write",
    "repository_hooks": "write",
    "actions_variables": "write",
    "members": "write",
}


@dataclass
class Forge:
    """A Git host of the run. `credentials` are the names of those that sign in to it.

    `valid` is held while the tokens must stay valid, or while they are not.
    """

    host: Host
    proxy: Proxy
    credentials: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """What steps store on the host, by the names of the credentials."""

    valid: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def kind(self) -> str:
        """`github`, `gitlab` or `gitea`."""
        return self.host.surface.kind

    @property
    def team(self) -> str:
        """The team, or GitLab's group, as steps name it."""
        return f"{OWNER}/{TEAM}" if self.kind == CredentialKind.GITLAB else TEAM

    def expire(self) -> None:
        """Let all tokens expire; those of an App's installation are made new on demand."""
        with self.host.held():
            for token in self.host.world.tokens.values():
                token.expires_at = now() - timedelta(seconds=1)

    def renew(self) -> None:
        """Let the tokens of people be valid again."""
        with self.host.held():
            for token in self.tokens:
                token.expires_at = None


@dataclass(frozen=True)
class _Stored:
    """A credential to store in the vault."""

    name: str
    value: str
    target: Target = PLAIN


def _github(forge: Forge) -> list[_Stored]:
    scopes = {"repo", "workflow", "delete_repo", "admin:org", "admin:repo_hook"}
    surface = forge.host.surface
    assert isinstance(surface, GitHubSurface)
    number, key = surface.add_app("stepway", OWNER, **APP_RIGHTS)
    app = Target(CredentialKind.GITHUB_APP, forge.host.url, options={"app_id": number})
    person = Target(CredentialKind.GITHUB, forge.host.url)
    token = _token(forge, scopes, "ghp_")
    return [_Stored("github", token, person), _Stored("github-app", key, app)]


def _gitlab(forge: Forge) -> list[_Stored]:
    forge.host.world.add_organization(f"{OWNER}/{TEAM}")
    token = _token(forge, {"api"}, "glpat-")
    return [_Stored("gitlab", token, Target(CredentialKind.GITLAB, forge.host.url))]


def _gitea(forge: Forge) -> list[_Stored]:
    forge.host.world.accounts[OWNER].options["teams"] = {TEAM: "admin"}
    token = _token(forge, {"write:repository", "write:organization", "write:user"}, "")
    return [_Stored("gitea", token, Target(CredentialKind.GITEA, forge.host.url))]


def _token(forge: Forge, scopes: set[str], prefix: str) -> str:
    token = forge.host.world.add_token(ME, scopes, prefix=prefix)
    forge.tokens.append(token)
    return token.value


_Filled = Callable[[Forge], list[_Stored]]
KINDS: dict[str, tuple[type[Surface], _Filled]] = {
    "github": (GitHubSurface, _github),
    "gitlab": (GitLabSurface, _gitlab),
    "gitea": (GiteaSurface, _gitea),
}


@asynccontextmanager
async def running_forge(kind: str, settings: Settings, canaries: Canaries) -> AsyncIterator[Forge]:
    """Run a host of a kind, and store its credentials in the vault of these settings."""
    surface, filled = KINDS[kind]
    proxy = Proxy(f"worker-{kind}", 0)
    await proxy.start()
    with running_host(surface, seen_as=f"http://{HOST}:{proxy.port}") as host:
        proxy.target = host.port
        forge = Forge(host, proxy)
        _fill(host.world)
        stored = filled(forge)
        forge.credentials = [each.name for each in stored]
        forge.secrets = {f"{kind}-{name}": token_hex(20) for name in (REGISTRY, HOOK)}
        stored += [_Stored(name, value) for name, value in forge.secrets.items()]
        await _store(settings, stored)
        for each in stored:
            canaries.add(f"the credential {each.name}", each.value)
        try:
            yield forge
        finally:
            await proxy.stop()


def note_tokens(forge: Forge, canaries: Canaries) -> None:
    """Look for all tokens that the host knows, those that it has made since included."""
    with forge.host.held():
        for token in forge.host.world.tokens.values():
            canaries.add(f"a token of the {forge.kind} host ({token.kind})", token.value)


def _fill(world: World) -> None:
    world.add_account(ME)
    world.add_account(OTHER)
    world.add_organization(OWNER, owner=ME)
    world.add_team(OWNER, TEAM)
    world.add_repository(OWNER, GITOPS)


async def _store(settings: Settings, stored: list[_Stored]) -> None:
    engine = open_engine(settings.sqlalchemy_url)
    vault = Vault(engine, open_keyring(settings.keys))
    try:
        for each in stored:
            account = OWNER if each.target.kind else ""
            await vault.put(EVERYONE, each.name, each.value, account, each.target)
    finally:
        await engine.dispose()
