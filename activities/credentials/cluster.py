"""Asks a Kubernetes cluster who a credential is."""

from __future__ import annotations

from stepway.clusters.cluster import open_cluster
from stepway.clusters.errors import ClusterError
from stepway.hosts.errors import HostError, Reason
from stepway.vault.errors import CredentialRefused
from stepway.vault.kinds import IN_CLUSTER
from stepway.vault.kubeconfig import server_of
from stepway.vault.vault import Secret

_REASONS = {401: Reason.UNAUTHORIZED, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND}


def kubeconfig(secret: Secret) -> str | None:
    """Return the kubeconfig of a credential; None if it stands for the worker's own pod.

    Raises ClusterError for one that needs files or programs: a worker runs none of them, however
    the credential was stored.
    """
    if secret.value == IN_CLUSTER:
        return None
    try:
        server_of(secret.value)
    except CredentialRefused as error:
        raise ClusterError(
            str(error), remedy="Store another kubeconfig as the credential, then retry."
        ) from None
    return secret.value


async def check_cluster(secret: Secret) -> str:
    """Return the account's name in the cluster. Raises HostError."""
    try:
        async with open_cluster(kubeconfig(secret)) as cluster:
            return await cluster.account()
    except ClusterError as error:
        default = Reason.UNREACHABLE if error.later else Reason.INVALID
        raise HostError(
            _REASONS.get(error.status or 0, default),
            error.message,
            remedy=error.remedy,
            status=error.status,
        ) from error
