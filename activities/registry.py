"""Which steps a worker can run: the built-in ones and those of the operator's own modules.

A module offers `step_activities(resources)`, which returns its activities, bound to what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.credentials import Credentials
from tracking.crypto import open_keyring
from tracking.settings import Settings, SettingsError
from tracking.vault import Vault

BUILT_IN = "activities.builtin"
_SETTING = "STEPWAY_STEP_MODULES"

StepActivity = Callable[..., Any]


@dataclass(frozen=True)
class Resources:
    """What steps are built from."""

    settings: Settings
    engine: AsyncEngine

    @property
    def credentials(self) -> Credentials:
        """Where a step finds a secret by its name, inside its attempt."""
        vault = Vault(self.engine, open_keyring(self.settings.keys))
        return Credentials(self.settings.data_dir / "repositories", vault)


def load_steps(resources: Resources, modules: Sequence[str]) -> dict[str, StepActivity]:
    """The activities of the built-in steps and of `modules`, by activity type.

    Raises SettingsError when a module cannot be used, or brings a type that is there already.
    """
    steps: dict[str, StepActivity] = {}
    for module in (BUILT_IN, *modules):
        for name, step in _steps_of(module, resources):
            if name in steps:
                raise SettingsError(f"{_SETTING}: {module} brings a second step {name!r}")
            steps[name] = step
    return steps


def _steps_of(module: str, resources: Resources) -> Iterator[tuple[str, StepActivity]]:
    try:
        offered = import_module(module).step_activities(resources)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SettingsError(f"{_SETTING}: {module} cannot be used: {reason}") from error
    for step in offered:
        definition = activity._Definition.from_callable(step)
        if definition is None or definition.name is None:
            raise SettingsError(f"{_SETTING}: {module} offers {step!r}, which is no activity")
        yield definition.name, step
