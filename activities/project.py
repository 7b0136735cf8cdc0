"""A step's project, and the paths and IDs of the project's objects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from stepway_tracking.record.errors import step_error

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


@dataclass(frozen=True)
class ProjectRef:
    """The project, in the input of every step; `id` is a UUID."""

    id: str
    name: str
    owner: str
    blueprint: str = ""


def repository_path(data_dir: Path, project: ProjectRef) -> Path:
    """Return the path of the project's bare repository.

    Raises step_error if a name is not a valid folder name.
    """
    return data_dir / "repositories" / _segment(project.owner) / f"{_segment(project.name)}.git"


def working_tree_path(data_dir: Path, project: ProjectRef) -> Path:
    """Return the folder in which the project's commands run."""
    return data_dir / "work" / str(UUID(project.id))


def manifests_path(project: ProjectRef) -> str:
    """Return the project's folder in the GitOps repository. Raises as `repository_path`."""
    return f"projects/{_segment(project.owner)}/{_segment(project.name)}"


def object_id(project: ProjectRef, kind: str, name: str) -> UUID:
    """Return the ID of the project's object of that kind and name: the same in every attempt."""
    return uuid5(UUID(project.id), f"{kind}:{name}")


def _segment(value: str) -> str:
    if not _SEGMENT.fullmatch(value) or ".." in value:
        raise step_error(
            f"{value!r} is not a valid folder name",
            remedy="Use letters, digits, dots and hyphens, starting with a letter or digit.",
            retry=False,
        )
    return value
