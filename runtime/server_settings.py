"""Settings of processes that use servers: addresses and encryption keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from stepway.runtime.setting_types import RoleSettings, read_file, with_scheme
from stepway.vault.keys import parse_keys, parse_signing_key


class ServerSettings(RoleSettings):
    """The addresses of Postgres, Redis and Temporal; a server without one is embedded."""

    database_url: str = Field(
        default="",
        description="Postgres, `postgresql://…`; `stepway up` embeds one if it is not set.",
    )
    redis_url: str = Field(
        default="",
        description=(
            "Redis or Valkey, `redis://…`, `rediss://…` or `unix://…`; embedded in the same way."
        ),
    )
    temporal_address: str = Field(
        default="",
        description="Temporal's frontend, `HOST:PORT`; embedded in the same way.",
    )
    temporal_namespace: str = Field(
        default="default", description="Temporal's namespace; the same for API and workers."
    )
    temporal_task_queue: str = Field(
        default="stepway", description="Temporal's task queue; the same for API and workers."
    )
    temporal_signing_key_file: Path | None = Field(
        default=None,
        description=(
            "A file with a key that signs everything sent to Temporal; what is not signed is "
            "refused. `stepway up` makes one for the Temporal that it embeds."
        ),
    )
    temporal_ui_url: str = Field(
        default="",
        description="URL of Temporal's UI, for links. Its origin may use the codec.",
    )
    public_url: str = Field(
        default="",
        description="URL of Stepway, for links back and for sign-in behind a proxy.",
    )
    secret_keys: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "Encryption keys, comma-separated `ID:KEY` as `stepway credential new-key ID` prints "
            "them; the first encrypts, the others decrypt."
        ),
    )
    secret_keys_file: Path | None = Field(
        default=None, description="A file with such keys; they come before those of the variable."
    )

    @field_validator("secret_keys")
    @classmethod
    def _well_formed_keys(cls, value: SecretStr) -> SecretStr:
        parse_keys(value.get_secret_value())
        return value

    @field_validator("secret_keys_file")
    @classmethod
    def _readable_keys(cls, value: Path | None) -> Path | None:
        if value is not None and not parse_keys(read_file(value)):
            raise ValueError(f"{value} contains no key")
        return value

    @field_validator("temporal_signing_key_file")
    @classmethod
    def _readable_signing_key(cls, value: Path | None) -> Path | None:
        if value is not None:
            parse_signing_key(read_file(value))
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: str) -> str:
        return with_scheme(value, "postgresql://", "postgres://")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        return with_scheme(value, "redis://", "rediss://", "unix://")

    @field_validator("temporal_ui_url", "public_url")
    @classmethod
    def _http(cls, value: str) -> str:
        return with_scheme(value, "http://", "https://").rstrip("/")

    @field_validator("temporal_address")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdecimal()):
            raise ValueError("must be HOST:PORT")
        return value

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL for SQLAlchemy's asyncpg dialect."""
        return "postgresql+asyncpg://" + self.database_url.split("://", 1)[-1]

    @property
    def signing_key(self) -> bytes | None:
        """The key that signs what goes to Temporal, if there is one."""
        file = self.temporal_signing_key_file
        return parse_signing_key(read_file(file)) if file else None

    @property
    def keys(self) -> Mapping[str, bytes]:
        """The encryption keys by id, newest first; keys of the file come first."""
        keys = dict(parse_keys(read_file(self.secret_keys_file) if self.secret_keys_file else ""))
        for key_id, key in parse_keys(self.secret_keys.get_secret_value()).items():
            keys.setdefault(key_id, key)
        return keys
