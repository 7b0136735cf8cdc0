"""Environments, secrets, variables and workflows of GitHub's surface."""

from __future__ import annotations

from base64 import b64decode, b64encode

from nacl.public import PrivateKey, SealedBox

from tests.support.githost.answers import Answer, Request, route
from tests.support.githost.github.people import GitHubPeople
from tests.support.githost.state import Json, Repository, now

_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_KEY = PrivateKey.generate()
_KEY_ID = "568250167242549743"


class GitHubPipelines(GitHubPeople):
    """What workflows use. A secret is decrypted when it arrives."""

    @route("GET /repos/{owner}/{repo}/environments")
    def environments(self, request: Request, owner: str, repo: str) -> Json:
        """Answer the environments."""
        found = self.repository(request, owner, repo, permission="environments")
        shown = [self._environment_shown(found, name) for name in found.environments]
        return {"total_count": len(shown), "environments": shown}

    @route("GET /repos/{owner}/{repo}/environments/{name}")
    def environment(self, request: Request, owner: str, repo: str, name: str) -> Json:
        """Answer an environment."""
        found = self.repository(request, owner, repo, permission="environments")
        self._check_environment(found, name)
        return self._environment_shown(found, name)

    @route("PUT /repos/{owner}/{repo}/environments/{name}")
    def put_environment(self, request: Request, owner: str, repo: str, name: str) -> Json:
        """Create or replace an environment; protection rules need a plan."""
        found = self._administered(request, owner, repo, "environments")
        body = request.json
        rules = body.get("reviewers") or body.get("wait_timer")
        plan = self.world.accounts[owner].plan
        if rules and plan == "free" and found.visibility != "public":
            raise self.refuse(
                422,
                "Failed to create the environment protection rule. Please ensure the billing plan "
                "supports the required reviewers protection rule.",
            )
        if not 0 <= (body.get("wait_timer") or 0) <= 43200:
            raise self.refuse(422, "Wait timer must be between 0 and 43200")
        known = {account.id for account in self.world.accounts.values()}
        known |= {team.id for team in self.world.accounts[owner].teams.values()}
        if any(reviewer["id"] not in known for reviewer in body.get("reviewers") or ()):
            raise self.refuse(422, "Reviewer is not valid")
        found.environments[name] = {"id": self.world.next_id(), **body}
        return self._environment_shown(found, name)

    @route("DELETE /repos/{owner}/{repo}/environments/{name}")
    def remove_environment(self, request: Request, owner: str, repo: str, name: str) -> Answer:
        """Delete an environment, with its secrets and variables."""
        found = self._administered(request, owner, repo, "environments")
        self._check_environment(found, name)
        del found.environments[name]
        found.secrets = {key: value for key, value in found.secrets.items() if key[0] != name}
        found.variables = {key: value for key, value in found.variables.items() if key[0] != name}
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/actions/secrets/public-key")
    @route("GET /repos/{owner}/{repo}/environments/{environment}/secrets/public-key")
    def public_key(
        self, request: Request, owner: str, repo: str, environment: str | None = None
    ) -> Json:
        """Answer the key for sealed boxes."""
        self._store(request, owner, repo, environment, "secrets")
        key = b64encode(bytes(_KEY.public_key)).decode()
        return self.filled("actions-public-key", {"key_id": _KEY_ID, "key": key})

    @route("PUT /repos/{owner}/{repo}/actions/secrets/{name}")
    @route("PUT /repos/{owner}/{repo}/environments/{environment}/secrets/{name}")
    def put_secret(
        self, request: Request, owner: str, repo: str, name: str, environment: str | None = None
    ) -> Answer:
        """Store a secret."""
        found = self._store(request, owner, repo, environment, "secrets")
        if name.upper().startswith("GITHUB_") or not name.replace("_", "a").isalnum():
            raise self.invalid(message="Secret names must not start with GITHUB_.")
        if request.json["key_id"] != _KEY_ID:
            raise self.invalid(message="Key ID is not valid")
        value = SealedBox(_KEY).decrypt(b64decode(request.json["encrypted_value"])).decode()
        is_new = (environment, name) not in found.secrets
        found.secrets[environment, name] = value
        return Answer(201, {}) if is_new else Answer(204)

    @route("DELETE /repos/{owner}/{repo}/actions/secrets/{name}")
    @route("DELETE /repos/{owner}/{repo}/environments/{environment}/secrets/{name}")
    def remove_secret(
        self, request: Request, owner: str, repo: str, name: str, environment: str | None = None
    ) -> Answer:
        """Delete a secret."""
        found = self._store(request, owner, repo, environment, "secrets")
        if found.secrets.pop((environment, name), None) is None:
            raise self.refuse(404, "Not Found")
        return Answer(204)

    @route("POST /repos/{owner}/{repo}/actions/variables")
    @route("POST /repos/{owner}/{repo}/environments/{environment}/variables")
    def add_variable(
        self, request: Request, owner: str, repo: str, environment: str | None = None
    ) -> Answer:
        """Add a variable."""
        found = self._store(request, owner, repo, environment, "actions_variables")
        body = request.json
        if (environment, body["name"]) in found.variables:
            raise self.refuse(409, "Already exists - Variable already exists")
        found.variables[environment, body["name"]] = body["value"]
        return Answer(201, {})

    @route("GET /repos/{owner}/{repo}/actions/variables/{name}")
    @route("GET /repos/{owner}/{repo}/environments/{environment}/variables/{name}")
    def variable(
        self, request: Request, owner: str, repo: str, name: str, environment: str | None = None
    ) -> Json:
        """Answer a variable."""
        found = self._store(request, owner, repo, environment, "actions_variables")
        if (environment, name) not in found.variables:
            raise self.refuse(404, "Not Found")
        values = {"name": name, "value": found.variables[environment, name]}
        return self.filled("actions-variable", values)

    @route("PATCH /repos/{owner}/{repo}/actions/variables/{name}")
    @route("PATCH /repos/{owner}/{repo}/environments/{environment}/variables/{name}")
    def change_variable(
        self, request: Request, owner: str, repo: str, name: str, environment: str | None = None
    ) -> Answer:
        """Change a variable."""
        found = self._store(request, owner, repo, environment, "actions_variables")
        if (environment, name) not in found.variables:
            raise self.refuse(404, "Not Found")
        found.variables[environment, name] = request.json["value"]
        return Answer(204)

    @route("DELETE /repos/{owner}/{repo}/actions/variables/{name}")
    @route("DELETE /repos/{owner}/{repo}/environments/{environment}/variables/{name}")
    def remove_variable(
        self, request: Request, owner: str, repo: str, name: str, environment: str | None = None
    ) -> Answer:
        """Delete a variable."""
        found = self._store(request, owner, repo, environment, "actions_variables")
        if found.variables.pop((environment, name), None) is None:
            raise self.refuse(404, "Not Found")
        return Answer(204)

    @route("POST /repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches")
    def dispatch(self, request: Request, owner: str, repo: str, workflow: str) -> Answer:
        """Start a workflow that is on the branch."""
        found = self.repository(request, owner, repo, role="push", permission="actions")
        text = self.file_on(found, request.json["ref"], f".github/workflows/{workflow}")
        if text is None:
            raise self.refuse(404, "Not Found")
        if "workflow_dispatch" not in text:
            raise self.refuse(422, "Workflow does not have 'workflow_dispatch' trigger")
        actor = request.account + (
            "[bot]" if request.token and request.token.kind == "installation" else ""
        )
        run = {"workflow": workflow, "actor": actor, "at": now().strftime(_STAMP)}
        found.dispatches.append(run | request.json)
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/actions/workflows/{workflow}/runs")
    def runs(self, request: Request, owner: str, repo: str, workflow: str) -> Json:
        """Answer the runs that an account has asked for, the newest first."""
        found = self.repository(request, owner, repo, permission="actions")
        shown = [
            {
                "id": number,
                "html_url": f"{self.url}/{found.full_name}/actions/runs/{number}",
                "head_branch": run["ref"],
                **run,
            }
            for number, run in enumerate(found.dispatches, 1)
            if (run["workflow"], run["actor"]) == (workflow, request.query["actor"])
        ]
        return {"total_count": len(shown), "workflow_runs": shown[::-1]}

    def _store(
        self, request: Request, owner: str, repo: str, environment: str | None, permission: str
    ) -> Repository:
        if environment is None:
            return self._administered(request, owner, repo, permission)
        found = self._administered(request, owner, repo, "environments")
        self._check_environment(found, environment)
        return found

    def _check_environment(self, found: Repository, name: str) -> None:
        if name not in found.environments:
            raise self.refuse(404, "Not Found")

    def _environment_shown(self, found: Repository, name: str) -> Json:
        kept = found.environments[name]
        rules: list[Json] = []
        if kept.get("wait_timer"):
            rules.append({"type": "wait_timer", "wait_timer": kept["wait_timer"]})
        if kept.get("reviewers"):
            reviewers = [
                {"type": one["type"], "reviewer": self._reviewer(found, one)}
                for one in kept["reviewers"]
            ]
            rules.append(
                {
                    "type": "required_reviewers",
                    "reviewers": reviewers,
                    "prevent_self_review": bool(kept.get("prevent_self_review")),
                }
            )
        stamp = now().strftime(_STAMP)
        url = f"{self.url}/{found.full_name}/environments/{name}"
        values = {
            "id": kept["id"],
            "name": name,
            "url": url,
            "html_url": url,
            "created_at": stamp,
            "updated_at": stamp,
            "protection_rules": [{"id": 1, "node_id": "R", **rule} for rule in rules],
        }
        if kept.get("deployment_branch_policy"):
            values["deployment_branch_policy"] = kept["deployment_branch_policy"]
        return self.filled("environment", values)

    def _reviewer(self, found: Repository, given: Json) -> Json:
        if given["type"] == "Team":
            teams = self.world.accounts[found.owner].teams.values()
            team = next(one for one in teams if one.id == given["id"])
            return self.filled("team", {"id": team.id, "slug": team.slug, "name": team.slug})
        accounts = self.world.accounts.values()
        return self.person(next(one for one in accounts if one.id == given["id"]))
