"""Projects: finding, creating and deleting them."""

from __future__ import annotations

from dataclasses import replace

from stepway.hosts.client import Json, time_of
from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.gitlab.api import GitLabApi, project_path, quoted
from stepway.hosts.gitlab.errors import MARKED
from stepway.hosts.host import (
    GitRemote,
    HostRepository,
    RepositorySpec,
    Visibility,
    project_of_topics,
    topic_of,
)
from stepway.hosts.taken import deleted_name, hidden_name, name_taken


class Repositories(GitLabApi):
    """Projects in groups and in the namespaces of persons."""

    async def find_repository(self, owner: str, name: str) -> HostRepository | None:
        """Return the project; a lookup by an old name, which GitLab follows, finds none."""
        found = await self._at(f"{owner}/{name}")
        return None if found is None or _doomed(found) else _repository(found)

    async def find_renamed(self, owner: str, name: str) -> HostRepository | None:
        """Return the project that GitLab finds by its former path."""
        path = f"{owner}/{name}"
        found: Json | None = await self.http.call("GET", f"projects/{quoted(path)}", missing=True)
        gone = found is None or _doomed(found) or _same(found, path)
        return None if found is None or gone else _repository(found)

    async def create_repository(self, spec: RepositorySpec) -> HostRepository:
        """Create an empty project with the mark among its topics."""
        body = {
            "name": spec.name,
            "path": spec.name,
            "namespace_id": await self._namespace_id(spec.owner),
            "description": spec.description,
            "visibility": spec.visibility.value,
            "topics": [topic_of(spec.project_id), *spec.topics],
            "initialize_with_readme": False,
        }
        try:
            made = _repository(await self.http.call("POST", "projects", body))
        except HostError as error:
            made = await self._after(error, spec)
        # An empty project has no default branch yet: the first push decides.
        return replace(made, default_branch=spec.default_branch) if made.empty else made

    async def delete_repository(self, repository: HostRepository) -> bool:
        """Delete the project, so that its name is free.

        GitLab renames it and keeps it for some days, in which an owner may restore it. Where the
        host does not rename it, it is deleted at once. Raises HostError if the host allows
        neither.
        """
        project = project_path(repository)
        try:
            response, _ = await self.http.answer("DELETE", project, missing=True)
            there = response.is_success
        except HostError as error:
            if MARKED not in error.message:
                raise
            there = False
        rest = await self.http.call("GET", project, missing=True)
        path = f"{repository.owner}/{repository.name}"
        if rest is not None and _doomed(rest) and _same(rest, path):
            await self._delete_at_once(rest)
        return there

    async def branch_head(self, repository: HostRepository, branch: str) -> str | None:
        """Return the ID of the branch's newest commit."""
        path = f"{project_path(repository)}/repository/branches/{quoted(branch)}"
        found = await self.http.call("GET", path, missing=True)
        return str(found["commit"]["id"]) if found else None

    async def remote(self, repository: HostRepository) -> GitRemote:
        """Return how Git reaches the project: the user name `oauth2` stands for every token."""
        url = f"{self.access.url}/{repository.owner}/{repository.name}.git"
        return GitRemote(url, "oauth2", await self.access.tokens.token(), self.access.ca)

    async def _at(self, path: str) -> Json | None:
        """Return the project that has this path now, whether it waits for its deletion or not."""
        found: Json | None = await self.http.call("GET", f"projects/{quoted(path)}", missing=True)
        return found if found is not None and _same(found, path) else None

    async def _namespace_id(self, path: str) -> int:
        found = await self.http.call("GET", f"namespaces/{quoted(path)}", missing=True)
        if found is None:
            raise HostError(
                Reason.NOT_FOUND,
                f"There is no group or user {path}, or the credential {self.access.credential} "
                "may not see it",
                remedy="Check the full path, such as acme/platform, and the credential's rights.",
            )
        return int(found["id"])

    async def _after(self, error: HostError, spec: RepositorySpec) -> HostRepository:
        """Return the project that an earlier or unanswered request made. Raises HostError."""
        if error.reason not in UNCERTAIN and not error.is_taken:
            raise error
        path = f"{spec.owner}/{spec.name}"
        found = await self.found_late(error, lambda: self._at(path))
        if found is not None and not _doomed(found):
            repository = _repository(found)
            if repository.project_id == spec.project_id:
                return repository
        elif not error.is_taken:
            raise error
        raise _taken(path, found, error, self.access.credential) from error

    async def _delete_at_once(self, project: Json) -> None:
        path = project["path_with_namespace"]
        params = {"permanently_remove": "true", "full_path": path}
        try:
            await self.http.call("DELETE", f"projects/{project['id']}", params=params, missing=True)
        except HostError as error:
            if error.may_succeed_later:
                raise
            raise HostError(
                Reason.FORBIDDEN,
                f"The host keeps the deleted project {path} until its deletion date, "
                f"{_deletion_date(project)}, and its name is taken until then",
                remedy="Ask an administrator to delete it at once, or choose another name.",
                status=error.status,
            ) from error


def _repository(data: Json) -> HostRepository:
    owner, _, name = data["path_with_namespace"].rpartition("/")
    return HostRepository(
        id=str(data["id"]),
        owner=owner,
        name=name,
        web_url=data["web_url"],
        clone_url=data["http_url_to_repo"],
        ssh_url=data["ssh_url_to_repo"],
        default_branch=data.get("default_branch") or "main",
        visibility=Visibility(data["visibility"]),
        project_id=project_of_topics(data.get("topics") or ()),
        archived=bool(data.get("archived")),
        empty=bool(data.get("empty_repo")),
        created_at=time_of(data.get("created_at")),
    )


def _same(data: Json, path: str) -> bool:
    """Whether the project has this path; GitLab ignores the case."""
    return str(data["path_with_namespace"]).casefold() == path.casefold()


def _deletion_date(data: Json) -> str:
    return data.get("marked_for_deletion_on") or data.get("marked_for_deletion_at") or ""


def _doomed(data: Json) -> bool:
    return bool(_deletion_date(data))


def _taken(path: str, found: Json | None, error: HostError, credential: str) -> HostError:
    if found is None:
        return hidden_name(path, credential, status=error.status)
    if _doomed(found):
        return deleted_name(path, _deletion_date(found), found["web_url"], status=error.status)
    project = project_of_topics(found.get("topics") or ())
    return name_taken(path, project, found["web_url"], status=error.status)
