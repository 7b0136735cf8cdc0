"""Liveness and readiness of this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from datetime import timedelta
from http import HTTPStatus

from asyncpg.exceptions import PostgresError
from fastapi import APIRouter
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.dependencies import Resources
from stepway.api.errors import problem
from stepway.api.openapi import problems as problem_answers
from stepway.migrations.history import server_schema_problem
from stepway.workflows.health import failing_workflows
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.writable import write_problem

logger = logging.getLogger(__name__)

router = APIRouter(route_class=Guarded, tags=["health"])

PATIENCE = 2.0
"""Seconds that each server has to respond."""


@router.get("/healthz")
async def alive() -> schemas.Health:
    """Check that the process is alive."""
    return schemas.Health()


@router.get("/readyz", response_model=schemas.Readiness, responses=problem_answers(503))
async def ready(given: Resources) -> schemas.Readiness | Response:
    """Check that an initialization could be started and recorded.

    Postgres must respond, have a schema that fits this version, and accept writes. Temporal must
    respond, and the workers must be able to continue its workflows. Without Redis, events arrive
    later, but none is lost.
    """
    (postgres, problems), (temporal, stuck) = await asyncio.gather(
        _answer("postgres", _postgres(given)), _answer("temporal", _temporal(given))
    )
    away = [name for name, there in (("postgres", postgres), ("temporal", temporal)) if not there]
    found = {**(problems or {}), **(stuck or {})}
    missing = [*away, *found]
    degraded = [] if given.hub.redis_connected else ["redis"]
    reasons = [f"Unavailable: {', '.join(away)}."] if away else []
    reasons += found.values()
    if not missing:
        return schemas.Readiness(status="ready", degraded=degraded)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, " ".join(reasons), missing=missing, degraded=degraded
    )


async def _postgres(given: Resources) -> dict[str, str]:
    """Reasons why the database cannot be used or written, by `missing`."""
    try:
        if unfit := await server_schema_problem(given.pool):
            return {"schema": f"The database schema does not match this version: {unfit}."}
    except UNREACHABLE:
        raise
    except PostgresError as error:
        logger.warning("The schema cannot be read: %r", error)
    problem = await write_problem(given.pool)
    return {"writes": problem} if problem else {}


async def _temporal(given: Resources) -> dict[str, str]:
    """The reason if the workers cannot continue some workflows, by `missing`."""
    await given.temporal.service_client.check_health(timeout=timedelta(seconds=PATIENCE))
    queue = given.settings.temporal_task_queue
    stuck = await failing_workflows(given.temporal, queue)
    if not stuck:
        return {}
    return {
        "workflows": f"The workers cannot continue {stuck} of the running workflows; their log "
        "says why. Usually these were started by another version: run workers of that version too."
    }


async def _answer(
    name: str, question: Awaitable[dict[str, str]]
) -> tuple[bool, dict[str, str] | None]:
    """Return whether the server responded in time, and the response."""
    try:
        async with asyncio.timeout(PATIENCE):
            return True, await question
    except Exception as error:  # noqa: BLE001 - any error means not ready
        logger.warning("%s did not answer: %r", name, error)
        return False, None
