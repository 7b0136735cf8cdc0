"""A stage for the steps of repositories: a host, a project, a template, and what was pushed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from dulwich.objects import Commit, Tree
from dulwich.repo import Repo
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from stepway.activities.credentials.credentials import Credentials
from stepway.activities.git.remote import SshKey
from stepway.activities.gitops.deploy_key import DeployKeys
from stepway.activities.gitops.in_cluster import ClusterGitops
from stepway.activities.gitops.in_repository import RepositoryGitops
from stepway.activities.gitops.setup_gitops import GitopsSteps
from stepway.activities.project import ProjectRef
from stepway.activities.repository.create_repository import (
    CreateRepositoryInput,
    DeleteRepositoryInput,
    RepositorySteps,
)
from stepway.activities.repository.push_template import (
    PushTemplateInput,
    TemplateSteps,
    WithdrawTemplateInput,
)
from stepway.activities.templates.cache import TemplateCache
from stepway.activities.templates.pins import TemplatePins
from stepway.activities.templates.source import TemplateSource
from stepway.blueprints.template_rules import TemplateRules
from stepway.clusters.cluster import Cluster
from stepway.hosts.host import GitHost, HostRepository
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.vault import Vault
from tests.integration.hosts.places import Place

BINARY = bytes(range(256)) * 40
CREDENTIAL = "work"
_NO_DATABASE = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")


class _Temporal:
    """Takes the heartbeats that a step sends by the client; on_heartbeat gets them as well."""

    def get_async_activity_handle(self, *, task_token: bytes) -> _Temporal:
        return self

    async def heartbeat(self, *details: Any) -> None:
        pass


@dataclass
class Stage:
    """A host, a project, and the steps with their heartbeats."""

    place: Place
    folder: Path
    project: ProjectRef
    heartbeats: list[Any] = field(default_factory=list)
    key: SshKey | None = None

    @asynccontextmanager
    async def open(self, credential: str, project: ProjectRef) -> AsyncIterator[GitHost]:
        assert (credential, project) == (CREDENTIAL, self.project)
        yield self.place.host

    async def no_key(self, credential: str, project: ProjectRef) -> SshKey:
        raise AssertionError("no step asks for a key")

    async def open_key(self, credential: str, project: ProjectRef) -> SshKey:
        assert self.key is not None
        assert (credential, project) == (self.key.credential, self.project)
        return self.key

    @asynccontextmanager
    async def no_cluster(self, credential: str, project: ProjectRef) -> AsyncIterator[Cluster]:
        raise AssertionError("no step asks for a cluster")
        yield

    def gitops(self) -> GitopsSteps:
        """The steps that write to a GitOps repository, without clusters."""
        credentials = Credentials(Vault(_NO_DATABASE, Keyring(parse_keys(new_key("stage")))))
        keys = DeployKeys(self.open, credentials)
        return GitopsSteps(
            RepositoryGitops(self.folder, self.open, self.no_key),
            ClusterGitops(self.no_cluster, credentials, keys),
        )

    async def no_access(self, credential: str, project: ProjectRef, url: str) -> Any:
        raise AssertionError("no template is from Git")

    def templates(self) -> TemplateSource:
        """Templates from folders alone, so that no database is asked."""
        cache = TemplateCache(self.folder.parent / "cache")
        rules = TemplateRules()
        return TemplateSource(
            [self.folder], rules, cache, TemplatePins(_NO_DATABASE), self.no_access
        )

    @property
    def where(self) -> dict[str, Any]:
        return {"credential": CREDENTIAL, "namespace": self.place.owner}

    async def run(self, step: Callable[..., Any], given: Any, kept: Sequence[Any] = ()) -> Any:
        """Run a step; `kept` are the heartbeat's details of an attempt before."""
        environment = ActivityEnvironment(client=cast("Client", _Temporal()))
        environment.info = replace(environment.info, heartbeat_details=list(kept))
        environment.on_heartbeat = lambda *details: self.heartbeats.extend(details[:1])
        return await environment.run(step, given)

    async def create(self, **more: Any) -> Any:
        steps = RepositorySteps(self.open)
        given = CreateRepositoryInput(self.project, **{**self.where, **more})
        return await self.run(steps.create_repository, given)

    async def delete(self, **more: Any) -> Any:
        steps = RepositorySteps(self.open)
        given = DeleteRepositoryInput(self.project, **{**self.where, **more})
        return await self.run(steps.delete_repository, given)

    async def push(self, **more: Any) -> Any:
        given = PushTemplateInput(self.project, "mine", {}, **{**self.where, **more})
        steps = TemplateSteps(self.open, self.open_key, self.templates())
        return await self.run(steps.push_template, given)

    async def withdraw(self, result: Any, **more: Any) -> Any:
        given = WithdrawTemplateInput(self.project, result=vars(result), **{**self.where, **more})
        steps = TemplateSteps(self.open, self.open_key, self.templates())
        return await self.run(steps.withdraw_template, given)

    async def existing(self) -> HostRepository:
        """A repository of the project's name that somebody has created without Stepway."""
        assert self.place.server is not None
        self.place.server.world.add_repository(self.place.owner, self.project.name)
        return await self.found()

    async def found(self) -> HostRepository:
        """The project's repository, as the host's client sees it."""
        found = await self.place.host.find_repository(self.place.owner, self.project.name)
        assert found is not None
        return found

    @property
    def path(self) -> Path:
        """The bare repository of the project on the host."""
        return self._path_of(self.project.name)

    def _path_of(self, repository: str) -> Path:
        assert self.place.server is not None
        found = self.place.server.world.find(f"{self.place.owner}/{repository}")
        assert found is not None
        return found.path

    def refs(self) -> dict[str, str]:
        with Repo(str(self.path)) as repo:
            found = repo.get_refs()
        return {
            name.decode(): commit.decode()
            for name, commit in found.items()
            if name.startswith(b"refs/heads/")
        }

    def files(
        self, branch: str = "main", repository: str | None = None
    ) -> dict[str, tuple[int, bytes]]:
        with Repo(str(self._path_of(repository or self.project.name))) as repo:
            head = repo[repo.refs[f"refs/heads/{branch}".encode()]]
            assert isinstance(head, Commit)
            tree = repo[head.tree]
            assert isinstance(tree, Tree)
            return dict(_files(repo, tree, ""))

    def commits(self, branch: str = "main") -> list[str]:
        with Repo(str(self.path)) as repo:
            head = repo.refs[f"refs/heads/{branch}".encode()]
            return [entry.commit.id.decode() for entry in repo.get_walker(include=[head])]


def _files(repo: Repo, tree: Tree, prefix: str) -> Iterator[tuple[str, tuple[int, bytes]]]:
    for name, mode, found in tree.iteritems():
        one = repo[found]
        path = f"{prefix}{name.decode()}"
        if isinstance(one, Tree):
            yield from _files(repo, one, f"{path}/")
        else:
            yield path, (mode, one.data)


def new_stage(place: Place, folder: Path) -> Stage:
    """Return a stage with the template `mine` below `folder`."""
    mine = folder / "mine"
    (mine / "bin").mkdir(parents=True)
    (mine / "README.md.jinja").write_text("# {{ project_name }}\n")
    (mine / "copier.yml").write_text("_preserve_symlinks: true\n")
    (mine / "bin" / "serve").write_text("#!/bin/sh\n")
    (mine / "bin" / "serve").chmod(0o755)
    (mine / "empty").touch()
    (mine / "picture.bin").write_bytes(BINARY)
    (mine / "读我.txt").write_text("你好\n")
    (mine / "link").symlink_to("README.md")
    return Stage(place, folder, ProjectRef(str(uuid4()), f"shop-{uuid4().hex[:8]}", "erin"))
