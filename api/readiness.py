"""What keeps this process from starting an initialization and recording it."""

from __future__ import annotations

import logging
from datetime import timedelta

import asyncpg
from temporalio.client import Client

from stepway.api.probe import Probe
from stepway.api.workflow_health import Failing, failing_workflows
from stepway.migrations.history import server_schema_problem
from stepway_tracking.postgres import UNREACHABLE, trouble
from stepway_tracking.record.writable import write_problem

logger = logging.getLogger(__name__)

HEALTH_TIMEOUT = timedelta(seconds=2)


class Readiness:
    """The checks of Postgres and Temporal. Their results are reasons by what is `missing`."""

    def __init__(self, pool: asyncpg.Pool, temporal: Client, task_queue: str) -> None:
        self._pool = pool
        self._temporal = temporal
        self._queue = task_queue
        self.postgres = Probe(self._postgres)
        self.temporal = Probe(self._of_temporal)
        self.failing = Failing()
        """What the last check found of the running workflows."""

    async def close(self) -> None:
        """Cancel the checks that run."""
        self.postgres.cancel()
        self.temporal.cancel()

    async def _postgres(self) -> dict[str, str]:
        """Reasons why the database cannot be used or written."""
        try:
            if unfit := await server_schema_problem(self._pool):
                return {"schema": f"The database schema does not match this version: {unfit}."}
            problem = await write_problem(self._pool)
        except (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError) as error:
            problem = f"{trouble(error)}."
        except UNREACHABLE:
            raise
        except asyncpg.PostgresError as error:
            logger.warning("The schema cannot be read: %r", error)
            problem = await write_problem(self._pool)
        return {"writes": problem} if problem else {}

    async def _of_temporal(self) -> dict[str, str]:
        """The reason if the workers cannot continue the newest workflows."""
        await self._temporal.service_client.check_health(timeout=HEALTH_TIMEOUT)
        before, self.failing = self.failing, await failing_workflows(self._temporal, self._queue)
        for workflow, reason in self.failing.reasons.items():
            if before.reasons.get(workflow) != reason:
                logger.warning("%s fails: %s", workflow, reason)
        mismatch = self.failing.deployment
        return {"workflows": f"The newest initializations fail. {mismatch}"} if mismatch else {}
