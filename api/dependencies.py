"""What routes ask for by type: the shared resources, and parts of a request already checked.

All are coroutines, since FastAPI runs a plain function on a thread of its own.
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
from stepway.api.errors import InputInvalid
from stepway.api.resources import AppResources
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.record.facts import MAX_VERSION
from stepway_tracking.record.json_text import unstorable

T = TypeVar("T")


async def resources(request: Request) -> AppResources:
    """The resources of this application."""
    found: AppResources = request.app.state.resources
    return found


def storable(text: str) -> str:
    """The text, which Postgres can store. Raises ValueError."""
    if problem := unstorable(text):
        raise ValueError(problem)
    return text


async def last_event_id(
    header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    after: Annotated[
        str | None, Query(description="Same as Last-Event-ID, for clients that cannot set it.")
    ] = None,
) -> int | None:
    """The version that a client of the stream has seen, None when it is new.

    Raises InputInvalid (400) for what is not a version.
    """
    given, where = (header, "Last-Event-ID") if header is not None else (after, "after")
    if given is None:
        return None
    if not re.fullmatch("[0-9]+", given):
        detail = f"{where} must be a version: a decimal integer of 0 or more."
        raise InputInvalid(HTTPStatus.BAD_REQUEST, detail)
    return int(given) if len(given) < 20 else MAX_VERSION


def known(found: T | None, project_id: UUID) -> T:
    """What was found of a project. Raises ProjectUnknown for None."""
    if found is None:
        raise ProjectUnknown(f"Project {project_id} not found.")
    return found


def json_response(body: bytes, *, status: int = 200) -> Response:
    """JSON that Postgres built, passed on as it is."""
    return Response(body, status, media_type="application/json")


async def admission(request: Request) -> Admission:
    """How the sender was let in."""
    found: Admission = request.state.admission
    return found


async def asker(request: Request) -> Person:
    """Who asks; without sign-in everybody on this machine is one person."""
    return (await admission(request)).person


async def actor(request: Request) -> str:
    """The name of who asks, for the record."""
    return (await admission(request)).person.name


Admitted = Annotated[Admission, Depends(admission)]
Asker = Annotated[Person, Depends(asker)]
Actor = Annotated[str, Depends(actor)]
Resources = Annotated[AppResources, Depends(resources)]
LastEventId = Annotated[int | None, Depends(last_event_id)]
ProjectId = Annotated[UUID, Path(alias="project_id", description="Project ID.")]
Text = Annotated[str, AfterValidator(storable)]
StepName = Annotated[Text, Path(alias="step", description="Step name.", max_length=200)]
