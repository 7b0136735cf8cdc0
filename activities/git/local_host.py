"""The host `local`: bare repositories in the data folder of one machine."""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo
from temporalio.exceptions import ApplicationError

from stepway.activities.git.places import Place, Places
from stepway.activities.git.repositories import (
    MAIN,
    create_bare,
    created_at,
    has_only_commits_for,
    head_of,
    locked,
    project_of,
)
from stepway.activities.project import ProjectRef, repository_path, working_tree_path
from stepway.activities.rollback import left_behind
from stepway.hosts.access import HostKind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import (
    BranchRules,
    CommitStatus,
    DeployEnvironment,
    DeployKey,
    Feature,
    GitRemote,
    HostRepository,
    Identity,
    Permission,
    PipelineRun,
    PullRequest,
    PullRequestSpec,
    RepositorySpec,
    Visibility,
    WebhookSpec,
)
from stepway_tracking.worker.attempt import WORKER

_MARKER = ".stepway-folder"


class LocalHost:
    """Repositories under `data_dir` that belong to the owner of `project`.

    `places` knows on which machine the project's repository was created.
    """

    kind = HostKind.LOCAL
    features: frozenset[Feature] = frozenset()

    def __init__(self, data_dir: Path, project: ProjectRef, places: Places) -> None:
        self._data_dir = data_dir
        self._project = project
        self._places = places
        self.account = project.owner

    async def place(self) -> Place:
        """Return where this worker has its repositories."""
        folder = await asyncio.to_thread(self._folder_id)
        return Place(folder, platform.node(), WORKER)

    async def other_place(self) -> Place | None:
        """Return the place of another machine that recently wrote to its data folder, or None."""
        return await self._places.other_than((await self.place()).folder)

    async def is_elsewhere(self) -> tuple[Place, Place] | None:
        """Return where the project's files are, and this place; None if that is the same folder."""
        made, here = await self._places.of_project(self._project.id), await self.place()
        return (made, here) if made is not None and made.folder != here.folder else None

    async def identity(self) -> Identity:
        """Return the project's owner."""
        return Identity(self.account)

    async def find_repository(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository; None if there is no folder of that name."""
        path = self._path(owner, name)
        found = await asyncio.to_thread(_described, path, owner, name)
        if found is None:
            await self._refuse_elsewhere(owner, name)
        return found

    async def create_repository(self, spec: RepositorySpec) -> HostRepository:
        """Create the bare repository, or return the one of this project."""
        path = self._path(spec.owner, spec.name)
        if not path.exists():
            await self._refuse_elsewhere(spec.owner, spec.name)
        await asyncio.to_thread(_create, path, spec)
        found = await asyncio.to_thread(_described, path, spec.owner, spec.name)
        assert found is not None
        return found

    async def delete_repository(self, repository: HostRepository) -> bool:
        """Delete the repository."""
        path = Path(repository.clone_url)
        return bool(await asyncio.to_thread(self._delete, path, False))

    async def take_back(self, owner: str, name: str) -> list[str]:
        """Delete the project's repository and working tree; return the paths that were removed.

        Raises step_error if it belongs to another project or has new commits.
        """
        path = self._path(owner, name)
        removed = await asyncio.to_thread(self._delete, path, True)
        if not removed:
            await self._refuse_elsewhere(owner, name)
        return removed

    async def branch_head(self, repository: HostRepository, branch: str) -> str | None:
        """Return the ID of the branch's newest commit."""

        def head() -> str | None:
            with Repo(repository.clone_url) as repo:
                found = repo.get_refs().get(Ref(f"refs/heads/{branch}".encode()))
            return found.decode() if found else None

        return await asyncio.to_thread(head)

    async def remote(self, repository: HostRepository) -> GitRemote:
        """Return the repository's path."""
        return GitRemote(repository.clone_url, "", "")

    async def put_collaborator(
        self, repository: HostRepository, account: str, permission: Permission
    ) -> None:
        """Raise HostError."""
        _lacks(Feature.COLLABORATORS)

    async def remove_collaborator(self, repository: HostRepository, account: str) -> bool:
        """Raise HostError."""
        _lacks(Feature.COLLABORATORS)

    async def put_team(self, repository: HostRepository, team: str, permission: Permission) -> None:
        """Raise HostError."""
        _lacks(Feature.TEAMS)

    async def remove_team(self, repository: HostRepository, team: str) -> bool:
        """Raise HostError."""
        _lacks(Feature.TEAMS)

    async def put_environment(
        self, repository: HostRepository, environment: DeployEnvironment
    ) -> None:
        """Raise HostError."""
        _lacks(Feature.ENVIRONMENTS)

    async def remove_environment(self, repository: HostRepository, name: str) -> bool:
        """Raise HostError."""
        _lacks(Feature.ENVIRONMENTS)

    async def put_secret(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Raise HostError."""
        _lacks(Feature.SECRETS)

    async def remove_secret(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Raise HostError."""
        _lacks(Feature.SECRETS)

    async def put_variable(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Raise HostError."""
        _lacks(Feature.VARIABLES)

    async def remove_variable(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Raise HostError."""
        _lacks(Feature.VARIABLES)

    async def ssh_host_keys(self) -> list[str]:
        """Return nothing: nobody reaches these folders over SSH."""
        return []

    async def deploy_keys(self, repository: HostRepository) -> list[DeployKey]:
        """Not on this host."""
        _lacks(Feature.DEPLOY_KEYS)

    async def add_deploy_key(
        self, repository: HostRepository, title: str, key: str, *, read_only: bool = True
    ) -> str:
        """Raise HostError."""
        _lacks(Feature.DEPLOY_KEYS)

    async def remove_deploy_key(self, repository: HostRepository, key_id: str) -> bool:
        """Raise HostError."""
        _lacks(Feature.DEPLOY_KEYS)

    async def add_webhook(self, repository: HostRepository, webhook: WebhookSpec) -> str:
        """Raise HostError."""
        _lacks(Feature.WEBHOOKS)

    async def remove_webhook(self, repository: HostRepository, webhook_id: str) -> bool:
        """Raise HostError."""
        _lacks(Feature.WEBHOOKS)

    async def protect_branch(self, repository: HostRepository, rules: BranchRules) -> None:
        """Raise HostError."""
        _lacks(Feature.BRANCH_PROTECTION)

    async def unprotect_branch(self, repository: HostRepository, branch: str) -> bool:
        """Raise HostError."""
        _lacks(Feature.BRANCH_PROTECTION)

    async def open_pull_request(
        self, repository: HostRepository, spec: PullRequestSpec
    ) -> PullRequest:
        """Raise HostError."""
        _lacks(Feature.PULL_REQUESTS)

    async def find_pull_request(self, repository: HostRepository, number: int) -> PullRequest:
        """Raise HostError."""
        _lacks(Feature.PULL_REQUESTS)

    async def close_pull_request(self, repository: HostRepository, number: int) -> bool:
        """Raise HostError."""
        _lacks(Feature.PULL_REQUESTS)

    async def newest_run(
        self, repository: HostRepository, workflow: str, ref: str
    ) -> PipelineRun | None:
        """Return None: there are no pipelines."""
        return None

    async def dispatch(
        self,
        repository: HostRepository,
        workflow: str,
        ref: str,
        inputs: dict[str, Any],
        after: PipelineRun | None = None,
    ) -> str:
        """Raise HostError."""
        _lacks(Feature.DISPATCH)

    async def set_commit_status(
        self, repository: HostRepository, commit: str, status: CommitStatus
    ) -> None:
        """Raise HostError."""
        _lacks(Feature.COMMIT_STATUS)

    async def missing_scopes(self, needed: Sequence[Feature], *, workflows: bool) -> list[str]:
        """Return an empty list: there is no token."""
        return []

    def _path(self, owner: str, name: str) -> Path:
        project = ProjectRef(self._project.id, name, owner)
        return repository_path(self._data_dir, project)

    async def _refuse_elsewhere(self, owner: str, name: str) -> None:
        """Raise HostError if the project's repository was created in another data folder."""
        if (places := await self.is_elsewhere()) is not None:
            made, here = places
            raise HostError(
                Reason.CONFLICT,
                f"The worker {made.worker} created the repository {owner}/{name} on the machine "
                f"{made.machine}; the worker {here.worker} on {here.machine} has no access to it. "
                "The host `local` works on one machine only",
                remedy="Use the credential of a Git host, share the data folder among the workers, "
                f"or stop the workers that are not on {made.machine}; then retry.",
            )

    def _folder_id(self) -> str:
        repositories = self._data_dir / "repositories"
        repositories.mkdir(parents=True, exist_ok=True)
        marker = repositories / _MARKER
        if not marker.exists():
            unfinished = repositories / f"{_MARKER}.{uuid4().hex}"
            unfinished.write_text(f"{uuid4()}\n")
            try:
                marker.hardlink_to(unfinished)
            except FileExistsError:
                pass  # another worker was first
            finally:
                unfinished.unlink()
        return marker.read_text().strip()

    def _delete(self, path: Path, check: bool) -> list[str]:
        project = self._project
        aside = path.with_name(f".{path.name}.deleted")
        with locked(path):
            # Move it before the check, so that no push can arrive after the check.
            if path.exists():
                if check and project_of(path) != project.id:
                    raise left_behind(_named(path), "it belongs to another project")
                path.rename(aside)
            if not aside.exists():
                return []
            try:
                if check:
                    _refuse_pushed(aside, path, project)
            except ApplicationError:
                aside.rename(path)
                raise
            shutil.rmtree(aside)
            shutil.rmtree(working_tree_path(self._data_dir, project), ignore_errors=True)
        return [str(path)]


def _create(path: Path, spec: RepositorySpec) -> None:
    with locked(path):
        if not path.exists():
            create_bare(path, spec.project_id)
        elif (project := project_of(path)) != spec.project_id:
            whose = f"the Stepway project {project}" if project else "no Stepway project"
            raise HostError(
                Reason.NAME_TAKEN,
                f"The repository {spec.owner}/{spec.name} exists already and belongs to {whose}",
                remedy=f"Move the folder {path} away, then retry; or cancel this project and "
                "create it under another name.",
            )


def _described(path: Path, owner: str, name: str) -> HostRepository | None:
    if not path.exists():
        return None
    created, empty = None, True
    project = project_of(path)
    if project is not None:
        with Repo(str(path)) as repo:
            created = datetime.fromtimestamp(created_at(repo), UTC)
            empty = head_of(repo) is None
    return HostRepository(
        id=str(path),
        owner=owner,
        name=name,
        web_url="",
        clone_url=str(path),
        ssh_url="",
        default_branch="main",
        visibility=Visibility.PRIVATE,
        project_id=project,
        empty=empty,
        created_at=created,
    )


def _refuse_pushed(aside: Path, path: Path, project: ProjectRef) -> None:
    with Repo(str(aside)) as repo:
        head = head_of(repo)
        moved = {MAIN} if head and not has_only_commits_for(repo, head.id, project.id) else set()
        others = set(repo.refs.allkeys()) - {HEADREF, MAIN}
    if pushed := sorted(moved | others):
        refs = b", ".join(pushed).decode(errors="replace")
        raise left_behind(_named(path), f"it has new commits ({refs})")


def _named(path: Path) -> str:
    return f"The repository {path.parent.name}/{path.stem}"


def _lacks(feature: Feature) -> NoReturn:
    raise HostError(
        Reason.UNSUPPORTED,
        f"The local host has no {feature.value.replace('_', ' ')}",
        remedy="Use the credential of another host, or remove the step from the blueprint.",
    )
