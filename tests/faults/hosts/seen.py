"""What a Git host has of a project, read from its state and its repositories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dulwich.objects import Commit, Tree
from dulwich.repo import Repo

from stepway.activities.git.repositories import is_made_for
from stepway.hosts.host import project_of_description, project_of_topics
from tests.faults.hosts.forges import GITOPS, OWNER, Forge
from tests.support.githost.server import Host
from tests.support.githost.state import Repository

_HEADS = "refs/heads/"

Files = Mapping[str, tuple[int, bytes]]


@dataclass(frozen=True)
class SeenRepository:
    """A repository on the host.

    `commits` has the IDs of each branch's commits; `files` are those of the default branch.
    """

    name: str
    commits: Mapping[str, list[str]] = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    environments: list[str] = field(default_factory=list)
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    hooks: list[tuple[str, str]] = field(default_factory=list)
    protections: list[str] = field(default_factory=list)
    collaborators: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class OnHost:
    """What a host has of a project.

    `entries` are the project's files in the GitOps repository, `deployments` the commits there that
    were made for it, the newest first.
    """

    repositories: list[SeenRepository] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    deployments: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)


def seen_on(forge: Forge, project: Mapping[str, Any]) -> OnHost:
    """Return what the host has of a project (its row)."""
    host, id, name = forge.host, str(project["id"]), str(project["name"])
    with host.held():
        found = [
            _seen(each, forge.kind)
            for each in host.world.repositories.values()
            if (each.name == name or is_marked(each, id)) and not is_deleted(each)
        ]
        gitops = host.world.find(f"{OWNER}/{GITOPS}")
        assert gitops is not None
        branches = [branch for branch in gitops.branches() if branch != gitops.default_branch]
        with Repo(str(gitops.path)) as repo:
            head = _head(repo, gitops.default_branch)
            if head is None:
                return OnHost(found, branches=branches)
            folder = f"projects/{project['owner']}/{name}/"
            entries = [path for path in files_of(repo, head) if path.startswith(folder)]
            made = [
                entry.commit.message.decode().splitlines()[0]
                for entry in repo.get_walker(include=[head.id])
                if is_made_for(entry.commit, id)
            ]
    return OnHost(found, [path.removeprefix(folder) for path in entries], made, branches)


def log_of(host: Host) -> str:
    """Return the lines that the host would write to its log."""
    return "\n".join(entry.line for entry in tuple(host.log))


def is_deleted(repository: Repository) -> bool:
    """Whether GitLab has renamed it and deletes it some days later."""
    return "marked_for_deletion_on" in repository.options and "-deletion_scheduled-" in (
        repository.name
    )


def is_marked(repository: Repository, project_id: str) -> bool:
    """Whether the repository has the project's mark."""
    return project_id in (
        project_of_topics(repository.topics),
        project_of_description(repository.description),
    )


def files_of(repo: Repo, commit: Commit) -> dict[str, tuple[int, bytes]]:
    """Return the mode and content of each file of a commit, by its path."""
    tree = repo[commit.tree]
    assert isinstance(tree, Tree)
    return dict(_files(repo, tree, ""))


def _files(repo: Repo, tree: Tree, prefix: str) -> Iterator[tuple[str, tuple[int, bytes]]]:
    for name, mode, found in tree.iteritems():
        one = repo[found]
        path = f"{prefix}{name.decode()}"
        if isinstance(one, Tree):
            yield from _files(repo, one, f"{path}/")
        else:
            yield path, (mode, one.as_raw_string())


def _head(repo: Repo, branch: str) -> Commit | None:
    commit = repo.refs.as_dict().get(f"refs/heads/{branch}".encode())  # type: ignore[call-overload]
    found = repo[commit] if commit else None
    return found if isinstance(found, Commit) else None


def _seen(repository: Repository, kind: str) -> SeenRepository:
    with Repo(str(repository.path)) as repo:
        branches = repository.branches()
        commits = {
            branch: [entry.commit.id.decode() for entry in repo.get_walker(include=[_id(head)])]
            for branch, head in branches.items()
        }
        head = _head(repo, repository.default_branch)
        files = files_of(repo, head) if head is not None else {}
    return SeenRepository(
        repository.full_name,
        commits,
        files,
        sorted(repository.environments),
        {name: value for (_, name), value in repository.secrets.items()},
        {name: value for (_, name), value in repository.variables.items()},
        [_hook(hook, kind) for hook in repository.hooks.values()],
        sorted([*repository.protections, *_ruled(repository)]),
        sorted([*repository.collaborators, *repository.options.get("invited", {})]),
        sorted(repository.teams),
    )


def _ruled(repository: Repository) -> Iterator[str]:
    """Yield the branches that GitHub's rulesets protect."""
    for ruleset in repository.rulesets.values():
        for ref in ruleset["conditions"]["ref_name"]["include"]:
            yield (
                repository.default_branch if ref == "~DEFAULT_BRANCH" else ref.removeprefix(_HEADS)
            )


def _id(commit: str) -> Any:
    return commit.encode()


def _hook(hook: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Return the URL and the secret of a webhook."""
    config = hook.get("config", hook)
    return str(config.get("url")), str(config.get("secret") or config.get("token") or "")
