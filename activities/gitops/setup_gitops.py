"""setup_gitops and its undo: commit and remove a project's manifests in the GitOps repository."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.repo import Repo
from temporalio import activity

from stepway.activities.beats import Beats, beating
from stepway.activities.cluster.apply_manifests import AppliedObject
from stepway.activities.database.create_environments import EnvironmentSpec, environment_specs
from stepway.activities.git.keys import OpenKey
from stepway.activities.git.local_host import LocalHost
from stepway.activities.git.remote import Remote
from stepway.activities.git.repositories import (
    FILE_MODE,
    Change,
    add_commit,
    add_files,
    changed_tree,
    commit_with_id,
    create_bare,
    folder_of,
    is_made_for,
    locked,
    pack_when_many,
)
from stepway.activities.git.target import OnRepository, opened_host, own_repository, remote_of
from stepway.activities.gitops.in_cluster import ClusterGitops, GitopsCluster
from stepway.activities.gitops.manifests import (
    ENVIRONMENT_PREFIX,
    NAMESPACE_FILE,
    Deployment,
    PullSecret,
    cluster_url,
    manifests,
    namespace_name,
    needed_secret,
    owner_of,
    secret_name,
)
from stepway.activities.hosts import LOCAL, OpenHost, host_errors
from stepway.activities.project import ProjectRef, manifests_path
from stepway.activities.rollback import Removed, left_behind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import Feature, GitHost, GitRemote, HostRepository, PullRequestSpec
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped

_TRIES = 20
_REPOSITORY_ID = "gitops"
_ONE_MACHINE = "Without a GitOps repository or a cluster, `setup_gitops` works on one machine only"

Plan = Callable[[Repo, Commit | None], list[Change]]


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
class SetupGitopsInput:
    """`url` is the project's repository; clusters reach a path over SSH on `git_host`.

    Flux follows its `branch`. With a `visibility` other than `public`, the manifests refer to a
    Secret, which people create in the cluster. `gitops` is the repository of the manifests;
    `cluster` is a cluster in which they are applied instead. Without either, they go to the
    repository `gitops.git` in the worker's data folder, which is for one machine. Without `deploy`
    or `environments` the step is skipped.
    """

    project: ProjectRef
    url: str
    environments: list[EnvironmentSpec | str] | None = None
    deploy: bool = True
    git_host: str = "localhost"
    gitops: GitopsRepository | None = None
    cluster: GitopsCluster | None = None
    branch: str = "main"
    visibility: str | None = None


@dataclass(frozen=True)
class GitopsSetUp:
    """`path` is the folder of the manifests in the GitOps repository, `commit` contains them.

    `tree` is the folder's ID in Git, from which a rollback sees whether it was changed. The commit
    is on `branch`; a `pull_request` (`number`, `url`) may lead from there to the default branch.
    In a cluster, `url` is its address, and `objects` are those that were applied. `secret` is one
    that people must create in the cluster: no secret is ever written to Git. `place` names the
    machine of a repository in a data folder.
    """

    path: str
    commit: str
    url: str
    namespace: str
    manifests: list[str]
    tree: str = ""
    branch: str = "main"
    pull_request: dict[str, Any] | None = None
    objects: list[AppliedObject] = field(default_factory=list)
    secret: PullSecret | None = None
    place: dict[str, Any] | None = None


@dataclass(frozen=True)
class RemoveManifestsInput(SetupGitopsInput):
    """`result` is the result of setup_gitops."""

    result: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Committed:
    """A commit, the branch that it is on, and the ID of the project's folder in it."""

    commit: str
    branch: str
    tree: str
    pull_request: dict[str, Any] | None = None


class GitopsSteps:
    """Commits to a GitOps repository: by default `data_dir`/gitops.git, which projects share."""

    def __init__(
        self, data_dir: Path, hosts: OpenHost, key: OpenKey, clusters: ClusterGitops
    ) -> None:
        self._path = data_dir / "gitops.git"
        self._hosts = hosts
        self._key = key
        self._clusters = clusters

    @activity.defn
    async def setup_gitops(self, given: SetupGitopsInput) -> GitopsSetUp | Skipped:
        """Commit the manifests unless the branch already contains them, or apply them."""
        environments = environment_specs(given.environments)
        if not given.deploy:
            return Skipped("Deployment is turned off")
        if not environments:
            return Skipped("The project has no environments")
        deployment = Deployment(
            given.project,
            cluster_url(given.url, given.git_host),
            environments,
            branch=given.branch,
        )
        if given.cluster is not None:
            return await self._apply(given, deployment, given.cluster)
        if given.visibility not in (None, "public"):
            deployment = replace(deployment, secret=secret_name(given.project))
        async with beating() as beats:
            beats.say(Progress(10, "Writing manifests"))
            files = manifests(deployment)
            beats.say(Progress(40, "Committing manifests"))

            def plan(repo: Repo, head: Commit | None) -> list[Change]:
                return _put(repo, head, given.project, files)

            made, url = await self._commit(given, "Deploy", plan, beats)
            place = await self._place(given, beats) if given.gitops is None else None
        return GitopsSetUp(
            path=manifests_path(given.project),
            commit=made.commit,
            url=url,
            namespace=namespace_name(given.project),
            manifests=list(files),
            tree=made.tree,
            branch=made.branch,
            pull_request=made.pull_request,
            secret=needed_secret(deployment),
            place=place,
        )

    @activity.defn
    async def remove_manifests(self, given: RemoveManifestsInput) -> Removed:
        """Remove the project's manifests, or withdraw the pull request that has them.

        Raises step_error if the manifests were changed.
        """
        if given.cluster is not None:
            made = (given.result or {}).get("objects", [])
            return Removed(await self._clusters.remove(given.project, given.cluster, made))
        path = manifests_path(given.project)
        async with beating() as beats:
            if (withdrawn := await self._withdraw(given, beats)) is not None:
                return Removed(withdrawn)
            found: list[str] = []

            def plan(repo: Repo, head: Commit | None) -> list[Change]:
                changes = _take_out(repo, head, given)
                found[:] = [path] if changes else []
                return changes

            await self._commit(given, "Remove", plan, beats)
        return Removed(found)

    async def _apply(
        self, given: SetupGitopsInput, deployment: Deployment, cluster: GitopsCluster
    ) -> GitopsSetUp:
        if given.gitops is not None:
            raise step_error(
                "`gitops` and `cluster` were both given",
                remedy="Remove one of them from the blueprint.",
                retry=False,
            )
        server, applied = await self._clusters.set_up(deployment, cluster)
        return GitopsSetUp(
            path="",
            commit="",
            url=server,
            namespace=namespace_name(given.project),
            manifests=[],
            objects=applied,
        )

    async def _commit(
        self, given: SetupGitopsInput, verb: str, plan: Plan, beats: Beats
    ) -> tuple[_Committed, str]:
        """Commit what `plan` changes; return the commit, and the URL of the repository."""
        message = f"{verb} {given.project.owner}/{given.project.name}"
        target = given.gitops
        if target is None:
            await self._refuse_elsewhere(given)
            with host_errors():
                remote = Remote(GitRemote(str(self._path), "", ""), "gitops", "local")
                writing = _Writing(remote, "main", given.project, message, plan, beats)
                await beats.in_thread(self._ensure_local)
                return await beats.in_thread(writing.commit), str(self._path)
        async with opened_host(self._hosts, _on(given.project, target)) as host:
            repository, remote = await self._opened(host, given.project, target)
            main = repository.default_branch or "main"
            writing = _Writing(remote, main, given.project, message, plan, beats)
            if target.change == "commit":
                return await beats.in_thread(writing.commit), repository.clone_url
            _refuse_without_pull_requests(host)
            branch = f"stepway/{verb.lower()}-{given.project.owner}-{given.project.name}"
            made = await beats.in_thread(partial(writing.propose, branch))
            if made.branch == main:
                return made, repository.clone_url
            request = await host.open_pull_request(
                repository, PullRequestSpec(branch, main, message, _body(given.project))
            )
            opened = {"number": request.number, "url": request.url}
            return _Committed(made.commit, branch, made.tree, opened), repository.clone_url

    @asynccontextmanager
    async def _local(self, given: SetupGitopsInput) -> AsyncIterator[LocalHost]:
        with host_errors():
            async with self._hosts(LOCAL, given.project) as host:
                assert isinstance(host, LocalHost)
                yield host

    async def _refuse_elsewhere(self, given: SetupGitopsInput) -> None:
        """Raise step_error if files of the project are in another data folder."""
        async with self._local(given) as host:
            if (places := await host.is_elsewhere()) is not None:
                made, here = places
                raise step_error(
                    f"The worker {made.worker} wrote files of the project on the machine "
                    f"{made.machine}; the worker {here.worker} on {here.machine} has no access to "
                    f"them. {_ONE_MACHINE}",
                    remedy="Name a GitOps repository or a cluster, share the data folder among the "
                    f"workers, or stop the workers that are not on {made.machine}; then retry.",
                )

    async def _place(self, given: SetupGitopsInput, beats: Beats) -> dict[str, Any]:
        """Return this place; warn of other machines."""
        async with self._local(given) as host:
            if (other := await host.other_place()) is not None:
                text = (
                    f"The worker {other.worker} wrote files of projects on the machine "
                    f"{other.machine}. {_ONE_MACHINE}"
                )
                activity.logger.warning("%s: name a GitOps repository or a cluster", text)
                beats.say(Progress(90, text))
            return asdict(await host.place())

    async def _withdraw(self, given: RemoveManifestsInput, beats: Beats) -> list[str] | None:
        """Close the pull request of setup_gitops; None if there is none, or it was merged."""
        made = given.result or {}
        request, target = made.get("pull_request"), given.gitops
        if not request or target is None:
            return None
        async with opened_host(self._hosts, _on(given.project, target)) as host:
            repository, remote = await self._opened(host, given.project, target)
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

    async def _opened(
        self, host: GitHost, project: ProjectRef, target: GitopsRepository
    ) -> tuple[HostRepository, Remote]:
        given = _on(project, target)
        repository = await own_repository(host, given)
        key = None
        if target.ssh_credential is not None:
            key = await self._key(target.ssh_credential, project)
        return repository, await remote_of(host, repository, given, key)

    def _ensure_local(self) -> None:
        with locked(self._path):
            if not self._path.exists():
                create_bare(self._path, _REPOSITORY_ID)
            # Each project adds some objects, and nothing else ever packs them.
            pack_when_many(self._path)


class _Writing:
    """Commits what `plan` changes to a repository that others write to as well. For threads."""

    def __init__(
        self,
        remote: Remote,
        main: str,
        project: ProjectRef,
        message: str,
        plan: Plan,
        beats: Beats,
    ) -> None:
        self._remote = remote
        self._main = main
        self._project = project
        self._message = message
        self._plan = plan
        self._beats = beats

    def commit(self) -> _Committed:
        """Commit on top of the main branch.

        Tries again if somebody moves it meanwhile; raises step_error after _TRIES.
        """
        for _ in range(_TRIES):
            try:
                return self._once(self._main)
            except HostError as error:
                if error.reason is not Reason.CONFLICT:
                    raise
            self._beats.say(Progress(40, "Waiting for the GitOps repository"))
            time.sleep(random.uniform(0.01, 0.1))
        raise step_error(
            "The GitOps repository is busy: its main branch kept changing or stayed locked",
            remedy="Retry the step. If that does not help, remove a stale main.lock in the "
            "repository.",
        )

    def propose(self, branch: str) -> _Committed:
        """Commit to a branch beside the main branch; nothing if that needs no change."""
        return self._once(branch)

    def _once(self, branch: str) -> _Committed:
        check = self._beats.check
        with self._remote.copy() as repo:
            refs = self._remote.visible_refs(check)
            head = self._newest(repo, refs.get(_full(self._main)))
            tree = changed_tree(repo, head, self._plan(repo, head))
            if head is not None and head.tree == tree:
                return self._made(repo, head, self._main)
            before = self._newest(repo, refs.get(_full(branch))) if branch != self._main else head
            if branch != self._main and before is not None:
                if not is_made_for(before, self._project.id):
                    raise step_error(
                        f"The branch {branch} of {self._remote.name} has commits that were not "
                        "made by Stepway",
                        remedy="Merge or delete the branch, then retry.",
                        retry=False,
                    )
                if before.tree == tree:
                    return self._made(repo, before, branch)
            new = add_commit(
                repo,
                tree,
                head,
                message=self._message,
                project_id=self._project.id,
                at=int(time.time()),
            )
            self._remote.push(repo, branch, before.id if before else None, new, check)
            commit = repo[new]
            assert isinstance(commit, Commit)
            return self._made(repo, commit, branch)

    def _newest(self, repo: Repo, commit_id: ObjectID | None) -> Commit | None:
        if commit_id is None:
            return None
        self._remote.fetch(repo, [commit_id], self._beats.check, depth=1)
        found = repo[commit_id]
        assert isinstance(found, Commit)
        return found

    def _made(self, repo: Repo, commit: Commit, branch: str) -> _Committed:
        folder = folder_of(repo, commit, manifests_path(self._project))
        return _Committed(commit.id.decode(), branch, folder.id.decode() if folder else "")


def _on(project: ProjectRef, target: GitopsRepository) -> OnRepository:
    return OnRepository(
        project,
        credential=target.credential,
        namespace=target.namespace,
        repository=target.repository,
        mode="import",
    )


def _full(branch: str) -> bytes:
    return f"refs/heads/{branch}".encode()


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


def _take_out(repo: Repo, head: Commit | None, given: RemoveManifestsInput) -> list[Change]:
    path = manifests_path(given.project)
    folder = folder_of(repo, head, path) if head is not None else None
    if folder is None:
        return []
    if not _is_ours(repo, folder, given.project):
        raise left_behind(f"The folder {path}", "its manifests belong to another project")
    if given.result and folder.id.decode() != _made_tree(repo, given.result, path):
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
