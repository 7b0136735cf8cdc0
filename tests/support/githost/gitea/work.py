"""Branches, pull requests, workflows and statuses."""

from __future__ import annotations

from typing import Any

import yaml
from dulwich.object_store import tree_lookup_path
from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitea.entities import pull_json, user_json
from tests.support.githost.gitea.repositories import RepositoryRoutes
from tests.support.githost.state import Json, Repository

_TIME = "2026-01-01T00:00:00Z"


class WorkRoutes(RepositoryRoutes):
    """What people and workflows do in a repository."""

    @route("GET /repos/{owner}/{repo}/branches/{branch*}")
    def branch(self, request: Request, owner: str, repo: str, branch: str) -> Any:
        found = self.repository(request, owner, repo)
        commit = found.branches().get(branch)
        if commit is None:
            raise Refused(self.error(404, "not found"))
        rule = found.protections.get(branch, {})
        return {
            "name": branch,
            "commit": {"id": commit, "message": "", "url": "", "timestamp": _TIME},
            "protected": bool(rule),
            "required_approvals": rule.get("required_approvals", 0),
            "enable_status_check": rule.get("enable_status_check", False),
            "status_check_contexts": rule.get("status_check_contexts", []),
            "user_can_push": True,
            "user_can_merge": True,
            "effective_branch_protection_name": rule.get("rule_name", ""),
        }

    @route("GET /repos/{owner}/{repo}/pulls")
    def pulls(self, request: Request, owner: str, repo: str) -> Any:
        found, state = self.repository(request, owner, repo), request.query.get("state", "open")
        pulls = [one for one in found.pulls.values() if state in ("all", one["state"])]
        return self.page(request, [self._pull(request, found, one) for one in pulls])

    @route("POST /repos/{owner}/{repo}/pulls")
    def open_pull(self, request: Request, owner: str, repo: str) -> Any:
        found, body = self.repository(request, owner, repo, "write"), request.json
        branches = found.branches()
        for side in ("head", "base"):
            if body[side] not in branches:
                raise Refused(self.error(404, "not found"))
        for pull in found.pulls.values():
            sides = (pull["head"], pull["base"], pull["state"])
            if sides == (body["head"], body["base"], "open"):
                said = f"pull request already exists for these targets [id: {pull['number']}]"
                raise Refused(self.error(409, said))
        number = len(found.pulls) + 1
        found.pulls[number] = {
            "number": number,
            "title": body["title"],
            "body": body.get("body", ""),
            "head": body["head"],
            "base": body["base"],
            "state": "open",
            "sha": branches[body["head"]],
            "author": self.me(request).name,
        }
        return Answer(201, self._pull(request, found, found.pulls[number]))

    @route("GET /repos/{owner}/{repo}/pulls/{number}")
    def one_pull(self, request: Request, owner: str, repo: str, number: str) -> Any:
        found = self.repository(request, owner, repo)
        return self._pull(request, found, self._known_pull(found, number))

    @route("PATCH /repos/{owner}/{repo}/pulls/{number}")
    def edit_pull(self, request: Request, owner: str, repo: str, number: str) -> Any:
        found = self.repository(request, owner, repo, "write")
        pull = self._known_pull(found, number)
        pull["state"] = request.json.get("state", pull["state"])
        return Answer(201, self._pull(request, found, pull))

    def _known_pull(self, repository: Repository, number: str) -> Json:
        if int(number) not in repository.pulls:
            raise Refused(self.error(404, "not found"))
        return repository.pulls[int(number)]

    def _pull(self, request: Request, repository: Repository, pull: Json) -> Json:
        author = user_json(self.url, self.world.accounts[pull["author"]])
        return pull_json(self.url, repository, self.shown(request, repository), pull, author)

    @route("POST /repos/{owner}/{repo}/actions/workflows/{name}/dispatches")
    def dispatch_workflow(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found, body = self.repository(request, owner, repo, "write"), request.json
        if any(not isinstance(value, str) for value in body.get("inputs", {}).values()):
            raise Refused(self.error(422, "json: cannot unmarshal into Go value of type string"))
        commit = found.branches().get(body["ref"].removeprefix("refs/heads/"))
        workflow = _workflow(found, commit, name) if commit else None
        if workflow is None:
            raise Refused(self.error(404, f"workflow '{name}' not found"))
        # YAML 1.1 reads `on` as true.
        if "workflow_dispatch" not in workflow.get(True, workflow.get("on", ())):
            said = f"workflow '{name}' does not have workflow_dispatch event trigger"
            raise Refused(self.error(422, said))
        found.dispatches.append({"workflow": name, "ref": body["ref"], "inputs": body["inputs"]})
        number = len(found.dispatches)
        if self.forgejo:
            if not body.get("return_run_info"):
                return Answer(204)
            return Answer(201, {"id": 100 + number, "run_number": number, "jobs": ["test"]})
        if request.query.get("return_run_details") != "true":
            return Answer(204)
        address = f"{found.full_name}/actions/runs/{100 + number}"
        return {
            "workflow_run_id": 100 + number,
            "run_url": f"{self.url}/api/v1/repos/{address}",
            "html_url": f"{self.url}/{address}",
        }

    @route("GET /repos/{owner}/{repo}/actions/runs")
    def runs(self, request: Request, owner: str, repo: str) -> Any:
        found = self.repository(request, owner, repo)
        shown: list[Json] = []
        for number, run in enumerate(found.dispatches, 1):
            address = f"{self.url}/{found.full_name}/actions/runs/{100 + number}"
            if self.forgejo:
                file = {"index_in_repo": number, "workflow_id": run["workflow"]}
            else:
                file = {"run_number": number, "path": f"{run['workflow']}@refs/heads/{run['ref']}"}
            event = {"event": "workflow_dispatch", "html_url": address}
            shown.insert(0, {"id": 100 + number, **event, **file})
        return {"workflow_runs": shown, "total_count": len(shown)}

    @route("POST /repos/{owner}/{repo}/statuses/{sha}")
    def set_status(self, request: Request, owner: str, repo: str, sha: str) -> Any:
        found, body = self.repository(request, owner, repo, "write"), request.json
        with Repo(str(found.path)) as git:
            if ObjectID(sha.encode()) not in git.object_store:
                raise Refused(self.error(404, "not found"))
        status = {"context": body.get("context", "default"), "state": body["state"]}
        found.statuses.setdefault(sha, []).append(status)
        return Answer(
            201,
            {
                "id": self.world.next_id(),
                "status": body["state"],
                "context": status["context"],
                "description": body.get("description", ""),
                "target_url": body.get("target_url", ""),
                "url": f"{self.url}/api/v1/repos/{found.full_name}/statuses/{sha}",
                "creator": user_json(self.url, self.me(request)),
                "created_at": _TIME,
                "updated_at": _TIME,
            },
        )


def _workflow(repository: Repository, commit: str, name: str) -> dict[Any, Any] | None:
    """Return a workflow's content in a commit."""
    with Repo(str(repository.path)) as git:
        found = git[commit.encode()]
        assert isinstance(found, Commit)
        for folder in (".gitea", ".forgejo", ".github"):
            path = f"{folder}/workflows/{name}".encode()
            try:
                _, blob = tree_lookup_path(git.__getitem__, found.tree, path)
            except KeyError:
                continue
            read: dict[Any, Any] = yaml.safe_load(git[blob].as_raw_string())
            return read
    return None
