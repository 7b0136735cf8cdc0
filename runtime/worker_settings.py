"""Settings of workers and the API: data, blueprints and step modules."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from stepway.runtime.server_settings import ServerSettings
from stepway.runtime.setting_types import Folders, Words


class WorkerSettings(ServerSettings):
    """Folders of data and blueprints, and modules with additional steps."""

    data_dir: Path = Field(
        default=Path(".stepway"),
        description="Repositories, working copies, and the data of the embedded servers.",
    )
    blueprints: Folders = Field(
        default_factory=list,
        description=(
            "Folders of blueprints, separated by `:`, in addition to the built-in one; the same "
            "for API and workers."
        ),
    )
    step_modules: Words = Field(
        default_factory=list,
        description=(
            "Python modules with more steps, comma-separated; the same for API and workers."
        ),
    )
    step_path: Folders = Field(
        default_factory=list,
        description=(
            "Folders to look for step modules in, separated by `:`, after the current folder and "
            "before installed packages."
        ),
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()
