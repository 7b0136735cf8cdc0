"""The base class, types and checks that all settings share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "STEPWAY_"
ENV_FILE = ".env"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SettingsError(Exception):
    """A setting is unknown or malformed; the text is one line that names the variable."""


class RoleSettings(BaseSettings):
    """Settings of one role, read from the environment and `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


def split_words(value: Any) -> Any:
    """Split a comma-separated string; other values are returned unchanged."""
    if not isinstance(value, str):
        return value
    return [word.strip() for word in value.split(",") if word.strip()]


def split_folders(value: Any) -> Any:
    """Split a `:`-separated string; other values are returned unchanged."""
    return [part for part in value.split(":") if part] if isinstance(value, str) else value


Words = Annotated[list[str], NoDecode, BeforeValidator(split_words)]
"""A comma-separated list."""

Folders = Annotated[list[Path], NoDecode, BeforeValidator(split_folders)]
"""A list of folders, separated by `:`."""


def with_scheme(value: str, *schemes: str) -> str:
    """Return the URL. Raises ValueError unless it is empty or starts with one of the schemes."""
    if value and not value.startswith(schemes):
        raise ValueError(f"must start with {' or '.join(schemes)}")
    return value


def read_file(file: Path) -> str:
    """The file's text. Raises ValueError if it cannot be read."""
    try:
        return file.expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {file}") from error
