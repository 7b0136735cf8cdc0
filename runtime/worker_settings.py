"""Settings of workers and the API: data, blueprints and step modules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from stepway.runtime.server_settings import ServerSettings
from stepway.runtime.setting_types import PREFIX, Folders, SettingsError, Words

if TYPE_CHECKING:
    from stepway_tracking.logs.blobs import LogBlobs

_QUEUE = re.compile(r"[a-z][a-z0-9-]{0,62}")

INSTALL = (
    "in a clone, run `uv sync --inexact --no-dev --extra s3` (scripts/demo may have installed uv "
    "as .tools/uv/bin/uv); elsewhere, `uv tool install 'dist/stepway-….whl[s3]'` with the wheel "
    "you installed and its other extras"
)
"""What installs the extra `s3`."""


class WorkerSettings(ServerSettings):
    """Folders of data and blueprints, and modules with additional steps."""

    data_dir: Path = Field(
        default=Path(".stepway"),
        description=(
            "Repositories of the host `local`, working copies, fetched templates, and the data of "
            "the embedded servers."
        ),
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

    steps_at_once: int = Field(
        default=50,
        ge=1,
        le=2_000,
        description=(
            "Steps that a worker runs in parallel, for each of its queues. Steps that wait for "
            "other systems take little: 500 are possible where few run commands."
        ),
    )
    log_days: int = Field(
        default=30, ge=1, description="Days for which the lines that steps log are kept."
    )
    log_store: str = Field(
        default="",
        description=(
            "A store that takes the logs of ended attempts: `s3://BUCKET/PREFIX`, on S3 or a "
            "system that speaks its protocol, or `file:///FOLDER`, a folder that exists; the same "
            "for API and workers. Needs the extra `s3`."
        ),
    )
    step_queues: Words = Field(
        default_factory=list,
        description=(
            "Queues whose steps this worker runs, comma-separated: the names that blueprints give "
            "in `queue`, and `default` for all other steps and the initializations themselves. "
            "Without it, `default`."
        ),
    )

    @field_validator("log_store")
    @classmethod
    def _is_log_store(cls, value: str) -> str:
        try:
            _check_log_store(value)
        except ImportError:
            raise ValueError(f"needs the package obstore; {INSTALL}") from None
        return value

    def log_blobs(self) -> LogBlobs | None:
        """The store that takes the logs of ended attempts, if one is set.

        Raises SettingsError if it is a folder that does not exist.
        """
        try:
            return _open_blobs(self.log_store)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}LOG_STORE: {error}") from None

    @field_validator("step_queues")
    @classmethod
    def _are_queues(cls, value: list[str]) -> list[str]:
        for name in value:
            if not _QUEUE.fullmatch(name):
                raise ValueError(
                    "must be names of lowercase letters, digits and hyphens that start with a "
                    f"letter; {name!r} is not"
                )
        return list(dict.fromkeys(value))

    template_sources: Words = Field(
        default_factory=list,
        description=(
            "Beginnings of the URLs that templates may come from, comma-separated, such as "
            "`https://github.com/acme/`. Without it, templates come from the https and ssh URLs "
            "that blueprints write; `file:` and `http:` URLs, and URLs from parameters, must be "
            "listed. The same for API and workers."
        ),
    )
    template_extensions: Words = Field(
        default_factory=list,
        description=(
            "Import names of Jinja extensions that templates may use, comma-separated, in addition "
            "to those of Jinja and Copier; the same for API and workers."
        ),
    )
    trusted_blueprints: Words = Field(
        default_factory=list,
        description=(
            "Names of blueprints, comma-separated, whose templates may run programs and code of "
            "their own as the worker's user (`_tasks`, `_migrations`, any installed Jinja "
            "extension); the same for API and workers."
        ),
    )
    http_hosts: Words = Field(
        default_factory=list,
        description=(
            "Hosts that the step `http_request` may reach, comma-separated: names, `*.NAME`, "
            "networks such as `10.0.0.0/8`, each with or without `:PORT`, and `*` for all public "
            "addresses. Private addresses must be listed. Default: all public addresses."
        ),
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


def _check_log_store(url: str) -> None:
    """Not whether it is there: commands of the client read these settings too."""
    if url:
        from stepway_tracking.logs.blobs import check_url  # noqa: PLC0415

        check_url(url)


def _open_blobs(url: str) -> LogBlobs | None:
    if not url:
        return None
    # Commands of the client do without it, and start faster.
    from stepway_tracking.logs.blobs import LogBlobs  # noqa: PLC0415

    return LogBlobs(url)
