"""The hosts of the contract: each kind is one entry of PLACES."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from dulwich import porcelain
from dulwich.objects import ObjectID

from stepway.hosts.access import HostAccess, HostKind, StaticToken
from stepway.hosts.gitea.host import open_gitea
from stepway.hosts.github.client import open_github
from stepway.hosts.gitlab.host import open_gitlab
from stepway.hosts.host import GitHost, GitRemote, HostRepository, RepositorySpec
from tests.support.githost.gitea import ForgejoSurface, GiteaSurface
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.gitlab import GitLabSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.state import Repository

SOON = (0.01, 0.01, 0.01, 0.01)
"""Pauses between tries, short for tests."""


MASKED = ("first-value", "second-value")
"""Values that GitLab masks: it masks none with spaces or line ends."""


@dataclass
class Place:
    """An opened host, as the account `account`, which owns the organization or group `owner`.

    `other` is another account, `team` a team or group. `workflow` is the path and text of a
    workflow that can be started, and `workflow_name` its name in `dispatch`. `server` is the host
    for tests; None for a host without one. `creation` finds the requests that create a repository.
    `secrets` are two values that the host takes as a secret.
    """

    host: GitHost
    account: str
    owner: str
    other: str
    team: str
    workflow: tuple[str, str]
    workflow_name: str
    creation: str = ""
    secrets: tuple[str, str] = ("first value", "second välue\n")
    server: Host | None = None
    access: HostAccess | None = None
    specs: list[RepositorySpec] = field(default_factory=list)
    """What tests were to create."""

    def spec(self, **fields: Any) -> RepositorySpec:
        """Return a specification with a new name and a new project."""
        given = {
            "owner": self.owner,
            "name": f"shop-{uuid4().hex[:8]}",
            "project_id": str(uuid4()),
            **fields,
        }
        self.specs.append(RepositorySpec(**given))
        return self.specs[-1]

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine's folders, without accounts."""
        return self.host.kind is HostKind.LOCAL

    async def create(self, **fields: Any) -> HostRepository:
        """Create a repository with a new name."""
        return await self.host.create_repository(self.spec(**fields))

    async def pushed(
        self, repository: HostRepository, files: Mapping[str, bytes], branch: str = "main"
    ) -> str:
        """Push one commit with these files onto a branch by Git; return its ID."""
        return push(await self.host.remote(repository), files, branch)

    def stored(self, repository: HostRepository) -> Repository | None:
        """Return what the host for tests stores about a repository."""
        if self.server is None:
            return None
        return self.server.world.find(f"{repository.owner}/{repository.name}")


class PushRefused(Exception):
    """The host has refused a branch of a push; the text has its lines and its reason."""


def push(
    remote: GitRemote, files: Mapping[str, bytes], branch: str = "main", start: str = "main"
) -> str:
    """Push one commit onto a branch, on top of it or else of `start`; return its ID.

    Raises PushRefused.
    """
    with TemporaryDirectory(prefix="push-") as name:
        folder = Path(name)
        repo = porcelain.init(str(folder))
        try:
            given: Any = {
                "username": remote.username,
                "password": remote.password,
                "errstream": BytesIO(),
            }
            refs = porcelain.fetch(repo, remote.url, **given).refs
            parent = refs.get(f"refs/heads/{branch}".encode()) or refs.get(
                f"refs/heads/{start}".encode()
            )
            if parent is not None:
                repo.refs[b"refs/heads/work"] = parent
            repo.refs.set_symbolic_ref(b"HEAD", b"refs/heads/work")
            if parent is not None:
                porcelain.reset(repo, "hard")
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            porcelain.add(repo, [str(folder / path) for path in files])
            made: ObjectID = porcelain.commit(
                repo, b"Change", author=b"E <e@e.example>", committer=b"E <e@e.example>"
            )
            refspec = f"refs/heads/work:refs/heads/{branch}"
            refused = porcelain.push(repo, remote.url, refspec, **given).ref_status or {}
            for reason in refused.values():
                if reason:
                    lines = given["errstream"].getvalue().decode()
                    raise PushRefused(f"{lines}\n{reason}")
            return made.decode()
        finally:
            repo.close()


@asynccontextmanager
async def github() -> AsyncIterator[Place]:
    """A GitHub Enterprise with a classic token."""
    with running_host(GitHubSurface) as server:
        server.world.add_account("erin")
        server.world.add_account("otto")
        server.world.add_organization("acme", owner="erin")
        server.world.add_team("acme", "developers")
        token = server.world.add_token("erin", {"repo", "workflow", "delete_repo"})
        access = HostAccess(HostKind.GITHUB, server.url, "work", "acme", StaticToken(token.value))
        workflow = (".github/workflows/ci.yml", "on: workflow_dispatch\n")
        async with open_github(access, patience=SOON) as host:
            yield Place(
                host,
                account="erin",
                owner="acme",
                other="otto",
                team="developers",
                workflow=workflow,
                workflow_name="ci.yml",
                creation=r"POST .*/repos$",
                server=server,
                access=access,
            )


@asynccontextmanager
async def gitlab() -> AsyncIterator[Place]:
    """A GitLab with a personal token."""
    with running_host(GitLabSurface) as server:
        server.world.add_account("erin")
        server.world.add_account("otto")
        server.world.add_organization("acme", owner="erin")
        server.world.add_organization("acme/developers")
        token = server.world.add_token("erin", {"api"}, prefix="glpat-")
        access = HostAccess(HostKind.GITLAB, server.url, "work", "acme", StaticToken(token.value))
        workflow = (".gitlab-ci.yml", "test:\n  script: make test\n")
        async with open_gitlab(access, patience=SOON) as host:
            yield Place(
                host,
                account="erin",
                owner="acme",
                other="otto",
                team="acme/developers",
                workflow=workflow,
                workflow_name="",
                creation=r"POST .*/projects$",
                secrets=MASKED,
                server=server,
                access=access,
            )


@asynccontextmanager
async def gitea(surface: type[GiteaSurface] = GiteaSurface) -> AsyncIterator[Place]:
    """A Gitea with a token of narrow scopes."""
    with running_host(surface) as server:
        server.world.add_account("erin")
        server.world.add_account("otto")
        acme = server.world.add_organization("acme", owner="erin")
        server.world.add_team("acme", "developers")
        acme.options["teams"] = {"developers": "admin"}
        scopes = {"write:repository", "write:organization", "write:user"}
        token = server.world.add_token("erin", scopes, prefix="")
        access = HostAccess(HostKind.GITEA, server.url, "work", "acme", StaticToken(token.value))
        workflow = (".gitea/workflows/ci.yml", "on: workflow_dispatch\n")
        async with open_gitea(access, patience=SOON) as host:
            yield Place(
                host,
                account="erin",
                owner="acme",
                other="otto",
                team="developers",
                workflow=workflow,
                workflow_name="ci.yml",
                creation=r"POST .*/(user|acme)/repos$",
                server=server,
                access=access,
            )


def forgejo() -> AbstractAsyncContextManager[Place]:
    """A Forgejo, in the same way."""
    return gitea(ForgejoSurface)


@asynccontextmanager
async def live(
    access: HostAccess,
    host: AbstractAsyncContextManager[GitHost],
    workflow: tuple[str, str],
    **fields: Any,
) -> AsyncIterator[Place]:
    """A real host, with the accounts that the environment names."""
    async with host as opened:
        place = Place(
            opened,
            account=(await opened.identity()).account,
            owner=access.account,
            other=os.environ[f"{_live_name(access.kind)}_OTHER"],
            team=os.environ[f"{_live_name(access.kind)}_TEAM"],
            workflow=workflow,
            workflow_name=workflow[0].rpartition("/")[2],
            **fields,
        )
        try:
            yield place
        finally:
            await _clean_up(place)


def live_github() -> AbstractAsyncContextManager[Place]:
    """The real github.com."""
    access = _live_access(HostKind.GITHUB, "https://github.com")
    return live(access, open_github(access), (".github/workflows/ci.yml", _LIVE_WORKFLOW))


def live_gitlab() -> AbstractAsyncContextManager[Place]:
    """The real gitlab.com, or the host that the environment names."""
    access = _live_access(HostKind.GITLAB, "https://gitlab.com")
    return live(access, open_gitlab(access), (".gitlab-ci.yml", _LIVE_PIPELINE), secrets=MASKED)


def live_gitea() -> AbstractAsyncContextManager[Place]:
    """The real Gitea or Forgejo that the environment names."""
    access = _live_access(HostKind.GITEA, "")
    return live(access, open_gitea(access), (".gitea/workflows/ci.yml", _LIVE_WORKFLOW))


def _live_name(kind: HostKind) -> str:
    return f"STEPWAY_LIVE_{kind.upper()}"


def _live_access(kind: HostKind, url: str) -> HostAccess:
    name = _live_name(kind)
    token = StaticToken(os.environ[f"{name}_TOKEN"])
    url = os.environ.get(f"{name}_URL", url)
    return HostAccess(kind, url, "live", os.environ[f"{name}_ORGANIZATION"], token)


async def _clean_up(place: Place) -> None:
    """Delete what the test has created, by its mark."""
    for spec in place.specs:
        found = await place.host.find_repository(spec.owner, spec.name)
        if found is not None and found.project_id == spec.project_id:
            await place.host.delete_repository(found)


_LIVE_WORKFLOW = """\
on:
  workflow_dispatch:
    inputs: {size: {type: string}, dry: {type: string}}
jobs:
  nothing:
    runs-on: ubuntu-latest
    steps: [{run: "true"}]
"""

_LIVE_PIPELINE = """\
spec:
  inputs:
    size: {type: number, default: 1}
    dry: {type: boolean, default: false}
---
nothing:
  script: "true"
"""

PLACES: dict[str, Callable[[], AbstractAsyncContextManager[Place]]] = {
    "github": github,
    "gitlab": gitlab,
    "gitea": gitea,
    "forgejo": forgejo,
}

_LIVE = {
    HostKind.GITHUB: live_github,
    HostKind.GITLAB: live_gitlab,
    HostKind.GITEA: live_gitea,
}

for _kind, _open in _LIVE.items():
    if os.environ.get(f"{_live_name(_kind)}_TOKEN"):
        PLACES[f"live-{_kind}"] = _open
