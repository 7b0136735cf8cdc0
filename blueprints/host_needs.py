"""The features of its Git host that a step asks for, and which of them the host lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepway.blueprints.source import Place
from stepway.hosts.access import HostKind, host_of_credential
from stepway.hosts.features import FEATURE_NAMES, HOST_NAMES, features_of
from stepway.hosts.host import Feature
from stepway.workflows.model.references import OPENING

_BY_STEP = {
    "create_webhook": Feature.WEBHOOKS,
    "dispatch_pipeline": Feature.DISPATCH,
    "open_pull_request": Feature.PULL_REQUESTS,
    "protect_branch": Feature.BRANCH_PROTECTION,
}
"""What a step needs whatever its arguments are."""

_BY_ARGUMENT = {
    "add_collaborators": {"collaborators": Feature.COLLABORATORS, "teams": Feature.TEAMS},
    "create_secrets": {
        "secrets": Feature.SECRETS,
        "variables": Feature.VARIABLES,
        "environment": Feature.ENVIRONMENT_SECRETS,
    },
    "protect_branch": {"allow_force_push": Feature.FORCE_PUSH},
}
"""What a step needs where an argument is neither empty nor false."""

_BY_VALUE = {
    "push_template": {
        ("mode", "import"): Feature.PULL_REQUESTS,
        ("protected", "pull_request"): Feature.PULL_REQUESTS,
    },
}

_OF_ENVIRONMENTS = {
    "reviewers": Feature.ENVIRONMENT_REVIEWERS,
    "wait": Feature.ENVIRONMENT_WAIT,
}


LOCAL = HostKind.LOCAL.value
"""The name of the credential that stands for the local host."""


def host_of(credential: str, kinds: Mapping[str, str | None]) -> HostKind | None:
    """Return the kind of host of a credential; None if it is not known, or not one of a Git host.

    `kinds` are the kinds of credentials by name.
    """
    return HostKind.LOCAL if credential == LOCAL else host_of_credential(kinds.get(credential))


def lacking(
    uses: str, arguments: Mapping[str, Any], kind: HostKind, *, references: bool
) -> Iterator[tuple[Place, str]]:
    """Yield the argument that asks for what a kind of host lacks, and the reason.

    The place is empty where the whole step does. `references`: whether an argument whose value is a
    reference counts as given.
    """
    has = features_of(kind)
    for place, feature in _needs(uses, arguments, references):
        if feature not in has:
            yield place, f"{HOST_NAMES[kind]} has no {_named(feature)}"


def _needs(
    uses: str, arguments: Mapping[str, Any], references: bool
) -> Iterator[tuple[Place, Feature]]:
    if arguments.get("unsupported") == "skip" or arguments.get("protect") is False:
        return
    if uses in _BY_STEP and not (uses == "create_webhook" and arguments.get("url") == ""):
        yield (), _BY_STEP[uses]
    for name, feature in _BY_ARGUMENT.get(uses, {}).items():
        if _is_given(arguments.get(name), references):
            yield (name,), feature
    for (name, value), feature in _BY_VALUE.get(uses, {}).items():
        if arguments.get(name) == value:
            yield (name,), feature
    if uses == "create_environments":
        yield from _of_environments(arguments.get("environments"), references)


def _of_environments(given: Any, references: bool) -> Iterator[tuple[Place, Feature]]:
    for number, environment in enumerate(given if isinstance(given, list) else ()):
        for name, feature in _OF_ENVIRONMENTS.items():
            value = environment.get(name) if isinstance(environment, Mapping) else None
            if _is_given(value, references):
                yield ("environments", number, name), feature


def _is_given(value: Any, references: bool) -> bool:
    if isinstance(value, str) and OPENING in value:
        return references
    return bool(value)


def _named(feature: Feature) -> str:
    return FEATURE_NAMES[feature].removeprefix("a ")
