"""Sets a project's deployment up in a cluster: by applying Flux's objects."""

from __future__ import annotations

from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.apply_manifests import AppliedObject, apply_all
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.gitops.manifests import Deployment, objects, pull_secret
from stepway.activities.project import ProjectRef

_USER = "git"


class ClusterGitops:
    """Applies namespace, Secret, GitRepository and Kustomizations as the project's."""

    def __init__(self, open_cluster: OpenCluster, credentials: Credentials) -> None:
        self._open = open_cluster
        self._credentials = credentials

    async def set_up(
        self, deployment: Deployment, cluster: str, pull: dict[str, str]
    ) -> tuple[str, list[AppliedObject]]:
        """Apply the objects; return the cluster's address and the objects. Raises step_error.

        `pull` is the data of the Secret with which Flux reads the repository; empty for none.
        """
        namespace, *others = objects(deployment).values()
        secrets = [pull_secret(deployment.project, pull)] if pull else []
        async with self._open(cluster, deployment.project) as opened:
            applied = await apply_all(opened, [namespace, *secrets, *others], deployment.project.id)
            return opened.server, applied

    async def pull_data(self, credential: str | None, project: ProjectRef) -> dict[str, str]:
        """Return the data of a Secret for a credential that may read; empty without one."""
        if credential is None:
            return {}
        secret = await self._credentials.open(credential, project)
        return {"username": secret.account or _USER, "password": secret.value}
