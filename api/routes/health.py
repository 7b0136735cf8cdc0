"""Liveness and readiness of this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from datetime import timedelta
from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.dependencies import Resources
from stepway.api.errors import problem
from stepway.api.openapi import problems
from stepway.migrations.history import server_schema_problem

logger = logging.getLogger(__name__)

router = APIRouter(route_class=Guarded, tags=["health"])

PATIENCE = 2.0
"""Seconds that each server has to respond."""


@router.get("/healthz")
async def alive() -> schemas.Health:
    """Check that the process is alive."""
    return schemas.Health()


@router.get("/readyz", response_model=schemas.Readiness, responses=problems(503))
async def ready(given: Resources) -> schemas.Readiness | Response:
    """Check that Postgres and Temporal respond and that the schema fits this version.

    Without Redis, events arrive later, but none is lost.
    """
    (postgres, unfit), (temporal, _) = await asyncio.gather(
        _answer("postgres", server_schema_problem(given.pool)),
        _answer("temporal", _temporal(given)),
    )
    missing = [
        name for name, there in (("postgres", postgres), ("temporal", temporal)) if not there
    ]
    degraded = [] if given.hub.redis_connected else ["redis"]
    reasons = [f"Unavailable: {', '.join(missing)}."] if missing else []
    if unfit:
        missing.append("schema")
        reasons.append(f"The database schema does not match this version: {unfit}.")
    if not missing:
        return schemas.Readiness(status="ready", degraded=degraded)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, " ".join(reasons), missing=missing, degraded=degraded
    )


async def _temporal(given: Resources) -> None:
    await given.temporal.service_client.check_health(timeout=timedelta(seconds=PATIENCE))


async def _answer(name: str, question: Awaitable[object]) -> tuple[bool, object]:
    """Return whether the server responded in time, and the response."""
    try:
        async with asyncio.timeout(PATIENCE):
            return True, await question
    except Exception as error:  # noqa: BLE001 - any error means not ready
        logger.warning("%s did not answer: %r", name, error)
        return False, None
