"""Repositories: finding, creating and deleting them."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

from stepway.hosts.client import Json, time_of
from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.gitea.api import quoted, repository_path
from stepway.hosts.gitea.errors import left_over_files
from stepway.hosts.gitea.identity import Tokens
from stepway.hosts.host import (
    GitRemote,
    HostRepository,
    RepositorySpec,
    Visibility,
    marked_description,
    project_of_description,
    project_of_topics,
    topic_of,
)
from stepway.hosts.paths import segments
from stepway.hosts.taken import hidden_name, name_taken

_TOPIC = re.compile(r"[a-z0-9][-.a-z0-9]{0,34}")
_MOST_TOPICS = 25


class Repositories(Tokens):
    """Repositories of persons and organizations.

    The API takes no topics when it creates a repository: the description carries the mark until
    the topics are set.
    """

    async def find_repository(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository; an old name, which redirects, finds none."""
        found = await self._at(owner, name)
        return None if found is None else await self._repository(found)

    async def find_renamed(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository that the old name redirects to."""
        path = f"repos/{quoted(owner)}/{quoted(name)}"
        found: Json | None = await self.http.call("GET", path, missing=True)
        if found is None or _same(found, owner, name):
            return None
        return await self._repository(found)

    async def create_repository(self, spec: RepositorySpec) -> HostRepository:
        """Create an empty repository with the mark, in an organization or for the account."""
        _check_topics(spec.topics)
        path = await self._place(spec)
        body = {
            "name": spec.name,
            "description": marked_description(spec.description, spec.project_id),
            "private": spec.visibility is Visibility.PRIVATE,
            "default_branch": spec.default_branch,
            "auto_init": False,
        }
        try:
            made = await self.http.call("POST", path, body)
        except HostError as error:
            made = await self._after(error, spec)
        return await self._repository(await self._completed(made, spec))

    async def delete_repository(self, repository: HostRepository) -> bool:
        """Delete the repository, also if it has been renamed."""
        # By its ID, because another repository may have the name by now.
        path = f"repositories/{int(repository.id)}"
        found = await self.http.call("GET", path, missing=True)
        if found is None:
            return False
        owner, _, name = found["full_name"].partition("/")
        path = f"repos/{quoted(owner)}/{quoted(name)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def branch_head(self, repository: HostRepository, branch: str) -> str | None:
        """Return the ID of the branch's newest commit."""
        # The slashes of a branch are segments here.
        path = f"{repository_path(repository)}/branches/{segments(branch)}"
        found = await self.http.call("GET", path, missing=True)
        return str(found["commit"]["id"]) if found else None

    async def remote(self, repository: HostRepository) -> GitRemote:
        """Return how Git reaches the repository; any user name goes with a token."""
        url = f"{self.access.url}/{repository.owner}/{repository.name}.git"
        return GitRemote(url, "stepway", await self.access.tokens.token(), self.access.ca)

    async def _at(self, owner: str, name: str) -> Json | None:
        path = f"repos/{quoted(owner)}/{quoted(name)}"
        found: Json | None = await self.http.call("GET", path, missing=True)
        return found if found is not None and _same(found, owner, name) else None

    async def _soon(self, method: str, path: str, body: Json) -> Json | None:
        """Change a new repository, which may not be visible at once."""
        for pause in self.patience:
            try:
                changed: Json | None = await self.http.call(method, path, body)
                return changed
            except HostError as error:
                if error.reason is not Reason.NOT_FOUND:
                    raise
            await asyncio.sleep(pause)
        last: Json | None = await self.http.call(method, path, body)
        return last

    async def _place(self, spec: RepositorySpec) -> str:
        """Return where to create the repository. Raises HostError for an impossible one."""
        login, internal = await self.login(), spec.visibility is Visibility.INTERNAL
        if login is not None and spec.owner.casefold() == login.casefold():
            if internal:
                raise _not_internal(f"{spec.owner} is a person")
            return "user/repos"
        organization = await self.http.call("GET", f"orgs/{quoted(spec.owner)}", missing=True)
        if organization is None:
            raise HostError(
                Reason.NOT_FOUND,
                f"There is no organization {spec.owner}, or the credential "
                f"{self.access.credential} may not see it",
                remedy="Check the name, and the credential's rights. For a person's own account "
                "the token also needs the scope read:user.",
            )
        if internal and organization.get("visibility") != "limited":
            raise _not_internal(f"the visibility of {spec.owner} is not limited")
        return f"orgs/{quoted(spec.owner)}/repos"

    async def _after(self, error: HostError, spec: RepositorySpec) -> Json:
        """Return the repository that an earlier or unanswered request made. Raises HostError."""
        if error.reason not in UNCERTAIN and not error.is_taken:
            raise error
        found = await self.found_late(error, lambda: self._at(spec.owner, spec.name))
        if found is not None:
            project = (await self._repository(found)).project_id
            if project == spec.project_id:
                return found
            path = f"{spec.owner}/{spec.name}"
            raise name_taken(path, project, found["html_url"], status=error.status) from error
        # An error with a remedy tells of left-over files.
        if error.is_taken and not error.remedy:
            path = f"{spec.owner}/{spec.name}"
            raise hidden_name(path, self.access.credential, status=error.status) from error
        if error.reason is Reason.SERVER_ERROR:
            # Left-over files are answered by 500 without a text, for ever.
            error.remedy += f" If it stays: {left_over_files(self._host).remedy}"
        raise error

    async def _completed(self, made: Json, spec: RepositorySpec) -> Json:
        """Set the topics, then take the mark out of the description, unless that was done."""
        owner, _, name = made["full_name"].partition("/")
        path = f"repos/{quoted(owner)}/{quoted(name)}"
        topics = await self._topics(made)
        if project_of_topics(topics) != spec.project_id:
            topics = [topic_of(spec.project_id), *spec.topics]
            await self._soon("PUT", f"{path}/topics", {"topics": topics})
        if project_of_description(made.get("description")) is not None:
            made = await self._soon("PATCH", path, {"description": spec.description}) or made
        return {**made, "topics": topics}

    async def _repository(self, data: Json) -> HostRepository:
        owner, _, name = data["full_name"].partition("/")
        project_id = project_of_topics(await self._topics(data))
        return HostRepository(
            id=str(data["id"]),
            owner=owner,
            name=name,
            web_url=data["html_url"],
            clone_url=data["clone_url"],
            ssh_url=data["ssh_url"],
            default_branch=data.get("default_branch") or "main",
            visibility=_visibility(data),
            project_id=project_id or project_of_description(data.get("description")),
            archived=bool(data.get("archived")),
            empty=bool(data.get("empty")),
            created_at=time_of(data.get("created_at")),
        )

    async def _topics(self, data: Json) -> list[str]:
        if "topics" in data:
            return data["topics"] or []
        # Hosts before Gitea 1.22 have them only here.
        owner, _, name = data["full_name"].partition("/")
        found: Any = await self.http.call("GET", f"repos/{quoted(owner)}/{quoted(name)}/topics")
        return found["topics"] or []

    @property
    def _host(self) -> str:
        return urlsplit(self.access.url).netloc


def _same(data: Json, owner: str, name: str) -> bool:
    return str(data["full_name"]).casefold() == f"{owner}/{name}".casefold()


def _visibility(data: Json) -> Visibility:
    if data.get("private"):
        return Visibility.PRIVATE
    return Visibility.INTERNAL if data.get("internal") else Visibility.PUBLIC


def _check_topics(topics: tuple[str, ...]) -> None:
    """Refuse topics that the host would refuse only after the repository is there."""
    if wrong := [topic for topic in topics if not _TOPIC.fullmatch(topic)]:
        raise HostError(
            Reason.INVALID,
            f"Gitea takes no such topics: {', '.join(wrong)}",
            remedy="A topic has at most 35 lower-case letters, digits, hyphens and dots, "
            "and begins with a letter or digit.",
        )
    if len(topics) >= _MOST_TOPICS:
        raise HostError(
            Reason.INVALID,
            f"Gitea takes {_MOST_TOPICS} topics, one of which marks the project",
            remedy=f"Name at most {_MOST_TOPICS - 1} topics.",
        )


def _not_internal(why: str) -> HostError:
    return HostError(
        Reason.INVALID,
        f"The repository cannot be internal at Gitea: {why}",
        remedy="Choose private or public, or an organization whose visibility is limited.",
    )
