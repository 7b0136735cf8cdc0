"""Durations and failures of steps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.dependencies import Caller, Resources, Text, json_response
from stepway.api.openapi import problems

router = APIRouter(route_class=Guarded, prefix="/api/analytics", tags=["analytics"])


def _utc(moment: datetime) -> datetime:
    """Convert to UTC; a time without offset is already UTC."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("must be between the years 1 and 9999") from error


@router.get("/steps", response_model=list[schemas.StepStatistics], responses=problems(422, 503))
async def get_step_statistics(
    given: Resources,
    caller: Caller,
    blueprint: Annotated[Text | None, Query(max_length=200)] = None,
    since: Annotated[
        Annotated[datetime, AfterValidator(_utc)] | None,
        Query(
            description="Beginning of the period: an ISO 8601 date or time, UTC if it has no "
            "offset. By default, 30 days ago."
        ),
    ] = None,
) -> Response:
    """Per step: runs, failures, attempts, and the average, p50, p95 and longest duration in ms.

    An answer may be up to 30 seconds old.
    """
    return json_response(await given.analytics.steps(blueprint, since, given.rules.visible(caller)))
