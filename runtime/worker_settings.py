"""Settings of the processes that know steps and blueprints: workers and the API."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from stepway.runtime.server_settings import ServerSettings
from stepway.runtime.setting_types import Folders, Words


class WorkerSettings(ServerSettings):
    """Folders of data and blueprints, and the modules that bring more steps."""

    data_dir: Path = Path(".stepway")
    blueprints: Folders = Field(default_factory=list)
    step_modules: Words = Field(default_factory=list)
    step_path: Folders = Field(default_factory=list)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()
