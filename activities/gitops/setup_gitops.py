"""setup_gitops and its undo: commit and remove a project's manifests in the GitOps repository."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo
from temporalio import activity

from stepway.activities.database.create_environments import EnvironmentSpec, environment_specs
from stepway.activities.git.repositories import (
    FILE_MODE,
    Change,
    add_files,
    changed_tree,
    commit_to_main,
    commit_with_id,
    create_bare,
    folder_of,
    head_of,
    locked,
)
from stepway.activities.gitops.manifests import (
    ENVIRONMENT_PREFIX,
    NAMESPACE_FILE,
    Deployment,
    cluster_url,
    manifests,
    namespace_name,
    owner_of,
)
from stepway.activities.project import ProjectRef, manifests_path
from stepway.activities.rollback import Removed, left_behind
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped

_TRIES = 20
_REPOSITORY_ID = "gitops"

Plan = Callable[[Repo, Commit | None], list[Change]]


@dataclass(frozen=True)
class SetupGitopsInput:
    """`url` is the project's repository; clusters reach a path over SSH on `git_host`."""

    project: ProjectRef
    url: str
    environments: list[EnvironmentSpec | str] | None = None
    deploy: bool = True
    git_host: str = "localhost"


@dataclass(frozen=True)
class GitopsSetUp:
    """`path` is the folder of the manifests in the GitOps repository, `commit` contains them."""

    path: str
    commit: str
    url: str
    namespace: str
    manifests: list[str]


@dataclass(frozen=True)
class RemoveManifestsInput(SetupGitopsInput):
    """`result` is the result of setup_gitops."""

    result: dict[str, Any] | None = None


class GitopsSteps:
    """Commits to the repository `data_dir`/gitops.git, which all projects share."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "gitops.git"

    @activity.defn
    def setup_gitops(self, given: SetupGitopsInput) -> GitopsSetUp | Skipped:
        """Commit the project's manifests, unless main already contains them."""
        environments = environment_specs(given.environments)
        if not given.deploy:
            return Skipped("Deployment is turned off")
        if not environments:
            return Skipped("The project has no environments")
        activity.heartbeat(Progress(10, "Writing manifests"))
        deployment = Deployment(given.project, cluster_url(given.url, given.git_host), environments)
        files = manifests(deployment)
        activity.heartbeat(Progress(40, "Committing manifests"))
        commit = self._commit(
            given.project, "Deploy", lambda repo, head: _put(repo, head, given.project, files)
        )
        return GitopsSetUp(
            path=manifests_path(given.project),
            commit=commit,
            url=str(self._path),
            namespace=namespace_name(given.project),
            manifests=list(files),
        )

    @activity.defn
    def remove_manifests(self, given: RemoveManifestsInput) -> Removed:
        """Remove the project's manifests. Raises step_error if they were changed."""
        path = manifests_path(given.project)
        with self._opened() as repo:
            head = head_of(repo)
            if head is None or folder_of(repo, head, path) is None:
                return Removed()
        self._commit(given.project, "Remove", lambda repo, head: _take_out(repo, head, given))
        return Removed([path])

    @contextmanager
    def _opened(self) -> Iterator[Repo]:
        with locked(self._path):
            if not self._path.exists():
                create_bare(self._path, _REPOSITORY_ID)
        with Repo(str(self._path)) as repo:
            yield repo

    def _commit(self, project: ProjectRef, verb: str, plan: Plan) -> str:
        """Commit the changes of `plan` on top of main; return the commit's ID.

        Tries again if another process moves main meanwhile; raises step_error after _TRIES.
        """
        for _ in range(_TRIES):
            with self._opened() as repo, locked(self._path):
                head = head_of(repo)
                tree = changed_tree(repo, head, plan(repo, head))
                if head is not None and head.tree == tree:
                    return head.id.decode()
                commit = commit_to_main(
                    repo,
                    tree,
                    head,
                    message=f"{verb} {project.owner}/{project.name}",
                    project_id=project.id,
                    at=int(time.time()),
                )
            if commit is not None:
                return commit.decode()
            activity.heartbeat(Progress(40, "Waiting for the GitOps repository"))
            time.sleep(random.uniform(0.01, 0.1))
        raise step_error(
            "The GitOps repository is busy: its main branch kept changing or stayed locked",
            remedy="Retry the step. If that does not help, remove a stale main.lock in gitops.git.",
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
    commit = (given.result or {}).get("commit")
    made = commit_with_id(repo, commit) if commit else head
    if made is None or folder_of(repo, made, path) != folder:
        raise left_behind(f"The folder {path}", "its manifests were changed in the meantime")
    return [(f"{path}/{name.decode()}".encode(), None, None) for name in folder]


def _is_ours(repo: Repo, folder: Tree, project: ProjectRef) -> bool:
    if NAMESPACE_FILE.encode() not in folder:
        return False
    namespace = repo[folder[NAMESPACE_FILE.encode()][1]]
    return isinstance(namespace, Blob) and owner_of(namespace.data) == project.id
