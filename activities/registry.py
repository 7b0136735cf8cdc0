"""Loads the steps of a worker: the built-in ones and those of STEPWAY_STEP_MODULES.

A module must define `step_activities(resources)`, which returns its activities.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from stepway.activities.credentials.credentials import Credentials
from stepway.activities.credentials.git_hosts import GitHosts
from stepway.activities.git.opening import Hosts
from stepway.activities.git.remote import SshKey
from stepway.activities.hosts import OpenHost
from stepway.activities.project import ProjectRef
from stepway.runtime.setting_types import SettingsError
from stepway.runtime.worker_settings import WorkerSettings
from stepway.vault.keyring import open_keyring
from stepway.vault.kinds import CredentialKind
from stepway.vault.vault import Vault
from stepway_tracking.record.errors import step_error

BUILT_IN = "stepway.activities.builtin"
_SETTING = "STEPWAY_STEP_MODULES"

StepActivity = Callable[..., Any]


@dataclass(frozen=True)
class Resources:
    """Settings and connections for steps; without `redis`, no pace is shared among workers."""

    settings: WorkerSettings
    engine: AsyncEngine
    redis: Redis | None = None

    @property
    def credentials(self) -> Credentials:
        """The credentials, for use within an attempt."""
        return Credentials(Vault(self.engine, open_keyring(self.settings.keys)))

    @cached_property
    def git_hosts(self) -> GitHosts:
        """The Git hosts of the credentials; all steps share it, because it keeps tokens."""
        return GitHosts(self.credentials, self.redis)

    @property
    def open_host(self) -> OpenHost:
        """Opens the Git host of a credential, the local one included; for use in an attempt."""
        return Hosts(self.settings.data_dir, self.engine, self.git_hosts.open)

    async def open_key(self, credential: str, project: ProjectRef) -> SshKey:
        """Return the key of a credential of the kind `ssh`. Raises step_error."""
        secret = await self.credentials.open(credential, project)
        if secret.target.kind != CredentialKind.SSH:
            raise step_error(
                f"The credential {credential!r} is not an SSH key",
                remedy="Store the key with `--kind ssh`, or name another credential as "
                "`ssh_credential`.",
                retry=False,
            )
        return SshKey(secret.value, secret.target.ca or "", credential)


def load_steps(resources: Resources) -> dict[str, StepActivity]:
    """Return the activities of all steps by activity type.

    Raises SettingsError if a module cannot be used or defines an activity type again.
    """
    settings = resources.settings
    if settings.step_modules:
        _look_in(Path.cwd(), *settings.step_path)
    steps: dict[str, StepActivity] = {}
    for module in (BUILT_IN, *settings.step_modules):
        for name, step in _steps_of(module, resources):
            if name in steps:
                raise SettingsError(f"{_SETTING}: {module} defines the step {name!r} again")
            steps[name] = step
    return steps


def _look_in(*folders: Path) -> None:
    """Put these folders first in Python's search path, in this order. Raises SettingsError."""
    for folder in folders:
        if not folder.is_dir():
            raise SettingsError(f"STEPWAY_STEP_PATH: {folder} is not a folder")
    places = [str(folder.absolute()) for folder in folders]
    sys.path[:] = [*places, *(place for place in sys.path if place not in places)]


def _steps_of(module: str, resources: Resources) -> Iterator[tuple[str, StepActivity]]:
    found = _imported(module, resources.settings)
    if not hasattr(found, "step_activities"):
        raise SettingsError(
            f"{_SETTING}: {module} ({found.__file__}) must define step_activities(resources)"
        )
    try:
        offered = found.step_activities(resources)
    except Exception as error:
        raise SettingsError(
            f"{_SETTING}: {module} ({found.__file__}) cannot be used: {_reason(error)}"
        ) from error
    for step in offered:
        definition = activity._Definition.from_callable(step)
        if definition is None or definition.name is None:
            raise SettingsError(f"{_SETTING}: {module} offers {step!r}, which is not an activity")
        yield definition.name, step


def _imported(module: str, settings: WorkerSettings) -> ModuleType:
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{_SETTING}: {_import_problem(module, error, settings)}") from error


def _import_problem(module: str, error: BaseException, settings: WorkerSettings) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{module}.".startswith(f"{missing}."):
        return (
            f"{module} cannot be imported: {_reason(error)}; "
            f"looked in {_searched(settings)}, then among the installed packages"
        )
    named = f"{module} ({_file_of(module)})"
    if missing:
        return f"{named} imports the module {missing}, which is not installed"
    return f"{named} cannot be imported: {_reason(error)}"


def _file_of(module: str) -> str | None:
    # The lookup imports the parent packages, which may be what failed.
    package = module.partition(".")[0]
    for name in (module, package):
        with suppress(Exception, SystemExit):
            if (spec := find_spec(name)) and spec.origin:
                return spec.origin
    return None


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _searched(settings: WorkerSettings) -> str:
    return ", ".join(str(folder.absolute()) for folder in (Path.cwd(), *settings.step_path))
