"""Lists, reads and creates projects."""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.auth.policy import owner_name
from stepway.api.auth.refusals import Forbidden
from stepway.api.commands.host_features import refuse_lacking
from stepway.api.commands.parameters import Parameters, refuse_secrets
from stepway.api.commands.starting import NewProject
from stepway.api.dependencies import (
    Caller,
    ProjectId,
    Resources,
    Text,
    json_response,
    require_project,
)
from stepway.api.input_invalid import InputInvalid
from stepway.api.openapi import problems
from stepway.api.routes.links import link_project
from stepway.api.routes.snapshot import initialization_for
from stepway.runtime.scopes import Scope
from stepway_tracking.queries.projects import CursorInvalid
from stepway_tracking.record.facts import ProjectStatus

router = APIRouter(route_class=Guarded, prefix="/api/projects", tags=["projects"])


@router.get("", response_model=schemas.ProjectPage, responses=problems(400, 422, 503))
async def list_projects(
    given: Resources,
    caller: Caller,
    status: ProjectStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page.")] = None,
) -> Response:
    """The projects that the caller may read, newest first."""
    owners = given.rules.visible(caller)
    try:
        return json_response(await given.listing.page(status, limit, cursor, owners))
    except CursorInvalid as error:
        raise InputInvalid(HTTPStatus.BAD_REQUEST, str(error)) from error


@router.get("/{project_id}", response_model=schemas.Project, responses=problems(404, 422, 503))
async def get_project(project_id: ProjectId, given: Resources) -> Response:
    """One project."""
    project = require_project(await given.reader.project(project_id), project_id)
    return json_response(link_project(project, given.settings))


NAME = r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$"


def project_name(name: str) -> str:
    """Return the name. Raises ValueError if it is not valid."""
    if not re.fullmatch(NAME, name):
        raise ValueError(
            "must be 3–40 lowercase letters, digits or hyphens, start with a letter "
            "and not end with a hyphen"
        )
    return name


class CreateProject(BaseModel):
    """A new project; `parameters` must match the blueprint's JSON Schema.

    `owner` is the caller's name (the default) or that of one of their groups.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        AfterValidator(project_name),
        Field(
            description="3–40 lowercase letters, digits or hyphens.",
            json_schema_extra={"pattern": NAME},
        ),
    ]
    blueprint: Annotated[Text, Field(max_length=63)] = "web-service"
    parameters: Parameters = Field(default_factory=dict)
    owner: Annotated[str, AfterValidator(owner_name)] | None = None


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=schemas.Initialization,
    responses={200: {"model": schemas.Initialization}, **problems(403, 409, 413, 422, 429, 503)},
)
async def create_project(
    body: CreateProject,
    given: Resources,
    caller: Caller,
    key: Annotated[
        Text | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)
    ] = None,
) -> Response:
    """Start an initialization. A repeated key and body return 200 with the same project."""
    owner = body.owner or caller.name
    if not given.rules.may(caller, Scope.CREATE, owner):
        raise Forbidden(f"You are not allowed to create projects for {owner}.")
    new, created = NewProject(body.name, body.blueprint, body.parameters), False
    project_id = await given.starts.repeated(new, owner, key) if key else None
    if project_id is None:
        await given.limits.start(caller, owner)
        project_id, created = await given.starts.start(
            new,
            owner,
            key or str(uuid4()),
            actor=caller.name,
            inspect=partial(refuse_secrets, given, caller, owner),
            inspect_steps=partial(refuse_lacking, given.vault),
        )
    started = await initialization_for(caller, project_id, given)
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    response = json_response(started, status=status)
    response.headers["Location"] = f"/api/projects/{project_id}"
    return response
