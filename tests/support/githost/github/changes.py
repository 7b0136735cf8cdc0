"""Rules, pull requests and statuses of GitHub's surface."""

from __future__ import annotations

from typing import Any

from dulwich.objects import Blob, ObjectID
from dulwich.repo import Repo

from tests.support.githost.answers import Answer, Request, route
from tests.support.githost.github.pipelines import GitHubPipelines
from tests.support.githost.state import Json, Repository

_NOT_UNIQUE = "Name must be unique"
_UPGRADE = "Upgrade to GitHub Pro or make this repository public to enable this feature."


class GitHubChanges(GitHubPipelines):
    """How branches change. `world.options["no_rulesets"]` makes it an older Enterprise."""

    @route("GET /repos/{owner}/{repo}/rulesets")
    def rulesets(self, request: Request, owner: str, repo: str) -> list[Json]:
        """Answer the rulesets, without their rules."""
        found = self._ruled(request, owner, repo)
        return [
            {
                name: value
                for name, value in self._ruleset_shown(found, number).items()
                if name not in ("rules", "conditions")
            }
            for number in found.rulesets
        ]

    @route("POST /repos/{owner}/{repo}/rulesets")
    def add_ruleset(self, request: Request, owner: str, repo: str) -> Answer:
        """Add a ruleset; its name must be new."""
        found = self._ruled(request, owner, repo)
        if any(rules["name"] == request.json["name"] for rules in found.rulesets.values()):
            raise self.invalid({"resource": "Ruleset", "code": "custom", "message": _NOT_UNIQUE})
        number = self.world.next_id()
        found.rulesets[number] = request.json
        return Answer(201, self._ruleset_shown(found, number))

    @route("PUT /repos/{owner}/{repo}/rulesets/{number}")
    def change_ruleset(self, request: Request, owner: str, repo: str, number: str) -> Json:
        """Replace a ruleset."""
        found = self._ruled(request, owner, repo)
        if int(number) not in found.rulesets:
            raise self.refuse(404, "Not Found")
        found.rulesets[int(number)] = request.json
        return self._ruleset_shown(found, int(number))

    @route("DELETE /repos/{owner}/{repo}/rulesets/{number}")
    def remove_ruleset(self, request: Request, owner: str, repo: str, number: str) -> Answer:
        """Delete a ruleset."""
        return self._dropped(self._ruled(request, owner, repo).rulesets, number)

    @route("PUT /repos/{owner}/{repo}/branches/{branch}/protection")
    def protect(self, request: Request, owner: str, repo: str, branch: str) -> Json:
        """Protect a branch that exists."""
        found = self._administered(request, owner, repo)
        self._check_plan(found)
        if branch not in found.branches():
            raise self.refuse(404, "Branch not found")
        if request.json.get("restrictions") and not self.world.accounts[owner].organization:
            raise self.invalid(
                "Only organization repositories can have users and team restrictions"
            )
        found.protections[branch] = request.json
        url = f"{self.url}/{found.full_name}/branches/{branch}/protection"
        return self.filled("protected-branch", {"url": url})

    @route("DELETE /repos/{owner}/{repo}/branches/{branch}/protection")
    def unprotect(self, request: Request, owner: str, repo: str, branch: str) -> Answer:
        """Remove a branch's protection."""
        found = self._administered(request, owner, repo)
        if found.protections.pop(branch, None) is None:
            raise self.refuse(404, "Branch not protected")
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/pulls")
    def pulls(self, request: Request, owner: str, repo: str) -> list[Json]:
        """Answer the pull requests, filtered by state, head and base."""
        found = self.repository(request, owner, repo, permission="pull_requests")
        query = request.query
        return [
            self._pull_shown(found, number, "pull-request-simple")
            for number, pull in found.pulls.items()
            if pull["state"] == query.get("state", "open")
            and query.get("head") in (None, f"{owner}:{pull['head']}")
            and query.get("base") in (None, pull["base"])
        ]

    @route("POST /repos/{owner}/{repo}/pulls")
    def open_pull(self, request: Request, owner: str, repo: str) -> Answer:
        """Open a pull request between branches that exist."""
        found = self.repository(request, owner, repo, role="push", permission="pull_requests")
        body, branches = request.json, found.branches()
        head, base = body["head"], body["base"]
        if head not in branches or base not in branches:
            field = "head" if head not in branches else "base"
            raise self.invalid({"resource": "PullRequest", "field": field, "code": "invalid"})
        if branches[head] == branches[base]:
            text = f"No commits between {base} and {head}"
            raise self.invalid({"resource": "PullRequest", "code": "custom", "message": text})
        for pull in found.pulls.values():
            if (pull["head"], pull["base"], pull["state"]) == (head, base, "open"):
                text = f"A pull request already exists for {owner}:{head}."
                raise self.invalid({"resource": "PullRequest", "code": "custom", "message": text})
        number = len(found.pulls) + 1
        found.pulls[number] = {
            "id": self.world.next_id(),
            "title": body["title"],
            "body": body.get("body"),
            "head": head,
            "base": base,
            "state": "open",
            "merged_at": None,
        }
        return Answer(201, self._pull_shown(found, number))

    @route("GET /repos/{owner}/{repo}/pulls/{number}")
    def pull(self, request: Request, owner: str, repo: str, number: str) -> Json:
        """Answer a pull request."""
        found = self.repository(request, owner, repo, permission="pull_requests")
        if int(number) not in found.pulls:
            raise self.refuse(404, "Not Found")
        return self._pull_shown(found, int(number))

    @route("PATCH /repos/{owner}/{repo}/pulls/{number}")
    def change_pull(self, request: Request, owner: str, repo: str, number: str) -> Json:
        """Change or close a pull request."""
        found = self.repository(request, owner, repo, role="push", permission="pull_requests")
        if int(number) not in found.pulls:
            raise self.refuse(404, "Not Found")
        found.pulls[int(number)].update(request.json)
        return self._pull_shown(found, int(number))

    @route("POST /repos/{owner}/{repo}/statuses/{sha}")
    def add_status(self, request: Request, owner: str, repo: str, sha: str) -> Answer:
        """Add a status to a commit that exists."""
        found = self.repository(request, owner, repo, role="push", permission="statuses")
        with Repo(str(found.path)) as git:
            if len(sha) != 40 or ObjectID(sha.encode()) not in git.object_store:
                raise self.refuse(422, f"No commit found for SHA: {sha}")
        found.statuses.setdefault(sha, []).append(request.json)
        values: Json = {"id": self.world.next_id(), "target_url": None, **request.json}
        return Answer(201, self.filled("status", values))

    def merge(self, repository: Repository, number: int) -> None:
        """Merge a pull request, as a person does on the page: the base becomes the head."""
        pull = repository.pulls[number]
        with Repo(str(repository.path)) as git:
            head = f"refs/heads/{pull['head']}".encode()
            git.refs[f"refs/heads/{pull['base']}".encode()] = git.refs[head]  # type: ignore[index]
        pull.update(state="closed", merged_at="2026-01-01T00:00:00Z")

    def file_on(self, repository: Repository, branch: str, path: str) -> str | None:
        """Return the text of a file on a branch; None if it is not there."""
        commit = repository.branches().get(branch.removeprefix("refs/heads/"))
        if commit is None:
            return None
        with Repo(str(repository.path)) as git:
            tree: Any = git[git[ObjectID(commit.encode())].tree]  # type: ignore[attr-defined]
            try:
                _, found = tree.lookup_path(git.object_store.__getitem__, path.encode())
            except KeyError:
                return None
            blob = git[found]
            return blob.data.decode() if isinstance(blob, Blob) else None

    def _ruled(self, request: Request, owner: str, repo: str) -> Repository:
        if self.world.options.get("no_rulesets"):
            raise self.refuse(404, "Not Found")
        found = self._administered(request, owner, repo)
        self._check_plan(found)
        return found

    def _check_plan(self, found: Repository) -> None:
        plan = self.world.accounts[found.owner].plan
        if plan == "free" and found.visibility != "public":
            raise self.refuse(403, _UPGRADE)

    def _ruleset_shown(self, found: Repository, number: int) -> Json:
        kept = found.rulesets[number]
        values = {"id": number, "source": found.full_name, "source_type": "Repository"}
        return self.filled("repository-ruleset", kept | values)

    def _pull_shown(self, found: Repository, number: int, schema: str = "pull-request") -> Json:
        kept = found.pulls[number]
        url = f"{self.url}/{found.full_name}/pull/{number}"
        values = {
            "id": kept["id"],
            "number": number,
            "html_url": url,
            "url": url,
            "state": kept["state"],
            "title": kept["title"],
            "body": kept["body"],
            "merged_at": kept["merged_at"],
            "head": {"ref": kept["head"], "label": f"{found.owner}:{kept['head']}"},
            "base": {"ref": kept["base"], "label": f"{found.owner}:{kept['base']}"},
        }
        return self.filled(schema, values)
