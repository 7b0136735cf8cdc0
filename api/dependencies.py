"""Dependencies of the routes: shared resources and validated parts of the request.

All are coroutines: FastAPI would run a synchronous function in a thread pool.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from stepway.api.auth.guard import Admission
from stepway.api.auth.policy import Person
from stepway.api.input_invalid import InputInvalid
from stepway.api.resources import AppResources
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.record.facts import MAX_VERSION
from stepway_tracking.record.json_text import unstorable

T = TypeVar("T")


async def resources(request: Request) -> AppResources:
    found: AppResources = request.app.state.resources
    return found


def storable(text: str) -> str:
    """Return the text if Postgres can store it. Raises ValueError otherwise."""
    if problem := unstorable(text):
        raise ValueError(problem)
    return text


async def last_event_id(
    header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    after: Annotated[
        str | None, Query(description="Same as Last-Event-ID, for clients that cannot set it.")
    ] = None,
) -> int | None:
    """Return the version that the client has seen, or None for a new client.

    Raises InputInvalid (400) if the value is not a decimal integer.
    """
    given, where = (header, "Last-Event-ID") if header is not None else (after, "after")
    if given is None:
        return None
    if not re.fullmatch("[0-9]+", given):
        detail = f"{where} must be a version: a decimal integer of 0 or more."
        raise InputInvalid(HTTPStatus.BAD_REQUEST, detail)
    return int(given) if len(given) < 20 else MAX_VERSION


def require_project(found: T | None, project_id: UUID) -> T:
    """Return `found`. Raises ProjectUnknown (404) if it is None."""
    if found is None:
        raise ProjectUnknown(f"Project {project_id} not found.")
    return found


def json_response(body: bytes, *, status: int = 200) -> Response:
    """Respond with JSON text that Postgres built."""
    return Response(body, status, media_type="application/json")


async def admission(request: Request) -> Admission:
    """Return the admission that the guard stored for this request."""
    found: Admission = request.state.admission
    return found


async def caller(request: Request) -> Person:
    """Return the signed-in person, or LOCAL if sign-in is off."""
    return (await admission(request)).person


Admitted = Annotated[Admission, Depends(admission)]
Caller = Annotated[Person, Depends(caller)]
Resources = Annotated[AppResources, Depends(resources)]
LastEventId = Annotated[int | None, Depends(last_event_id)]
ProjectId = Annotated[UUID, Path(alias="project_id", description="Project ID.")]
Text = Annotated[str, AfterValidator(storable)]
StepName = Annotated[Text, Path(alias="step", description="Step name.", max_length=200)]
