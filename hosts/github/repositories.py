"""Repositories on GitHub: found, created with our mark, deleted."""

from __future__ import annotations

from typing import Any

from stepway.hosts.client import time_of
from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.github.api import segment
from stepway.hosts.github.app import AppTokens
from stepway.hosts.github.calls import GitHubCalls
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

_LONGEST_DESCRIPTION = 350
_MARK_LENGTH = len(marked_description("", "0" * 32)) + 1


class Repositories(GitHubCalls):
    """Finds, creates and deletes repositories."""

    async def find_repository(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository; None if it does not exist, or the token may not see it."""
        data = await self._found(owner, name)
        return None if data is None else await self._described(data)

    async def find_renamed(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository that GitHub redirects the old name to."""
        path = f"repos/{segment(owner)}/{segment(name)}"
        data = await self.http.call("GET", path, missing=True)
        return None if data is None or _same(data, owner, name) else await self._described(data)

    async def create_repository(self, spec: RepositorySpec) -> HostRepository:
        """Create an empty repository with the mark, or return the one that has this mark."""
        data = await self._found(spec.owner, spec.name) or await self._created(spec)
        if _project_of(data) != spec.project_id:
            path = f"{spec.owner}/{spec.name}"
            raise name_taken(path, _project_of(data), data["html_url"], status=422)
        repository = await self._described(data)
        # The mark moves from the description to the topics; it is always in one of them.
        has, wanted = data.get("topics") or [], [topic_of(spec.project_id), *spec.topics]
        topics = list(dict.fromkeys([*map(str.lower, wanted), *has]))
        if len(topics) > len(has):
            await self._written(repository, "PUT", "/topics", {"names": topics})
        if project_of_description(data.get("description")):
            text = {"description": _one_line(spec.description)}
            await self._written(repository, "PATCH", "", text)
        return repository

    async def delete_repository(self, repository: HostRepository) -> bool:
        """Delete the repository, so that its name is free. The caller has checked the mark."""
        # GitHub redirects a renamed repository's old name: that one is not meant.
        found = await self._found(repository.owner, repository.name)
        if found is None or str(found["id"]) != repository.id:
            return False
        return await self._removed(repository, "")

    async def branch_head(self, repository: HostRepository, branch: str) -> str | None:
        """Return the ID of the branch's newest commit; None if there is no such branch."""
        ref = segments(branch)
        try:
            found = await self.http.call(
                "GET", self._path(repository, f"/git/ref/heads/{ref}"), missing=True
            )
        except HostError as error:
            if error.status == 409:  # the repository is empty
                return None
            raise
        return None if found is None else str(found["object"]["sha"])

    async def remote(self, repository: HostRepository) -> GitRemote:
        """Return how Git reaches the repository over HTTPS."""
        # Built here, not taken from the answer: the token goes only to the credential's host.
        url = f"{self.access.url}/{segment(repository.owner)}/{segment(repository.name)}.git"
        token = await self.access.tokens.token()
        return GitRemote(url, "x-access-token", token, self.access.ca)

    async def _found(self, owner: str, name: str) -> Any:
        path = f"repos/{segment(owner)}/{segment(name)}"
        data = await self.http.call("GET", path, missing=True)
        return data if data is not None and _same(data, owner, name) else None

    async def _created(self, spec: RepositorySpec) -> Any:
        try:
            return await self.http.call("POST", await self._creations(spec), self._body(spec))
        except HostError as error:
            if error.reason is Reason.NOT_FOUND:
                raise self._no_owner(spec) from error
            if error.reason not in UNCERTAIN and error.reason is not Reason.NAME_TAKEN:
                raise
            found = await self.found_late(error, lambda: self._found(spec.owner, spec.name))
            if found is not None:
                return found
            if error.reason is Reason.NAME_TAKEN:
                path, credential = f"{spec.owner}/{spec.name}", self.access.credential
                raise hidden_name(path, credential, status=422) from error
            raise

    async def _creations(self, spec: RepositorySpec) -> str:
        is_app = isinstance(self.access.tokens, AppTokens)
        if is_app or spec.owner.casefold() != (await self._own_login()).casefold():
            return f"orgs/{segment(spec.owner)}/repos"
        if spec.visibility is Visibility.INTERNAL:
            raise HostError(
                Reason.UNSUPPORTED,
                f"{self._host} has no internal repositories of a person",
                remedy="Choose private or public, or an organization of an enterprise.",
            )
        return "user/repos"

    def _body(self, spec: RepositorySpec) -> dict[str, Any]:
        text = _one_line(spec.description)[: _LONGEST_DESCRIPTION - _MARK_LENGTH]
        body: dict[str, Any] = {
            "name": spec.name,
            "description": marked_description(text, spec.project_id),
            "private": spec.visibility is not Visibility.PUBLIC,
        }
        if spec.visibility is Visibility.INTERNAL:
            body["visibility"] = "internal"
        return body

    async def _described(self, data: Any) -> HostRepository:
        full = _repository(data)
        # The size is computed now and then: 0 says little.
        if data.get("size"):
            return full
        path = self._path(full, "/branches")
        branches = await self.http.call("GET", path, params={"per_page": 1}, missing=True)
        return _repository(data, empty=not branches)

    def _no_owner(self, spec: RepositorySpec) -> HostError:
        remedy = (
            "Check the name, and that the App is installed there; an App creates repositories in "
            "organizations only."
            if isinstance(self.access.tokens, AppTokens)
            else f"Check the name, and that the account of the credential "
            f"{self.access.credential} is a member."
        )
        return HostError(
            Reason.NOT_FOUND,
            f"{self._host} has no organization {spec.owner} that the credential may see",
            remedy=remedy,
            status=404,
        )


def _same(data: Any, owner: str, name: str) -> bool:
    return str(data["full_name"]).casefold() == f"{owner}/{name}".casefold()


def _project_of(data: Any) -> str | None:
    return project_of_topics(data.get("topics") or ()) or project_of_description(
        data.get("description")
    )


def _one_line(text: str) -> str:
    """GitHub refuses control characters, and more than 350 characters."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:_LONGEST_DESCRIPTION]


def _repository(data: Any, *, empty: bool = False) -> HostRepository:
    private = Visibility.PRIVATE if data.get("private") else Visibility.PUBLIC
    return HostRepository(
        id=str(data["id"]),
        owner=data["owner"]["login"],
        name=data["name"],
        web_url=data["html_url"],
        clone_url=data["clone_url"],
        ssh_url=data["ssh_url"],
        default_branch=data.get("default_branch") or "main",
        visibility=Visibility(data.get("visibility") or private),
        project_id=_project_of(data),
        archived=bool(data.get("archived")),
        empty=empty,
        created_at=time_of(data.get("created_at")),
    )
