"""Deployment environments, which Gitea and Forgejo do not have."""

from __future__ import annotations

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.api import GiteaApi
from stepway.hosts.host import DeployEnvironment, HostRepository


class Environments(GiteaApi):
    """Refuses environments."""

    async def put_environment(
        self,
        repository: HostRepository,
        environment: DeployEnvironment,
        *,
        keep_more: bool = False,
    ) -> None:
        """Raise HostError UNSUPPORTED."""
        raise no_environments()

    async def remove_environment(self, repository: HostRepository, name: str) -> bool:
        """Raise HostError UNSUPPORTED."""
        raise no_environments()


def no_environments() -> HostError:
    """Return the error for all that has to do with environments."""
    return HostError(
        Reason.UNSUPPORTED,
        "Gitea and Forgejo have no deployment environments",
        remedy="Leave out the environment, or use a host that has them: GitHub or GitLab.",
    )
