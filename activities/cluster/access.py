"""Opens the cluster of a credential for a step, and turns its errors into those of steps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Protocol

from stepway.activities.credentials.cluster import kubeconfig
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Cluster, open_cluster
from stepway.clusters.errors import ClusterError
from stepway.vault.kinds import CredentialKind
from stepway_tracking.record.errors import step_error


class OpenCluster(Protocol):
    """Opens the cluster of a named credential that the project may use. Raises step_error."""

    def __call__(
        self, credential: str, project: ProjectRef
    ) -> AbstractAsyncContextManager[Cluster]: ...


class ClusterAccess:
    """Opens clusters with the kubeconfigs among the credentials, in each attempt again."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @asynccontextmanager
    async def __call__(self, credential: str, project: ProjectRef) -> AsyncIterator[Cluster]:
        """Open the cluster; its errors in the block become those of steps."""
        secret = await self._credentials.open(credential, project)
        if secret.target.kind != CredentialKind.KUBERNETES:
            raise step_error(
                f"The credential {credential!r} is not one of a Kubernetes cluster",
                remedy=f"Store a kubeconfig: `stepway credential set {credential} "
                "--kind kubernetes`, or use another credential.",
                retry=False,
            )
        with cluster_errors():
            async with open_cluster(kubeconfig(secret)) as cluster:
                yield cluster


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn a ClusterError into a step_error: one to try again, or one for a person."""
    try:
        yield
    except ClusterError as error:
        raise step_error(
            error.message,
            remedy=error.remedy,
            retry=error.later,
            retry_after=error.retry_after,
        ) from error
