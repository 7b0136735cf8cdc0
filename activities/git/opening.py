"""Opens the host of any credential, the local one included."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from stepway.activities.git.local_host import LocalHost
from stepway.activities.git.places import Places
from stepway.activities.hosts import LOCAL, OpenHost
from stepway.activities.project import ProjectRef
from stepway.hosts.host import GitHost


class Hosts:
    """Opens the local host for the credential `local`, by `remote` the hosts of all others."""

    def __init__(self, data_dir: Path, engine: AsyncEngine, remote: OpenHost) -> None:
        self._data_dir = data_dir
        self._places = Places(engine)
        self._remote = remote

    @asynccontextmanager
    async def __call__(self, credential: str, project: ProjectRef) -> AsyncIterator[GitHost]:
        """Open a host. Raises step_error."""
        if credential == LOCAL:
            yield LocalHost(self._data_dir, project, self._places)
            return
        async with self._remote(credential, project) as host:
            yield host
