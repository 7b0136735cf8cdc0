"""Opens the key of an SSH credential for a step."""

from __future__ import annotations

from typing import Protocol

from stepway.activities.git.remote import SshKey
from stepway.activities.project import ProjectRef


class OpenKey(Protocol):
    """Returns the key of a credential of the kind `ssh`. Raises step_error."""

    async def __call__(self, credential: str, project: ProjectRef) -> SshKey: ...
