"""The invariants of a project on a Git host, checked on collected data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.faults.checks import Record, Tolerated
from tests.faults.hosts.blueprint import (
    ENVIRONMENTS,
    HOOK_URL,
    SECRET,
    VALUE,
    VARIABLE,
    expected_files,
)
from tests.faults.hosts.forges import HOOK, OTHER, REGISTRY, TEAM
from tests.faults.hosts.seen import OnHost, SeenRepository

ENTRIES = sorted(
    [
        "namespace.yaml",
        "git-repository.yaml",
        "kustomization.yaml",
        *(f"environment-{name}.yaml" for name in ENVIRONMENTS),
    ]
)

_PASSING = re.compile(
    r"127\.0\.0\.1(:\d+)? ("
    r"limits the rate of requests|answered 50\d|cannot be reached|did not answer"
    r"|ended the connection"
    r"|does not answer as a Git server|answered \d+: .*hidden)"
    r"|The repository \S+ was not found on"
    r"|The project has no repository "
    r"|^The (connection to the )?database "
)
"""Errors of attempts that a fault of the host explains, or of Postgres while a step asks it."""

_BY_PEOPLE = re.compile(
    r"answered 401|refuses the token of the credential|does not accept the credential"
    r"|^Cancelled by local\."
)
"""Errors that may fail a step for good: a person has to store a valid token, or has cancelled."""

TOLERATED = Tolerated(passing=_PASSING, final=_BY_PEOPLE)


def host_faults(record: Record, seen: OnHost, secrets: Mapping[str, str], kind: str) -> list[str]:
    """Return what a host has too much or too little of an ended project.

    `secrets` are the values that were to be stored, by the names of their credentials.
    """
    project = record.project
    if project["status"] == "active":
        return [*_repository_faults(project, seen, secrets, kind), *_entry_faults(record, seen)]
    if project["status"] == "cancelled" and project.get("rollback") is not None:
        return list(_left(project, seen))
    return list(_more_than_one(seen))


def _repository_faults(
    project: Mapping[str, Any], seen: OnHost, secrets: Mapping[str, str], kind: str
) -> Iterable[str]:
    if len(seen.repositories) != 1:
        yield f"not exactly one repository: {[each.name for each in seen.repositories]}"
    for found in seen.repositories:
        commits = {branch: len(ids) for branch, ids in found.commits.items()}
        if commits != {"main": 1}:
            yield f"not exactly one initial commit in {found.name}: {commits}"
        files = {path: file for path, file in found.files.items() if ".copier" not in path}
        if files != expected_files(project["name"]):
            yield f"not exactly the template's files in {found.name}: {sorted(found.files)}"
        for what, has, wanted in _objects(found, secrets, kind):
            if has != wanted:
                yield f"not exactly one of each in {found.name}: {what} {_shown(has)}"


def _objects(
    found: SeenRepository, secrets: Mapping[str, str], kind: str
) -> Iterable[tuple[str, Any, Any]]:
    """Yield what there is, and what there must be."""
    yield "environments", found.environments, [] if kind == "gitea" else sorted(ENVIRONMENTS)
    yield "secrets", dict(found.secrets), {SECRET: secrets[f"{kind}-{REGISTRY}"]}
    yield "variables", dict(found.variables), {VARIABLE: VALUE}
    yield "hooks", found.hooks, [(HOOK_URL, secrets[f"{kind}-{HOOK}"])]
    yield "protections", found.protections, ["main"]
    yield "collaborators", found.collaborators, [OTHER]
    yield "teams", [team.rpartition("/")[2] for team in found.teams], [TEAM]


def _shown(has: Any) -> Any:
    """Values of secrets stay out of the output."""
    if isinstance(has, dict):
        return sorted(has)
    return [each[0] if isinstance(each, tuple) else each for each in has]


def _entry_faults(record: Record, seen: OnHost) -> Iterable[str]:
    if sorted(seen.entries) != ENTRIES:
        yield f"not exactly one entry per environment: {sorted(seen.entries)}"
    deployed = sum(line.startswith("Deploy ") for line in seen.deployments)
    removed = len(seen.deployments) - deployed
    if deployed != removed + 1:
        yield f"not exactly one deployment: {seen.deployments}"
    if seen.branches:
        yield f"left in the GitOps repository: {seen.branches}"


def _left(project: Mapping[str, Any], seen: OnHost) -> Iterable[str]:
    for repository in seen.repositories:
        yield f"left after the rollback: the repository {repository.name}"
    if seen.entries:
        yield f"left after the rollback: entries {seen.entries}"
    if project["rollback"]["failed"]:
        yield f"the rollback failed: {project['initialization_error']}"


def _more_than_one(seen: OnHost) -> Iterable[str]:
    """A project that was cancelled without a rollback keeps what it has, once."""
    if len(seen.repositories) > 1:
        yield f"not exactly one repository: {[each.name for each in seen.repositories]}"
    for found in seen.repositories:
        if any(len(ids) > 1 for ids in found.commits.values()):
            yield f"not exactly one initial commit in {found.name}: {found.commits}"
        if len(found.hooks) > 1:
            yield f"not exactly one of each in {found.name}: hooks {len(found.hooks)}"
