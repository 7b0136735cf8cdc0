"""The settings of every role, read from the environment and `.env` in this one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tracking.keys import parse_keys

PREFIX = "STEPWAY_"
ENV_FILE = ".env"

Words = Annotated[list[str], NoDecode]
"""A list whose parts are apart by commas."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")

SCOPES = ("read", "create", "control", "admin")


class SettingsError(Exception):
    """A setting that is unknown or malformed; its text is one line that names the variable."""


class Settings(BaseSettings):
    """Where the servers are and what this process works with. Empty server URLs mean embedded."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    database_url: str = ""
    redis_url: str = ""
    temporal_address: str = ""
    temporal_namespace: str = "default"
    temporal_task_queue: str = "stepway"
    temporal_ui_url: str = ""
    data_dir: Path = Path(".stepway")
    blueprints: Annotated[list[Path], NoDecode] = Field(default_factory=list)
    step_modules: Words = Field(default_factory=list)
    api_url: str = "http://127.0.0.1:8000"
    api_token: str = Field(default="", repr=False)

    sign_in: Annotated[list[Literal["tokens", "oidc"]], NoDecode] = Field(default_factory=list)
    oidc_issuer: str = Field(default="", validate_default=True)
    oidc_audience: str = Field(default="", validate_default=True)
    oidc_owner_claim: str = "sub"
    oidc_groups_claim: str = "groups"
    oidc_scopes: Words = Field(default_factory=lambda: ["read", "create", "control"])
    readers: Words = Field(default_factory=lambda: ["owner"])
    controllers: Words = Field(default_factory=lambda: ["owner"])
    admins: Words = Field(default_factory=list)
    public_url: str = ""
    cors_origins: Words = Field(default_factory=list)

    secret_keys: SecretStr = SecretStr("")
    secret_keys_file: Path | None = None

    starts_per_minute: int = Field(default=60, ge=1)
    unfinished_per_owner: int = Field(default=200, ge=1)
    streams_per_owner: int = Field(default=500, ge=1)

    @field_validator("blueprints", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        return [part for part in value.split(":") if part] if isinstance(value, str) else value

    @field_validator(
        "step_modules",
        "readers",
        "controllers",
        "admins",
        "oidc_scopes",
        "cors_origins",
        mode="before",
    )
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        return _words(value) if isinstance(value, str) else value

    @field_validator("sign_in", mode="before")
    @classmethod
    def _ways_to_sign_in(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        ways = _words(value)
        if ways == ["none"]:
            return []
        if not ways or set(ways) - {"tokens", "oidc"}:
            raise ValueError("must be none, tokens, oidc or tokens,oidc")
        return ways

    @field_validator("oidc_scopes")
    @classmethod
    def _scopes(cls, value: list[str]) -> list[str]:
        if unknown := sorted(set(value) - set(SCOPES)):
            raise ValueError(f"{unknown[0]} is no scope; there are {', '.join(SCOPES)}")
        return value

    @field_validator("oidc_issuer", "oidc_audience")
    @classmethod
    def _needed_by_oidc(cls, value: str, info: ValidationInfo) -> str:
        if not value and "oidc" in info.data.get("sign_in", []):
            raise ValueError("must be set where STEPWAY_SIGN_IN has oidc")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _secure_issuer(cls, value: str) -> str:
        if urlsplit(value).scheme == "http" and urlsplit(value).hostname not in LOOPBACK:
            raise ValueError("must start with https://: whoever sits between could sign anyone in")
        return _with_scheme(value, "http://", "https://")

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: list[str]) -> list[str]:
        for each in value:
            parts = urlsplit(each)
            if f"{parts.scheme}://{parts.netloc}" != each or parts.scheme not in ("http", "https"):
                raise ValueError(f"{each} must be an origin, as https://portal.example")
        return value

    @field_validator("secret_keys")
    @classmethod
    def _well_formed_keys(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value

    @field_validator("secret_keys_file")
    @classmethod
    def _readable_keys(cls, value: Path | None) -> Path | None:
        if value is not None and not parse_keys(_read(value)):
            raise ValueError(f"{value} holds no key")
        return value

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

    @field_validator("api_url", "temporal_ui_url", "public_url")
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

    @property
    def keys(self) -> Mapping[str, bytes]:
        """The keys that secrets are encrypted with by id, the newest first, those of the file."""
        keys = dict(parse_keys(_read(self.secret_keys_file) if self.secret_keys_file else ""))
        for key_id, key in parse_keys(self.secret_keys.get_secret_value()).items():
            keys.setdefault(key_id, key)
        return keys


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read") from error


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
