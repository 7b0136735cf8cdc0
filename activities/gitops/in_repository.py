"""Sets a project's deployment up in a GitOps repository, by committing Flux's manifests there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo
from temporalio import activity

from stepway.activities.beats import Beats, beating
from stepway.activities.git.local_host import LocalHost
from stepway.activities.git.remote import Remote
from stepway.activities.git.repositories import (
    FILE_MODE,
    Change,
    add_files,
    commit_with_id,
    create_bare,
    folder_of,
    locked,
    pack_when_many,
)
from stepway.activities.gitops.commits import Committed, Plan, Writing
from stepway.activities.gitops.manifests import (
    ENVIRONMENT_PREFIX,
    NAMESPACE_FILE,
    Deployment,
    manifests,
    owner_of,
)
from stepway.activities.hosts import LOCAL, OpenHost, host_errors
from stepway.activities.project import ProjectRef, manifests_path
from stepway.activities.repository.keys import OpenKey
from stepway.activities.repository.target import (
    OnRepository,
    opened_host,
    own_repository,
    owner_on,
    remote_to_push_to,
)
from stepway.activities.rollback import left_behind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import Feature, GitHost, GitRemote, HostRepository, PullRequestSpec
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress

_REPOSITORY_ID = "gitops"
_ONE_MACHINE = "Without a GitOps repository or a cluster, `setup_gitops` works on one machine only"


@dataclass(frozen=True)
class GitopsRepository:
    """A GitOps repository on a Git host, shared by projects; `namespace` and `repository` name it.

    The manifests are committed to its default branch, or proposed there by a pull request.
    """

    credential: str
    namespace: str
    repository: str
    change: Literal["commit", "pull_request"] = "commit"
    ssh_credential: str | None = None


@dataclass(frozen=True)
class InRepository:
    """What was committed: `files` by name, in the repository at `url`.

    `place` names the machine of a repository in a data folder.
    """

    made: Committed
    url: str
    files: list[str]
    place: dict[str, Any] | None


class RepositoryGitops:
    """Commits to a GitOps repository: by default `data_dir`/gitops.git, which projects share."""

    def __init__(self, data_dir: Path, hosts: OpenHost, key: OpenKey) -> None:
        self._path = data_dir / "gitops.git"
        self._hosts = hosts
        self._key = key

    async def set_up(self, deployment: Deployment, target: GitopsRepository | None) -> InRepository:
        """Commit the manifests unless the branch already contains them. Raises step_error."""
        async with beating() as beats:
            beats.say(Progress(10, "Writing manifests"))
            files = manifests(deployment)
            beats.say(Progress(40, "Committing manifests"))

            def plan(repo: Repo, head: Commit | None) -> list[Change]:
                return _put(repo, head, deployment.project, files)

            made, url = await self._commit(deployment.project, target, "Deploy", plan, beats)
            place = await self._place(deployment.project, beats) if target is None else None
        return InRepository(made, url, list(files), place)

    async def remove(
        self, project: ProjectRef, target: GitopsRepository | None, made: dict[str, Any]
    ) -> list[str]:
        """Remove the project's manifests, or withdraw the pull request that has them.

        `made` is the result of the step, or empty: then a repository that does not exist has none
        of them. Raises step_error if the manifests were changed.
        """
        path = manifests_path(project)
        async with beating() as beats:
            if target is not None and not made and not await self._exists(project, target):
                return []
            if (withdrawn := await self._withdraw(project, target, made, beats)) is not None:
                return withdrawn
            found: list[str] = []

            def plan(repo: Repo, head: Commit | None) -> list[Change]:
                changes = _take_out(repo, head, project, made)
                found[:] = [path] if changes else []
                return changes

            await self._commit(project, target, "Remove", plan, beats)
        return found

    async def _commit(
        self,
        project: ProjectRef,
        target: GitopsRepository | None,
        verb: str,
        plan: Plan,
        beats: Beats,
    ) -> tuple[Committed, str]:
        """Commit what `plan` changes; return the commit, and the URL of the repository."""
        message = f"{verb} {project.owner}/{project.name}"
        if target is None:
            await self._refuse_elsewhere(project)
            with host_errors():
                remote = Remote(GitRemote(str(self._path), "", ""), "gitops", "local")
                writing = Writing(remote, "main", project, message, plan, beats)
                await beats.in_thread(self._ensure_local)
                return await beats.in_thread(writing.commit), str(self._path)
        async with opened_host(self._hosts, _on(project, target)) as host:
            repository, remote = await self._opened(host, project, target)
            main = repository.default_branch or "main"
            writing = Writing(remote, main, project, message, plan, beats)
            if target.change == "commit":
                return await beats.in_thread(writing.commit), repository.clone_url
            _refuse_without_pull_requests(host)
            branch = f"stepway/{verb.lower()}-{project.owner}-{project.name}"
            made = await beats.in_thread(partial(writing.propose, branch))
            if made.branch == main:
                return made, repository.clone_url
            request = await host.open_pull_request(
                repository, PullRequestSpec(branch, main, message, _body(project))
            )
            opened = {"number": request.number, "url": request.url}
            return Committed(made.commit, branch, made.tree, opened), repository.clone_url

    @asynccontextmanager
    async def _local(self, project: ProjectRef) -> AsyncIterator[LocalHost]:
        with host_errors():
            async with self._hosts(LOCAL, project) as host:
                assert isinstance(host, LocalHost)
                yield host

    async def _refuse_elsewhere(self, project: ProjectRef) -> None:
        """Raise step_error if files of the project are in another data folder."""
        async with self._local(project) as host:
            if (places := await host.is_elsewhere()) is not None:
                made, here = places
                raise step_error(
                    f"The worker {made.worker} wrote files of the project on the machine "
                    f"{made.machine}; the worker {here.worker} on {here.machine} has no access to "
                    f"them. {_ONE_MACHINE}",
                    remedy="Name a GitOps repository or a cluster, share the data folder among the "
                    f"workers, or stop the workers that are not on {made.machine}; then retry.",
                )

    async def _place(self, project: ProjectRef, beats: Beats) -> dict[str, Any]:
        """Return this place; warn of other machines."""
        async with self._local(project) as host:
            if (other := await host.other_place()) is not None:
                text = (
                    f"The worker {other.worker} wrote files of projects on the machine "
                    f"{other.machine}. {_ONE_MACHINE}"
                )
                activity.logger.warning("%s: name a GitOps repository or a cluster", text)
                beats.say(Progress(90, text))
            return asdict(await host.place())

    async def _withdraw(
        self,
        project: ProjectRef,
        target: GitopsRepository | None,
        made: dict[str, Any],
        beats: Beats,
    ) -> list[str] | None:
        """Close the pull request of the step; None if there is none, or it was merged."""
        request = made.get("pull_request")
        if not request or target is None:
            return None
        async with opened_host(self._hosts, _on(project, target)) as host:
            repository, remote = await self._opened(host, project, target)
            found = await host.find_pull_request(repository, request["number"])
            if found.state == "merged":
                return None
            removed = []
            if await host.close_pull_request(repository, found.number):
                removed.append(found.url)
            branch, commit = made["branch"], made["commit"]
            if await beats.in_thread(lambda: remote.delete_branch(branch, commit, beats.check)):
                removed.append(branch)
            return removed

    async def _exists(self, project: ProjectRef, target: GitopsRepository) -> bool:
        given = _on(project, target)
        async with opened_host(self._hosts, given) as host:
            owner = await owner_on(host, given)
            return await host.find_repository(owner, given.repository_name) is not None

    async def _opened(
        self, host: GitHost, project: ProjectRef, target: GitopsRepository
    ) -> tuple[HostRepository, Remote]:
        given = _on(project, target)
        repository = await own_repository(host, given)
        remote = await remote_to_push_to(host, repository, given, self._key, target.ssh_credential)
        return repository, remote

    def _ensure_local(self) -> None:
        with locked(self._path):
            if not self._path.exists():
                create_bare(self._path, _REPOSITORY_ID)
            # Each project adds some objects, and nothing else ever packs them.
            pack_when_many(self._path)


def _on(project: ProjectRef, target: GitopsRepository) -> OnRepository:
    return OnRepository(
        project,
        credential=target.credential,
        namespace=target.namespace,
        repository=target.repository,
        mode="import",
    )


def _body(project: ProjectRef) -> str:
    return f"Stepway changes the manifests of {project.owner}/{project.name}."


def _refuse_without_pull_requests(host: GitHost) -> None:
    if Feature.PULL_REQUESTS not in host.features:
        raise HostError(
            Reason.UNSUPPORTED,
            "The host of the GitOps repository has no pull requests",
            remedy="Use `change: commit` in the blueprint.",
        )


def _put(
    repo: Repo, head: Commit | None, project: ProjectRef, files: dict[str, str]
) -> list[Change]:
    path = manifests_path(project)
    folder = folder_of(repo, head, path) if head is not None else None
    if folder is not None and not _is_ours(repo, folder, project):
        raise step_error(
            f"{path} in the GitOps repository belongs to another project",
            remedy="Choose another name, or move these manifests away, then retry.",
            retry=False,
        )
    written = add_files(
        repo, ((f"{path}/{name}", text.encode(), FILE_MODE) for name, text in files.items())
    )
    present = {name.decode() for name in folder} if folder is not None else set()
    stale = {n for n in present - set(files) if n.startswith(ENVIRONMENT_PREFIX)}
    return [*written, *((f"{path}/{name}".encode(), None, None) for name in sorted(stale))]


def _take_out(
    repo: Repo, head: Commit | None, project: ProjectRef, made: dict[str, Any]
) -> list[Change]:
    path = manifests_path(project)
    folder = folder_of(repo, head, path) if head is not None else None
    if folder is None:
        return []
    if not _is_ours(repo, folder, project):
        raise left_behind(f"The folder {path}", "its manifests belong to another project")
    if made and folder.id.decode() != _made_tree(repo, made, path):
        raise left_behind(f"The folder {path}", "its manifests were changed in the meantime")
    return [(f"{path}/{name.decode()}".encode(), None, None) for name in folder]


def _made_tree(repo: Repo, result: dict[str, Any], path: str) -> str | None:
    """Return the ID of the folder that setup_gitops made; from its commit if it has no `tree`."""
    if result.get("tree"):
        return str(result["tree"])
    made = commit_with_id(repo, str(result.get("commit")))
    folder = folder_of(repo, made, path) if made is not None else None
    return folder.id.decode() if folder is not None else None


def _is_ours(repo: Repo, folder: Tree, project: ProjectRef) -> bool:
    if NAMESPACE_FILE.encode() not in folder:
        return False
    namespace = repo[folder[NAMESPACE_FILE.encode()][1]]
    return isinstance(namespace, Blob) and owner_of(namespace.data) == project.id
