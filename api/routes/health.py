"""Liveness and readiness of this process."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.dependencies import Resources
from stepway.api.errors import problem
from stepway.api.openapi import problems as problem_answers
from stepway.api.probe import Probe

logger = logging.getLogger(__name__)

router = APIRouter(route_class=Guarded, tags=["health"])

PATIENCE = 2.0
"""Seconds after which a server that has not responded is unavailable."""


@router.get("/healthz")
async def alive() -> schemas.Health:
    """Check that the process is alive."""
    return schemas.Health()


@router.get("/readyz", response_model=schemas.Readiness, responses=problem_answers(503))
async def ready(given: Resources) -> schemas.Readiness | Response:
    """Check that an initialization could be started and recorded.

    Postgres must respond, have a schema that fits this version, and accept writes. Temporal must
    respond, and the workers must be able to continue its newest workflows. Without Redis, events
    arrive later, but none is lost.
    """
    (postgres, problems), (temporal, stuck) = await asyncio.gather(
        _answer("postgres", given.readiness.postgres),
        _answer("temporal", given.readiness.temporal),
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


async def _answer(name: str, probe: Probe[dict[str, str]]) -> tuple[bool, dict[str, str] | None]:
    """Return whether the server responded in time, and the response."""
    try:
        return True, await probe.result(PATIENCE)
    except Exception as error:  # noqa: BLE001 - any error means not ready
        logger.warning("%s did not answer: %r", name, error)
        return False, None
