"""create_repository and its undo: create and delete the project's repository on a Git host."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from temporalio import activity

from stepway.activities.beats import Beats, beating
from stepway.activities.git.local_host import LocalHost
from stepway.activities.git.remote import Remote
from stepway.activities.git.target import (
    OnRepository,
    is_own,
    opened_host,
    own_repository,
    owner_on,
    remote_of,
)
from stepway.activities.hosts import OpenHost
from stepway.activities.project import ProjectRef
from stepway.activities.rollback import Removed, left_behind
from stepway.hosts.host import GitHost, HostRepository, RepositorySpec, Visibility, topic_of
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress

LATE_EFFECTS = (0.0, 1.0, 3.0)
"""Pauses in seconds before each look for a repository whose creation was stopped."""

_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,34}")


@dataclass(frozen=True)
class CreateRepositoryInput(OnRepository):
    """With the mode `import`, nothing is created: the repository must exist."""

    visibility: Literal["private", "internal", "public"] = field(default="private", kw_only=True)
    description: str = field(default="", kw_only=True)
    topics: list[str] = field(default_factory=list, kw_only=True)


@dataclass(frozen=True)
class CreatedRepository:
    """`url` and `ssh_url` are arguments for `git clone`; `ssh_url` may be empty.

    `imported`: it existed before the project. `place` names the machine of a local repository.
    """

    name: str
    url: str
    default_branch: str = "main"
    owner: str = ""
    web_url: str = ""
    ssh_url: str = ""
    host: str = "local"
    visibility: str = "private"
    imported: bool = False
    place: dict[str, Any] | None = None


@dataclass(frozen=True)
class DeleteRepositoryInput(OnRepository):
    """`result` is the result of create_repository; None if that has failed or was stopped."""

    result: dict[str, Any] | None = field(default=None, kw_only=True)


class RepositorySteps:
    """Creates and deletes repositories on Git hosts."""

    def __init__(self, hosts: OpenHost) -> None:
        self._hosts = hosts

    @activity.defn
    async def create_repository(self, given: CreateRepositoryInput) -> CreatedRepository:
        """Create the repository, or reuse the one of an earlier attempt."""
        async with beating() as beats, opened_host(self._hosts, given) as host:
            if given.mode == "import":
                return _imported(host, await own_repository(host, given), given.project)
            await _warn_of_other_machines(host, beats)
            made = await host.create_repository(_spec(await owner_on(host, given), given))
            place = asdict(await host.place()) if isinstance(host, LocalHost) else None
            return _result(host, made, place)

    @activity.defn
    async def delete_repository(self, given: DeleteRepositoryInput) -> Removed:
        """Delete the repository; one that existed before the project is kept.

        Raises step_error if it belongs to another project or has new commits.
        """
        if given.mode == "import" or (given.result or {}).get("imported"):
            return Removed()
        async with beating() as beats, opened_host(self._hosts, given) as host:
            owner = (given.result or {}).get("owner") or await owner_on(host, given)
            if given.result is None and await _is_of_others(host, owner, given):
                return Removed()
            if isinstance(host, LocalHost):
                return Removed(await host.take_back(owner, given.repository_name))
            found = await host.find_repository(owner, given.repository_name)
            if found is None:
                return Removed()
            if not is_own(found, given.project):
                raise left_behind(_named(found), "it belongs to another project")
            remote = await remote_of(host, found, given)
            await beats.in_thread(lambda: _refuse_pushed(remote, found, given.project, beats))
            removed = await host.delete_repository(found)
            return Removed([found.web_url or found.clone_url] if removed else [])


async def _is_of_others(host: GitHost, owner: str, given: OnRepository) -> bool:
    """Whether a step that failed or was stopped has found the repository of somebody else.

    Waits for a while if there is none, because a request that was sent may still take effect.
    """
    for pause in (0.0,) if isinstance(host, LocalHost) else LATE_EFFECTS:
        await asyncio.sleep(pause)
        found = await host.find_repository(owner, given.repository_name)
        if found is not None:
            return not is_own(found, given.project)
    return False


def _spec(owner: str, given: CreateRepositoryInput) -> RepositorySpec:
    for topic in given.topics:
        if not _TOPIC.fullmatch(topic) or topic.startswith("sw-"):
            raise step_error(
                f"{topic!r} is not a valid topic",
                remedy="Use at most 35 lowercase letters, digits and hyphens, and not the prefix "
                "`sw-`.",
                retry=False,
            )
    return RepositorySpec(
        owner=owner,
        name=given.repository_name,
        project_id=given.project.id,
        description=" ".join(given.description.split()),
        visibility=Visibility(given.visibility),
        topics=tuple(given.topics),
    )


async def _warn_of_other_machines(host: GitHost, beats: Beats) -> None:
    if not isinstance(host, LocalHost) or (other := await host.other_place()) is None:
        return
    text = (
        f"The worker {other.worker} has repositories on the machine {other.machine}. The host "
        "`local` works on one machine only"
    )
    activity.logger.warning("%s: use the credential of a Git host, or one worker", text)
    beats.say(Progress(0, text))


def _imported(host: GitHost, found: HostRepository, project: ProjectRef) -> CreatedRepository:
    if found.project_id not in (None, project.id):
        raise step_error(
            f"The repository {found.owner}/{found.name} belongs to the Stepway project "
            f"{found.project_id}",
            remedy="Cancel this project and work with that one. If that project is gone, remove "
            f"the topic {topic_of(found.project_id)} from the repository on the host, then retry.",
            retry=False,
        )
    if found.archived:
        raise step_error(
            f"{found.owner}/{found.name} is archived",
            remedy="Unarchive it, then retry.",
            retry=False,
        )
    return _result(host, found, None, imported=True)


def _result(
    host: GitHost, found: HostRepository, place: dict[str, Any] | None, *, imported: bool = False
) -> CreatedRepository:
    return CreatedRepository(
        name=found.name,
        url=found.clone_url,
        default_branch=found.default_branch or "main",
        owner=found.owner,
        web_url=found.web_url,
        ssh_url=found.ssh_url,
        host=host.kind.value,
        visibility=found.visibility.value,
        imported=imported,
        place=place,
    )


def _refuse_pushed(
    remote: Remote, repository: HostRepository, project: ProjectRef, beats: Beats
) -> None:
    """Raise step_error if a branch or tag leads to a commit that Stepway did not make."""
    refs = remote.refs(beats.check)
    if others := remote.refs_with_others(refs, project.id, beats.check):
        raise left_behind(_named(repository), f"it has new commits ({', '.join(others)})")


def _named(repository: HostRepository) -> str:
    return f"The repository {repository.owner}/{repository.name}"
