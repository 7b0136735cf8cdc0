"""create_secrets and its undo: secrets and variables for the host's pipelines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.hosts import OpenHost
from stepway.activities.repository.target import (
    OnRepository,
    need,
    opened_host,
    opened_repository,
    to_take_back,
)
from stepway.activities.rollback import Removed
from stepway.hosts.host import Feature, GitHost
from stepway.workflows.model.references import text_of
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True)
class FromCredential:
    """Stands for the secret of a credential."""

    credential: str


@dataclass(frozen=True)
class CreateSecretsInput(OnRepository):
    """`secrets` have a name and a credential each; `variables` are not secret.

    With `environment` they belong to that environment of the host. Without any, the step is
    skipped.
    """

    secrets: dict[str, FromCredential] = field(default_factory=dict, kw_only=True)
    variables: dict[str, Any] = field(default_factory=dict, kw_only=True)
    environment: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class CreatedSecrets:
    """The names of the secrets and variables; the values are in no result."""

    secrets: list[str]
    variables: list[str]


@dataclass(frozen=True)
class DeleteSecretsInput(OnRepository):
    """`result` is the result of create_secrets."""

    environment: str | None = field(default=None, kw_only=True)
    result: dict[str, Any] | None = field(default=None, kw_only=True)


class SecretSteps:
    """Stores secrets and variables on Git hosts."""

    def __init__(self, hosts: OpenHost, credentials: Credentials) -> None:
        self._hosts = hosts
        self._credentials = credentials

    @activity.defn
    async def create_secrets(self, given: CreateSecretsInput) -> CreatedSecrets | Skipped:
        """Store the secrets and variables, or replace those of the same names."""
        if not given.secrets and not given.variables:
            return Skipped("There are no secrets and no variables")
        variables = _texts(given.variables)
        _check_names([*given.secrets, *variables])
        async with beating():
            secrets = {
                name: (await self._credentials.open(one.credential, given.project)).value
                for name, one in given.secrets.items()
            }
            async with opened_repository(self._hosts, given) as (host, repository):
                _need(host, given)
                for name, value in secrets.items():
                    await host.put_secret(repository, name, value, given.environment)
                for name, value in variables.items():
                    await host.put_variable(repository, name, value, given.environment)
        return CreatedSecrets(list(secrets), list(variables))

    @activity.defn
    async def delete_secrets(self, given: DeleteSecretsInput) -> Removed:
        """Delete the secrets and variables.

        Raises step_error if they may be older than the project.
        """
        made = given.result or {}
        secrets, variables = made.get("secrets", []), made.get("variables", [])
        if not secrets and not variables:
            return Removed()
        removed = []
        async with beating(), opened_host(self._hosts, given) as host:
            names = ", ".join([*secrets, *variables])
            repository = await to_take_back(host, given, f"The secrets and variables {names}")
            if repository is None:
                return Removed()
            for name in secrets:
                if await host.remove_secret(repository, name, given.environment):
                    removed.append(name)
            for name in variables:
                if await host.remove_variable(repository, name, given.environment):
                    removed.append(name)
        return Removed(removed)


def _need(host: GitHost, given: CreateSecretsInput) -> None:
    if given.secrets:
        need(host, Feature.SECRETS)
    if given.variables:
        need(host, Feature.VARIABLES)
    if given.environment is not None:
        need(host, Feature.ENVIRONMENT_SECRETS)


def _texts(variables: Mapping[str, Any]) -> dict[str, str]:
    return {name: text_of(value) for name, value in variables.items() if value is not None}


def _check_names(names: list[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name) or name.upper().startswith("GITHUB_"):
            raise step_error(
                f"{name!r} is not a valid name for a secret or variable",
                remedy="Use letters, digits and underscores, and not the prefix `GITHUB_`.",
                retry=False,
            )
