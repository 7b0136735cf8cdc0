"""setup_gitops and its undo: deploy a project with Flux, from a repository or in a cluster."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.cluster.applied import AppliedObject
from stepway.activities.database.create_environments import EnvironmentSpec, environment_specs
from stepway.activities.gitops.deploy_key import AddedKey
from stepway.activities.gitops.in_cluster import ClusterGitops, GitopsCluster
from stepway.activities.gitops.in_repository import GitopsRepository, RepositoryGitops
from stepway.activities.gitops.manifests import (
    Deployment,
    PullSecret,
    cluster_url,
    namespace_name,
    needed_secret,
    secret_name,
)
from stepway.activities.project import ProjectRef, manifests_path
from stepway.activities.rollback import Removed
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped


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
    that people must create in the cluster: no secret is ever written to Git. `deploy_key` is the
    key on the Git host with which the cluster reads the project's repository. `place` names the
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
    deploy_key: AddedKey | None = None
    place: dict[str, Any] | None = None


@dataclass(frozen=True)
class RemoveManifestsInput(SetupGitopsInput):
    """`result` is the result of setup_gitops; None after a step that failed."""

    result: dict[str, Any] | None = None


def _planned(given: RemoveManifestsInput) -> list[EnvironmentSpec]:
    """Return the environments; none if they are not valid, because then none was applied."""
    with suppress(ApplicationError):
        return list(environment_specs(given.environments))
    return []


class GitopsSteps:
    """Sets deployments up in a GitOps repository or a cluster, as the blueprint says."""

    def __init__(self, repositories: RepositoryGitops, clusters: ClusterGitops) -> None:
        self._repositories = repositories
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
            return await self._in_cluster(given, deployment, given.cluster)
        return await self._in_repository(given, deployment)

    @activity.defn
    async def remove_manifests(self, given: RemoveManifestsInput) -> Removed:
        """Remove the project's manifests, or withdraw the pull request that has them.

        In a cluster, goes on after a refusal. Raises step_error if the manifests were changed, and
        with what is left in the cluster.
        """
        if given.cluster is not None:
            deployment = Deployment(given.project, given.url, _planned(given), branch=given.branch)
            return Removed(await self._clusters.remove(deployment, given.cluster, given.result))
        made = given.result or {}
        return Removed(await self._repositories.remove(given.project, given.gitops, made))

    async def _in_repository(self, given: SetupGitopsInput, deployment: Deployment) -> GitopsSetUp:
        if given.visibility not in (None, "public"):
            deployment = replace(deployment, secret=secret_name(given.project))
        done = await self._repositories.set_up(deployment, given.gitops)
        return GitopsSetUp(
            path=manifests_path(given.project),
            commit=done.made.commit,
            url=done.url,
            namespace=namespace_name(given.project),
            manifests=done.files,
            tree=done.made.tree,
            branch=done.made.branch,
            pull_request=done.made.pull_request,
            secret=needed_secret(deployment),
            place=done.place,
        )

    async def _in_cluster(
        self, given: SetupGitopsInput, deployment: Deployment, cluster: GitopsCluster
    ) -> GitopsSetUp:
        if given.gitops is not None:
            raise step_error(
                "`gitops` and `cluster` were both given",
                remedy="Remove one of them from the blueprint.",
                retry=False,
            )
        done = await self._clusters.set_up(deployment, cluster)
        return GitopsSetUp(
            path="",
            commit="",
            url=done.server,
            namespace=namespace_name(given.project),
            manifests=[],
            objects=done.objects,
            deploy_key=done.deploy_key,
        )
