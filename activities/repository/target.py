"""The repository that a step works on: which host, whose, and by which name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from stepway.activities.git.remote import NOT_YET, Remote
from stepway.activities.hosts import LOCAL, OpenHost, host_errors
from stepway.activities.project import ProjectRef
from stepway.activities.repository.keys import OpenKey
from stepway.activities.rollback import left_behind
from stepway.hosts.access import HostKind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import Feature, GitHost, GitRemote, HostRepository, topic_of
from stepway.hosts.paths import ssh_url
from stepway_tracking.record.errors import step_error

Mode = Literal["create", "import"]


@dataclass(frozen=True)
class OnRepository:
    """`credential` is the name of a credential: it says which host, and as whom.

    `namespace` is an organization, group or person, by default the credential's own; `repository`
    is a name, by default the project's. With the mode `import` it is a repository that existed
    before the project.
    """

    project: ProjectRef
    _: KW_ONLY
    credential: str = LOCAL
    namespace: str | None = None
    repository: str | None = None
    mode: Mode = "create"

    @property
    def repository_name(self) -> str:
        """The repository's name."""
        return self.repository or self.project.name


@asynccontextmanager
async def opened_host(hosts: OpenHost, given: OnRepository) -> AsyncIterator[GitHost]:
    """Open the host of a step. HostError becomes step_error within the context."""
    with host_errors():
        async with hosts(given.credential, given.project) as host:
            yield host


@asynccontextmanager
async def opened_repository(
    hosts: OpenHost, given: OnRepository
) -> AsyncIterator[tuple[GitHost, HostRepository]]:
    """Open the host, and find the project's repository. Raises step_error without one."""
    async with opened_host(hosts, given) as host:
        yield host, await own_repository(host, given)


async def owner_on(host: GitHost, given: OnRepository) -> str:
    """Return the account, organization or group that owns the repository."""
    if host.kind is HostKind.LOCAL and given.namespace not in (None, "", host.account):
        raise step_error(
            f"The local host has no namespace {given.namespace!r}",
            remedy="Leave `namespace` out, or use the credential of another host.",
            retry=False,
        )
    return given.namespace or host.account or (await host.identity()).account


async def own_repository(host: GitHost, given: OnRepository) -> HostRepository:
    """Return the project's repository; wait some seconds for one that is not yet visible.

    Raises step_error if it does not exist or belongs to another project.
    """
    owner, name = await owner_on(host, given), given.repository_name
    # What is imported is older than the project: its name is more likely wrong than hidden.
    pauses: tuple[float, ...] = NOT_YET[:3] if given.mode == "import" else NOT_YET
    if host.kind is HostKind.LOCAL:
        pauses = ()
    found: HostRepository | None = None
    for pause in (*pauses, None):
        found = await host.find_repository(owner, name)
        if found is not None and (given.mode == "import" or is_own(found, given.project)):
            return found
        if pause is not None:
            await asyncio.sleep(pause)
    if given.mode == "import":
        raise step_error(
            f"The repository {owner}/{name} was not found",
            remedy=f"Check the name, and that the credential {given.credential!r} may see it; "
            "then retry.",
            retry=False,
        )
    if found is not None:
        raise step_error(
            f"The repository {owner}/{name} was not created by this project"
            + (f", but by {found.project_id}" if found.project_id else ""),
            remedy=f"If somebody has removed its topic {topic_of(given.project.id)}, add it again "
            "on the host, then retry. Otherwise rename or delete the repository, then retry "
            "create_repository.",
            retry=False,
        )
    raise step_error(
        f"The project has no repository {owner}/{name}",
        remedy="Run create_repository before this step, then retry.",
        retry=host.kind is not HostKind.LOCAL,
    )


def is_own(repository: HostRepository, project: ProjectRef) -> bool:
    """Whether Stepway created the repository for the project."""
    return repository.project_id == project.id


async def remote_of(host: GitHost, repository: HostRepository, given: OnRepository) -> Remote:
    """Return how Git reaches the repository by what the host says."""
    name = f"{repository.owner}/{repository.name}"
    return Remote(await host.remote(repository), name, given.credential)


async def remote_to_push_to(
    host: GitHost,
    repository: HostRepository,
    given: OnRepository,
    open_key: OpenKey,
    ssh_credential: str | None,
) -> Remote:
    """Return how Git reaches the repository: over SSH with the key of a credential, if given.

    Raises step_error if the credential cannot be opened.
    """
    if ssh_credential is None:
        return await remote_of(host, repository, given)
    key = await open_key(ssh_credential, given.project)
    url = GitRemote(ssh_url(repository.ssh_url), "git", "")
    return Remote(url, f"{repository.owner}/{repository.name}", given.credential, key)


def need(host: GitHost, feature: Feature) -> None:
    """Raise HostError if the host lacks a feature."""
    if feature not in host.features:
        raise HostError(
            Reason.UNSUPPORTED,
            f"The {host.kind.value} host has no {feature.value.replace('_', ' ')}",
            remedy="Use the credential of another host, or remove the step from the blueprint.",
        )


async def made_repository(host: GitHost, given: OnRepository, owner: str) -> HostRepository | None:
    """Return the repository of the step for a rollback, also if it was renamed since.

    None if it is gone. What has the name may belong to another project.
    """
    found = await host.find_repository(owner, given.repository_name)
    if found is not None:
        return found
    renamed = await host.find_renamed(owner, given.repository_name)
    return renamed if renamed is not None and is_own(renamed, given.project) else None


async def to_take_back(host: GitHost, given: OnRepository, what: str) -> HostRepository | None:
    """Return the repository for a rollback in it; None if it is gone.

    Raises step_error if it existed before the project: `what` may have been there, too.
    """
    owner, name = await owner_on(host, given), given.repository_name
    found = await made_repository(host, given, owner)
    if found is not None and not is_own(found, given.project):
        raise left_behind(f"{what} of {owner}/{name}", "the repository is older than the project")
    return found
