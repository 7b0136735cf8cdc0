"""Starting a pipeline once, although the answer to the request may be lost."""

from __future__ import annotations

import asyncio
from typing import Any

from stepway.hosts.client import HostClient
from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.host import HostRepository, PipelineRun


class Dispatches(HostClient):
    """What the clients share; each has its own `newest_run` and `_start`."""

    async def newest_run(
        self, repository: HostRepository, workflow: str, ref: str
    ) -> PipelineRun | None:
        """Return the newest run that may be one of ours; None on a host that lists no runs."""
        raise NotImplementedError

    async def dispatch(
        self,
        repository: HostRepository,
        workflow: str,
        ref: str,
        inputs: dict[str, Any],
        after: PipelineRun | None = None,
    ) -> str:
        """Start a pipeline; return a URL to follow it.

        After an uncertain answer, a run that is newer than `after` counts as the one asked for.
        Raises HostError UNKNOWN if the host cannot tell whether there is one.
        """
        known = after or await self.newest_run(repository, workflow, ref)
        try:
            return await self._start(repository, workflow, ref, inputs)
        except HostError as error:
            if error.reason not in UNCERTAIN:
                raise
            if known is None:
                raise may_have_started(repository, error) from error
            for pause in self.patience:
                await asyncio.sleep(pause)
                run = await self.newest_run(repository, workflow, ref)
                if run is not None and run.id > known.id:
                    return run.url
            raise

    async def _start(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Ask once for the pipeline; return its URL."""
        raise NotImplementedError


def may_have_started(repository: HostRepository, error: HostError | None = None) -> HostError:
    """Return the error for a pipeline that may have started, at a host that lists none."""
    why = f": {error.message}" if error else ""
    return HostError(
        Reason.UNKNOWN,
        f"The pipeline of {repository.owner}/{repository.name} may have started, and the host "
        f"does not list its pipelines{why}",
        remedy=f"Look for it at {repository.web_url}. If it has not started, retry; else skip the "
        "step.",
        status=error.status if error else None,
    )
