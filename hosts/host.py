"""The interface of Git hosts, and the objects that are created on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from stepway.hosts.access import HostKind


class Visibility(StrEnum):
    """Who sees a repository; only GitLab, Gitea and GitHub Enterprise know `internal`."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class Permission(StrEnum):
    """What a collaborator or team may do; each host maps it to its nearest role."""

    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


class Feature(StrEnum):
    """Features that not all hosts have; a blueprint that uses a missing one is refused at load."""

    TOPICS = "topics"
    INTERNAL_VISIBILITY = "internal_visibility"
    TEAMS = "teams"
    COLLABORATORS = "collaborators"
    ENVIRONMENTS = "environments"
    ENVIRONMENT_REVIEWERS = "environment_reviewers"
    ENVIRONMENT_WAIT = "environment_wait"
    SECRETS = "secrets"
    ENVIRONMENT_SECRETS = "environment_secrets"
    VARIABLES = "variables"
    DEPLOY_KEYS = "deploy_keys"
    WEBHOOKS = "webhooks"
    BRANCH_PROTECTION = "branch_protection"
    FORCE_PUSH = "force_push"
    PULL_REQUESTS = "pull_requests"
    DISPATCH = "dispatch"
    COMMIT_STATUS = "commit_status"


@dataclass(frozen=True)
class Identity:
    """The account behind a token. `scopes` is None where the host does not tell."""

    account: str
    scopes: frozenset[str] | None = None
    expires_at: datetime | None = None
    kind: str = "user"
    """`user`, `app`, `group`, `project` or `organization`."""


@dataclass(frozen=True)
class RepositorySpec:
    """A repository to create; `owner` is an organization, a group's path or the account itself.

    `project_id` is the mark by which a later attempt finds the repository again.
    """

    owner: str
    name: str
    project_id: str
    description: str = ""
    visibility: Visibility = Visibility.PRIVATE
    topics: tuple[str, ...] = ()
    default_branch: str = "main"


@dataclass(frozen=True)
class HostRepository:
    """A repository on a host. `project_id` is the Stepway project that created it, or None."""

    id: str
    owner: str
    name: str
    web_url: str
    clone_url: str
    ssh_url: str
    default_branch: str
    visibility: Visibility
    project_id: str | None = None
    archived: bool = False
    empty: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True)
class GitRemote:
    """Where and as whom Git pushes; repr hides the password."""

    url: str
    username: str
    password: str = field(repr=False)
    ca: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DeployEnvironment:
    """`reviewers` are accounts, or teams as `@team`; `wait` is minutes before a deployment."""

    name: str
    reviewers: tuple[str, ...] = ()
    approvals: int = 0
    wait: int = 0


@dataclass(frozen=True)
class DeployKey:
    """A public SSH key that may use one repository; `key` is `TYPE BASE64`, without a comment."""

    id: str
    title: str
    key: str
    read_only: bool


@dataclass(frozen=True)
class WebhookSpec:
    """`events` are the host's own names."""

    url: str
    events: tuple[str, ...] = ("push",)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class BranchRules:
    """`checks` are names of status checks that must pass; `approvals` reviews that are needed."""

    branch: str = "main"
    approvals: int = 0
    checks: tuple[str, ...] = ()
    allow_force_push: bool = False
    pull_request: bool = True


@dataclass(frozen=True)
class PullRequestSpec:
    """A pull or merge request from the branch `head` to `base`."""

    head: str
    base: str
    title: str
    body: str = ""


@dataclass(frozen=True)
class PullRequest:
    """`state` is `open`, `merged` or `closed`."""

    number: int
    url: str
    state: str
    body: str = ""


@dataclass(frozen=True)
class PipelineRun:
    """A run of a workflow, or a pipeline. Newer runs have greater IDs; 0 stands for none yet."""

    id: int
    url: str = ""


@dataclass(frozen=True)
class CommitStatus:
    """`state` is `pending`, `success` or `failure`."""

    context: str
    state: str
    description: str = ""
    url: str = ""


class GitHost(Protocol):
    """One host as one account. All methods raise HostError and are bounded in time.

    Each `put_…` and `add_…` may be repeated: it finds what an earlier call has made. Each
    `remove_…` does nothing if the object is gone, and returns whether it was there.
    """

    kind: HostKind
    features: frozenset[Feature]

    @property
    def account(self) -> str:
        """The account, organization or group that owns new repositories where a step names none.

        Empty if the credential does not say: then it is the account of `identity`.
        """
        ...

    async def identity(self) -> Identity:
        """Return the account behind the token."""
        ...

    async def find_repository(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository; None if it does not exist, or the token may not see it.

        A repository that was renamed, or waits for its deletion, is not returned by its old name.
        """
        ...

    async def find_renamed(self, owner: str, name: str) -> HostRepository | None:
        """Return the repository that had this name before it was renamed or moved; else None."""
        ...

    async def create_repository(self, spec: RepositorySpec) -> HostRepository:
        """Create an empty repository with the mark, or return the one that has this mark.

        After an uncertain answer it is looked up. Raises HostError NAME_TAKEN if another has it.
        """
        ...

    async def delete_repository(self, repository: HostRepository) -> bool:
        """Delete the repository, so that its name is free. The caller has checked the mark."""
        ...

    async def branch_head(self, repository: HostRepository, branch: str) -> str | None:
        """Return the ID of the branch's newest commit; None if there is no such branch."""
        ...

    async def remote(self, repository: HostRepository) -> GitRemote:
        """Return how Git reaches the repository over HTTPS."""
        ...

    async def put_collaborator(
        self,
        repository: HostRepository,
        account: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Give an account a permission; with `keep_more`, a greater one stays."""
        ...

    async def remove_collaborator(self, repository: HostRepository, account: str) -> bool:
        """Take the permission back."""
        ...

    async def put_team(
        self,
        repository: HostRepository,
        team: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Give a team (GitHub, Gitea) or group (GitLab) a permission, as `put_collaborator`."""
        ...

    async def remove_team(self, repository: HostRepository, team: str) -> bool:
        """Take the permission back."""
        ...

    async def put_environment(
        self,
        repository: HostRepository,
        environment: DeployEnvironment,
        *,
        keep_more: bool = False,
    ) -> None:
        """Create or update an environment; what `environment` does not name stays.

        With `keep_more`, its reviewers and a longer wait stay, too.
        """
        ...

    async def remove_environment(self, repository: HostRepository, name: str) -> bool:
        """Delete an environment."""
        ...

    async def put_secret(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a secret for the host's pipelines."""
        ...

    async def remove_secret(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete a secret."""
        ...

    async def put_variable(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a variable for the host's pipelines; everybody who reads them sees it."""
        ...

    async def remove_variable(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete a variable."""
        ...

    async def ssh_host_keys(self) -> list[str]:
        """Return the public keys of the host's SSH server, each as `TYPE BASE64`.

        Empty if the host does not publish them over its API.
        """
        ...

    async def deploy_keys(self, repository: HostRepository) -> list[DeployKey]:
        """Return the deploy keys of a repository."""
        ...

    async def add_deploy_key(
        self, repository: HostRepository, title: str, key: str, *, read_only: bool = True
    ) -> str:
        """Add a public SSH key; return the key's ID on the host."""
        ...

    async def remove_deploy_key(self, repository: HostRepository, key_id: str) -> bool:
        """Delete a deploy key."""
        ...

    async def add_webhook(self, repository: HostRepository, webhook: WebhookSpec) -> str:
        """Add a webhook; return its ID. One with the same URL is updated."""
        ...

    async def remove_webhook(self, repository: HostRepository, webhook_id: str) -> bool:
        """Delete a webhook."""
        ...

    async def protect_branch(self, repository: HostRepository, rules: BranchRules) -> None:
        """Protect a branch; rules that exist for it are replaced."""
        ...

    async def unprotect_branch(self, repository: HostRepository, branch: str) -> bool:
        """Remove the protection."""
        ...

    async def open_pull_request(
        self, repository: HostRepository, spec: PullRequestSpec
    ) -> PullRequest:
        """Open a pull request, or return the open one between the same branches."""
        ...

    async def find_pull_request(self, repository: HostRepository, number: int) -> PullRequest:
        """Return a pull request."""
        ...

    async def close_pull_request(self, repository: HostRepository, number: int) -> bool:
        """Close a pull request without merging; False if it was not open."""
        ...

    async def newest_run(
        self, repository: HostRepository, workflow: str, ref: str
    ) -> PipelineRun | None:
        """Return the newest run that `dispatch` may have started, with ID 0 if there is none.

        None if the host does not list runs.
        """
        ...

    async def dispatch(
        self,
        repository: HostRepository,
        workflow: str,
        ref: str,
        inputs: dict[str, Any],
        after: PipelineRun | None = None,
    ) -> str:
        """Start a workflow (GitHub, Gitea: a file name) or pipeline; return a URL to follow it.

        After an uncertain answer, a run newer than `after`, by default the newest one before,
        counts as the one asked for. Raises HostError UNKNOWN if the host does not list runs.
        """
        ...

    async def set_commit_status(
        self, repository: HostRepository, commit: str, status: CommitStatus
    ) -> None:
        """Report a status for a commit."""
        ...

    async def missing_scopes(self, needed: Sequence[Feature], *, workflows: bool) -> list[str]:
        """Return the scopes that the token lacks for these features; empty if it has all.

        `workflows`: whether files below `.github/workflows` are pushed. Hosts that do not tell a
        token's scopes return an empty list.
        """
        ...


def topic_of(project_id: str) -> str:
    """Return the topic that marks a repository: `sw-` and 32 hexadecimal digits.

    35 characters, the most that Gitea allows for a topic.
    """
    return f"sw-{project_id.replace('-', '')}"


def project_of_topics(topics: Sequence[str]) -> str | None:
    """Return the project ID of a marking topic among these, as a UUID with hyphens."""
    for topic in topics:
        digits = topic.removeprefix("sw-")
        if (
            topic.startswith("sw-")
            and len(digits) == 32
            and not set(digits) - set("0123456789abcdef")
        ):
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return None


_IN_DESCRIPTION = "(being created by Stepway: {topic})"


def marked_description(description: str, project_id: str) -> str:
    """Return the description of a repository between its creation and its marking by a topic.

    On hosts that take no topics at creation, this makes the mark part of the same request.
    """
    return f"{description} {_IN_DESCRIPTION.format(topic=topic_of(project_id))}".strip()


def project_of_description(description: str | None) -> str | None:
    """Return the project ID in a description by `marked_description`, else None."""
    words = (description or "").replace("(", " ").replace(")", " ").split()
    return project_of_topics(words)
