"""Projects: creation, deletion in two steps, members and groups."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitlab.base import (
    DEVELOPER,
    MAINTAINER,
    OWNER,
    USER_NAMESPACES,
    GitLabBase,
)
from tests.support.githost.gitlab.entities import (
    group_json,
    namespace_json,
    project_json,
    user_json,
)
from tests.support.githost.state import Account, Json, Repository, now

_VISIBILITIES = ["private", "internal", "public"]
_PATH = re.compile(r"[a-zA-Z0-9_.-]+")
_TAKEN = "has already been taken"


class ProjectRoutes(GitLabBase):
    """`world.options`: `renames_deleted` and `deletes_at_once` may be set to False."""

    def shown(self, repository: Repository) -> Json:
        """Return the project's JSON."""
        accounts = self.world.accounts
        groups = {group: accounts[group].id for group in repository.teams}
        return project_json(self.url, accounts[repository.owner], repository, groups)

    @route("GET /namespaces/{id}")
    def namespace(self, request: Request, id: str) -> Any:
        me = self.me(request)
        for account in self.world.accounts.values():
            found = namespace_json(self.url, account)
            if id.casefold() not in (str(found["id"]), account.name.casefold()):
                continue
            if account is me or self.group_role(me.name, account.name):
                return found
        raise Refused(self.error(404, "404 Namespace Not Found"))

    @route("GET /groups/{id}")
    def one_group(self, request: Request, id: str) -> Any:
        return group_json(self.url, self.group(request, id))

    @route("POST /projects")
    def create_project(self, request: Request) -> Any:
        body = request.json
        if "name" not in body and "path" not in body:
            raise Refused(Answer(400, {"error": "name, path are missing, at least one"}))
        name = body.get("path") or re.sub(r"[^a-zA-Z0-9_.-]+", "-", body["name"].lower())
        if not _PATH.fullmatch(name):
            raise self.invalid(path="can contain only letters, digits, '_', '-' and '.'")
        owner = self._owner(request, body)
        visibility = body.get("visibility", "private")
        self._check_visibility(owner, visibility)
        if self.world.find(f"{owner.name}/{name}") is not None:
            raise self.invalid(name=_TAKEN, path=_TAKEN, project_namespace__name=_TAKEN)
        made = self.world.add_repository(
            owner.name,
            name,
            description=body.get("description") or "",
            visibility=visibility,
            topics=list(body.get("topics") or body.get("tag_list") or []),
        )
        made.options["name"] = body.get("name", name)
        me = self.me(request).name
        if owner.organization and self.group_role(me, owner.name) < MAINTAINER:
            made.collaborators[me] = str(MAINTAINER)
        return Answer(201, self.shown(made))

    def _owner(self, request: Request, body: Json) -> Account:
        me, token = self.me(request), request.token
        given = body.get("namespace_id")
        if given is None:
            given = me.id + USER_NAMESPACES
        if not isinstance(given, int):
            raise self.invalid(namespace="can't be blank")
        for account in self.world.accounts.values():
            if namespace_json(self.url, account)["id"] != given:
                continue
            allowed = account is me or self.group_role(me.name, account.name) >= DEVELOPER
            if allowed and token is not None and token.kind != "project":
                return account
        raise self.invalid(namespace="is not valid")

    def _check_visibility(self, owner: Account, visibility: str) -> None:
        if not owner.organization:
            return
        if _VISIBILITIES.index(visibility) > _VISIBILITIES.index(owner.visibility):
            raise self.invalid(
                visibility_level=f"{visibility} is not allowed in a {owner.visibility} group."
            )

    @route("GET /projects/{id}")
    def one_project(self, request: Request, id: str) -> Any:
        return self.shown(self.project(request, id))

    @route("PUT /projects/{id}")
    def edit_project(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        repository.description = body.get("description", repository.description)
        repository.topics = body.get("topics", repository.topics)
        if "only_allow_merge_if_pipeline_succeeds" in body:
            repository.options["pipeline_must_succeed"] = body[
                "only_allow_merge_if_pipeline_succeeds"
            ]
        return self.shown(repository)

    @route("DELETE /projects/{id}")
    def delete_project(self, request: Request, id: str) -> Any:
        repository = self.project(request, id, OWNER)
        if request.query.get("permanently_remove") == "true":
            return self._remove(request, repository)
        if "marked_for_deletion_on" in repository.options:
            raise Refused(self.error(400, "Project has been already marked for deletion"))
        date = now() + timedelta(days=30)
        repository.options["marked_for_deletion_on"] = f"{date:%Y-%m-%d}"
        repository.archived = True
        if self.world.options.get("renames_deleted", True):
            name = f"{repository.name}-deletion_scheduled-{repository.id}"
            self.world.rename(repository, repository.owner, name)
        return Answer(202, {"message": "202 Accepted"})

    def _remove(self, request: Request, repository: Repository) -> Answer:
        if not self.world.options.get("deletes_at_once", True):
            raise Refused(self.error(403, "403 Forbidden"))
        if "marked_for_deletion_on" not in repository.options:
            raise Refused(self.error(400, "Project must be marked for deletion first."))
        if request.query.get("full_path") != repository.full_name:
            raise Refused(
                self.error(400, "`full_path` is incorrect. You must enter the complete path.")
            )
        self.world.delete(repository)
        return Answer(202, {"message": "202 Accepted"})

    @route("GET /projects/{id}/members")
    def members(self, request: Request, id: str) -> Any:
        repository = self.project(request, id)
        wanted = request.query.get("query", "")
        names = [name for name in repository.collaborators if wanted.casefold() in name.casefold()]
        return self.page(request, [self._member(repository, name) for name in names])

    def _member(self, repository: Repository, name: str) -> Json:
        account = self.world.accounts[name]
        return {
            **user_json(self.url, account),
            "access_level": int(repository.collaborators[name]),
            "created_at": "2026-01-01T00:00:00.000Z",
            "expires_at": None,
            "membership_state": "active",
        }

    @route("POST /projects/{id}/members")
    def add_member(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        self.needed(body, "access_level")
        for account in self.world.accounts.values():
            if account.name == body.get("username") or account.id == body.get("user_id"):
                break
        else:
            raise Refused(self.error(404, "404 User Not Found"))
        if account.name in repository.collaborators:
            raise Refused(self.error(409, "Member already exists"))
        inherited = self.group_role(account.name, repository.owner)
        if inherited > body["access_level"]:
            raise self.invalid(
                access_level="should be greater than or equal to Owner inherited membership from "
                f"group {repository.owner}"
            )
        repository.collaborators[account.name] = str(body["access_level"])
        return Answer(201, self._member(repository, account.name))

    @route("PUT /projects/{id}/members/{user_id}")
    def edit_member(self, request: Request, id: str, user_id: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        name = self._direct(repository, user_id)
        repository.collaborators[name] = str(request.json["access_level"])
        return self._member(repository, name)

    @route("DELETE /projects/{id}/members/{user_id}")
    def remove_member(self, request: Request, id: str, user_id: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        del repository.collaborators[self._direct(repository, user_id)]
        return Answer(204)

    def _direct(self, repository: Repository, user_id: str) -> str:
        for name in repository.collaborators:
            if str(self.world.accounts[name].id) == user_id:
                return name
        raise Refused(self.error(404, "404 Not found"))

    @route("POST /projects/{id}/share")
    def share(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        group = self.group(request, str(body["group_id"]))
        if group.name in repository.teams:
            raise Refused(self.error(409, "The project has already been shared with this group"))
        repository.teams[group.name] = str(body["group_access"])
        return Answer(
            201,
            {
                "id": self.world.next_id(),
                "project_id": repository.id,
                "group_id": group.id,
                "group_access": body["group_access"],
                "expires_at": None,
            },
        )

    @route("DELETE /projects/{id}/share/{group_id}")
    def unshare(self, request: Request, id: str, group_id: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        for name in list(repository.teams):
            if str(self.world.accounts[name].id) == group_id:
                del repository.teams[name]
                return Answer(204)
        raise Refused(self.error(404, "404 Group Link Not Found"))
