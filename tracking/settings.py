"""The settings of every role, read from the environment and `.env` in this one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "STEPWAY_"
ENV_FILE = ".env"


class SettingsError(Exception):
    """A setting that is unknown or malformed; its text is one line that names the variable."""


class Settings(BaseSettings):
    """Where the servers are and what this process works with. Empty server URLs mean embedded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore")

    database_url: str = ""
    redis_url: str = ""
    temporal_address: str = ""
    temporal_namespace: str = "default"
    temporal_task_queue: str = "stepway"
    temporal_ui_url: str = ""
    data_dir: Path = Path(".stepway")
    blueprints: Annotated[list[Path], NoDecode] = Field(default_factory=list)
    step_modules: Annotated[list[str], NoDecode] = Field(default_factory=list)
    api_url: str = "http://127.0.0.1:8000"
    api_token: str = ""

    @field_validator("blueprints", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        return [part for part in value.split(":") if part] if isinstance(value, str) else value

    @field_validator("step_modules", mode="before")
    @classmethod
    def _split_modules(cls, value: Any) -> Any:
        return [part for part in value.split(",") if part] if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: str) -> str:
        return _with_scheme(value, "postgresql://", "postgres://")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        return _with_scheme(value, "redis://", "rediss://", "unix://")

    @field_validator("api_url", "temporal_ui_url")
    @classmethod
    def _http(cls, value: str) -> str:
        return _with_scheme(value, "http://", "https://").rstrip("/")

    @field_validator("temporal_address")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdecimal()):
            raise ValueError("must be HOST:PORT")
        return value

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL as SQLAlchemy's asyncpg dialect spells it."""
        return "postgresql+asyncpg://" + self.database_url.split("://", 1)[-1]


def _with_scheme(value: str, *schemes: str) -> str:
    if value and not value.startswith(schemes):
        raise ValueError(f"must start with {' or '.join(schemes)}")
    return value


def load_settings() -> Settings:
    """Read the settings.

    Raises SettingsError for a `STEPWAY_` variable that is unknown or malformed.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}
    for name in sorted(given - known):
        if name.startswith(PREFIX):
            raise SettingsError(f"{name}: unknown setting")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{PREFIX}{str(first['loc'][0]).upper()}: {reason}") from None
