"""Branches, merge requests, pipelines and statuses."""

from __future__ import annotations

from typing import Any

from dulwich.objects import Commit, ObjectID, Tree
from dulwich.repo import Repo

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitlab.base import DEVELOPER, GitLabBase
from tests.support.githost.gitlab.entities import merge_request_json, user_json
from tests.support.githost.state import Json, Repository, now

_VERBS = {"pending": "enqueue", "running": "run", "success": "success", "failed": "drop"}


class WorkRoutes(GitLabBase):
    """What people and pipelines do in a project."""

    @route("GET /projects/{id}/repository/branches/{branch}")
    def branch(self, request: Request, id: str, branch: str) -> Any:
        repository = self.project(request, id)
        commit = repository.branches().get(branch)
        if commit is None:
            raise Refused(self.error(404, "404 Branch Not Found"))
        return {
            "name": branch,
            "commit": {"id": commit, "short_id": commit[:8], "parent_ids": []},
            "merged": False,
            "protected": branch in repository.protections,
            "developers_can_push": False,
            "developers_can_merge": False,
            "can_push": True,
            "default": branch == repository.default_branch,
            "web_url": f"{self.url}/{repository.full_name}/-/tree/{branch}",
        }

    @route("GET /projects/{id}/merge_requests")
    def merge_requests(self, request: Request, id: str) -> Any:
        repository, query = self.project(request, id), request.query
        found = [
            pull
            for pull in repository.pulls.values()
            if query.get("state", "all") in ("all", pull["state"])
            and query.get("source_branch", pull["head"]) == pull["head"]
            and query.get("target_branch", pull["base"]) == pull["base"]
        ]
        return self.page(request, [self._merge_request_json(repository, pull) for pull in found])

    @route("POST /projects/{id}/merge_requests")
    def open_merge_request(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, DEVELOPER), request.json
        self.needed(body, "title", "source_branch", "target_branch")
        head, base, branches = body["source_branch"], body["target_branch"], repository.branches()
        for pull in repository.pulls.values():
            if (pull["head"], pull["base"], pull["state"]) == (head, base, "opened"):
                text = "Another open merge request already exists for this source branch: "
                raise Refused(Answer(409, {"message": [f"{text}!{pull['number']}"]}))
        if head not in branches:
            raise Refused(Answer(400, {"message": [f"Source branch {head} does not exist"]}))
        number = len(repository.pulls) + 1
        repository.pulls[number] = {
            "number": number,
            "title": body["title"],
            "body": body.get("description", ""),
            "head": head,
            "base": base,
            "state": "opened",
            "sha": branches[head],
            "author": self.me(request).name,
        }
        return Answer(201, self._merge_request_json(repository, repository.pulls[number]))

    @route("GET /projects/{id}/merge_requests/{number}")
    def merge_request(self, request: Request, id: str, number: str) -> Any:
        repository = self.project(request, id)
        return self._merge_request_json(repository, self._pull(repository, number))

    @route("PUT /projects/{id}/merge_requests/{number}")
    def edit_merge_request(self, request: Request, id: str, number: str) -> Any:
        repository = self.project(request, id, DEVELOPER)
        pull = self._pull(repository, number)
        if request.json.get("state_event") == "close":
            pull["state"] = "closed"
        return self._merge_request_json(repository, pull)

    def _pull(self, repository: Repository, number: str) -> Json:
        if int(number) not in repository.pulls:
            raise Refused(self.error(404, "404 Not found"))
        return repository.pulls[int(number)]

    def _merge_request_json(self, repository: Repository, pull: Json) -> Json:
        author = user_json(self.url, self.world.accounts[pull["author"]])
        return merge_request_json(self.url, repository, pull, author)

    @route("POST /projects/{id}/pipeline")
    def start_pipeline(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, DEVELOPER), request.json
        self.needed(body, "ref")
        commit = repository.branches().get(body["ref"])
        if commit is None:
            raise self.invalid(base="Reference not found")
        if b".gitlab-ci.yml" not in _names(repository, commit):
            raise self.invalid(base="Missing CI config file")
        number = self.world.next_id()
        repository.dispatches.append({"ref": body["ref"], "inputs": body.get("inputs", {})})
        made = {
            "id": number,
            "iid": len(repository.dispatches),
            "project_id": repository.id,
            "sha": commit,
            "ref": body["ref"],
            "status": "created",
            "source": "api",
            "created_at": now().isoformat(timespec="milliseconds"),
            "web_url": f"{self.url}/{repository.full_name}/-/pipelines/{number}",
        }
        repository.options.setdefault("pipelines", []).insert(0, made)
        return Answer(201, made)

    @route("GET /projects/{id}/pipelines")
    def pipelines(self, request: Request, id: str) -> Any:
        repository, query = self.project(request, id), request.query
        return self.page(
            request,
            [
                made
                for made in repository.options.get("pipelines", ())
                if query.get("ref", made["ref"]) == made["ref"]
            ],
        )

    @route("POST /projects/{id}/statuses/{sha}")
    def set_status(self, request: Request, id: str, sha: str) -> Any:
        repository, body = self.project(request, id, DEVELOPER), request.json
        self.needed(body, "state")
        with Repo(str(repository.path)) as repo:
            if ObjectID(sha.encode()) not in repo.object_store:
                raise Refused(self.error(404, "404 Commit Not Found"))
        known = repository.statuses.setdefault(sha, [])
        state, name = body["state"], body.get("name") or body.get("context") or "default"
        states = [one["state"] for one in known if one["context"] == name]
        if states[-1:] == [state]:
            verb = _VERBS[state]
            raise Refused(
                self.error(
                    400,
                    f"Cannot transition status via :{verb} from :{state} "
                    f'(Reason(s): Status cannot transition via "{verb}")',
                )
            )
        known.append({"context": name, "state": state, "description": body.get("description")})
        return Answer(
            201,
            {
                "id": self.world.next_id(),
                "sha": sha,
                "status": state,
                "name": name,
                "description": body.get("description"),
                "target_url": body.get("target_url"),
            },
        )


def _names(repository: Repository, commit: str) -> set[bytes]:
    """Return the names in the commit's root folder."""
    with Repo(str(repository.path)) as repo:
        found = repo[commit.encode()]
        assert isinstance(found, Commit)
        tree = repo[found.tree]
        assert isinstance(tree, Tree)
        return {entry.path for entry in tree.items() if entry.path is not None}
