"""Repositories: creation, renaming, deletion, topics, collaborators and teams."""

from __future__ import annotations

import re
from typing import Any

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitea.base import GiteaBase
from tests.support.githost.gitea.entities import (
    organization_json,
    repository_json,
    team_json,
    user_json,
)
from tests.support.githost.state import Account, Json, Repository

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_TOPIC = re.compile(r"[a-z0-9][-.a-z0-9]{0,34}")
_RESERVED = {".", "..", "-"}


class RepositoryRoutes(GiteaBase):
    """`world.options`: `left_over`, full names whose files are there; `limit` of repositories."""

    def shown(self, request: Request, repository: Repository) -> Json:
        """Return the repository's JSON."""
        rights = {
            field: self.may(request.token, repository, right)
            for field, right in (("admin", "admin"), ("push", "write"), ("pull", "read"))
        }
        owner = self.world.accounts[repository.owner]
        return repository_json(self.url, owner, repository, rights)

    @route("GET /version")
    def get_version(self, request: Request) -> Any:
        return {"version": self.version}

    @route("GET /user")
    def user(self, request: Request) -> Any:
        return user_json(self.url, self.me(request))

    @route("DELETE /user/keys/{id}")
    def remove_user_key(self, request: Request, id: str) -> Any:
        self.me(request)
        raise Refused(self.error(404, "not found"))

    @route("GET /orgs/{org}")
    def one_organization(self, request: Request, org: str) -> Any:
        return organization_json(self.url, self._organization(org))

    def _organization(self, name: str) -> Account:
        found = self.world.accounts.get(name)
        if found is None or not found.organization:
            raise Refused(self.error(404, "not found"))
        return found

    @route("POST /user/repos")
    def create_for_person(self, request: Request) -> Any:
        return self._created(request, self.me(request))

    @route("POST /orgs/{org}/repos")
    def create_in_organization(self, request: Request, org: str) -> Any:
        organization, me = self._organization(org), self.me(request).name
        if organization.members.get(me) != "owner":
            said = "Given user is not allowed to create repository in organization."
            raise Refused(self.error(403, said))
        return self._created(request, organization)

    def _created(self, request: Request, owner: Account) -> Answer:
        body = request.json
        name = body.get("name", "")
        self._check_name(name)
        full_name = f"{owner.name}/{name}"
        if self.world.find(full_name) is not None:
            said = "The repository with the same name already exists."
            raise Refused(self.error(409, said))
        if full_name in self.world.options.get("left_over", ()):
            # Only an administrator sees the reason.
            raise Refused(self.error(500, ""))
        limit = self.world.options.get("limit")
        if limit is not None and len(self.world.repositories) >= limit:
            said = f"user has reached maximum limit of repositories [limit: {limit}]"
            raise Refused(self.error(413 if self.forgejo else 403, said))
        open_to = "internal" if owner.visibility == "limited" else "public"
        made = self.world.add_repository(
            owner.name,
            name,
            description=body.get("description", ""),
            visibility="private" if body.get("private") else open_to,
            default_branch=body.get("default_branch") or "main",
        )
        return Answer(201, self.shown(request, made))

    def _check_name(self, name: str) -> None:
        if not name:
            raise Refused(self.error(422, "[Name]: Required"))
        if not _NAME.fullmatch(name):
            said = "[Name]: AlphaDashDot"
            raise Refused(self.error(422, said))
        if name in _RESERVED:
            raise Refused(self.error(422, f"name is reserved [name: {name}]"))
        if name.endswith((".git", ".wiki")):
            pattern = f"*.{name.rpartition('.')[2]}"
            raise Refused(self.error(422, f"name pattern is not allowed [pattern: {pattern}]"))

    @route("GET /repos/{owner}/{repo}")
    def one_repository(self, request: Request, owner: str, repo: str) -> Any:
        return self.shown(request, self.repository(request, owner, repo))

    @route("GET /repositories/{id}")
    def repository_by_id(self, request: Request, id: str) -> Any:
        found = self.world.repositories.get(int(id))
        if found is None or not self.may(request.token, found, "read"):
            raise Refused(self.error(404, "not found"))
        return self.shown(request, found)

    @route("PATCH /repos/{owner}/{repo}")
    def edit_repository(self, request: Request, owner: str, repo: str) -> Any:
        found, body = self.repository(request, owner, repo, "admin"), request.json
        found.description = body.get("description", found.description)
        found.archived = body.get("archived", found.archived)
        if (name := body.get("name", found.name)) != found.name:
            if self.world.find(f"{owner}/{name}") is not None:
                said = f"repository already exists [uname: {owner}, name: {name}]"
                raise Refused(self.error(422, said))
            self.world.rename(found, found.owner, name)
        return self.shown(request, found)

    @route("DELETE /repos/{owner}/{repo}")
    def delete_repository(self, request: Request, owner: str, repo: str) -> Any:
        self.world.delete(self.repository(request, owner, repo, "owner"))
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/topics")
    def topics(self, request: Request, owner: str, repo: str) -> Any:
        return {"topics": self.repository(request, owner, repo).topics}

    @route("PUT /repos/{owner}/{repo}/topics")
    def set_topics(self, request: Request, owner: str, repo: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        topics = [topic.strip().lower() for topic in request.json.get("topics") or ()]
        wrong = [topic for topic in topics if not _TOPIC.fullmatch(topic)]
        if len(topics) > 25:
            said = "Exceeding maximum number of topics per repo"
            raise Refused(Answer(422, {"invalidTopics": None, "message": said}))
        if wrong:
            said = "Topic names are invalid"
            raise Refused(Answer(422, {"invalidTopics": wrong, "message": said}))
        found.topics = topics
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/collaborators/{name}")
    def is_collaborator(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo)
        if self._person(name).name not in found.collaborators:
            raise Refused(self.error(404, "not found"))
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/collaborators/{name}/permission")
    def right_of(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found, person = self.repository(request, owner, repo, "admin"), self._person(name)
        right = found.collaborators.get(person.name, "none")
        user = user_json(self.url, person)
        return {"permission": right, "role_name": right, "user": user}

    @route("PUT /repos/{owner}/{repo}/collaborators/{name}")
    def add_collaborator(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        right = request.json.get("permission", "write")
        found.collaborators[self._person(name).name] = right
        return Answer(204)

    @route("DELETE /repos/{owner}/{repo}/collaborators/{name}")
    def remove_collaborator(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        found.collaborators.pop(self._person(name).name, None)
        return Answer(204)

    def _person(self, name: str) -> Account:
        for account in self.world.accounts.values():
            if account.name.casefold() == name.casefold():
                return account
        raise Refused(self.error(422, f"user does not exist [uid: 0, name: {name}]"))

    @route("GET /repos/{owner}/{repo}/teams/{team}")
    def is_team(self, request: Request, owner: str, repo: str, team: str) -> Any:
        found = self._of_organization(request, owner, repo, "read")
        if team not in found.teams:
            raise Refused(self.error(404, "not found"))
        organization = self.world.accounts[found.owner]
        return team_json(organization.teams[team], self.team_right(organization, team))

    @route("PUT /repos/{owner}/{repo}/teams/{team}")
    def add_team(self, request: Request, owner: str, repo: str, team: str) -> Any:
        found = self._of_organization(request, owner, repo, "admin")
        organization = self.world.accounts[found.owner]
        if team not in organization.teams:
            raise Refused(
                self.error(404, f"team does not exist [org_id: 0, team_id: 0, name: {team}]")
            )
        if team in found.teams:
            raise Refused(self.error(422, f"team '{team}' is already added to repo"))
        found.teams[team] = self.team_right(organization, team)
        return Answer(204)

    @route("DELETE /repos/{owner}/{repo}/teams/{team}")
    def remove_team(self, request: Request, owner: str, repo: str, team: str) -> Any:
        found = self._of_organization(request, owner, repo, "admin")
        if found.teams.pop(team, None) is None:
            raise Refused(self.error(422, f"team '{team}' was not added to repo"))
        return Answer(204)

    def _of_organization(self, request: Request, owner: str, repo: str, right: str) -> Repository:
        found = self.repository(request, owner, repo, right)
        if not self.world.accounts[found.owner].organization:
            raise Refused(self.error(405, "repo is not owned by an organization"))
        return found
