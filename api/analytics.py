"""How long steps take and how often they fail."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import schemas
from api.dependencies import Resources, Text, json_response
from api.openapi import problems

router = APIRouter(prefix="/api/analytics", tags=["analytics"])


@router.get("/steps", response_model=list[schemas.StepStatistics], responses=problems(422, 503))
async def get_step_statistics(
    given: Resources,
    blueprint: Annotated[Text | None, Query(max_length=200)] = None,
    since: Annotated[
        datetime | date | None, Query(description="An ISO date or time; UTC without an offset.")
    ] = None,
) -> Response:
    """Per step: runs, failures, and the average, p50, p95 and longest duration in milliseconds."""
    return json_response(await given.analytics.steps(blueprint, _moment(since)))


def _moment(since: datetime | date | None) -> datetime | None:
    if since is None:
        return None
    if not isinstance(since, datetime):
        since = datetime(since.year, since.month, since.day)  # noqa: DTZ001 - set below
    return since if since.tzinfo else since.replace(tzinfo=UTC)
