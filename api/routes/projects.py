"""The list of projects, one project, and creating one."""

from __future__ import annotations

import re
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
from stepway.api.commands.control import NewProject
from stepway.api.commands.parameters import Parameters, refuse_secrets
from stepway.api.dependencies import Asker, ProjectId, Resources, Text, json_response, known
from stepway.api.errors import InputInvalid
from stepway.api.openapi import problems
from stepway.api.routes.links import link_initialization, link_project
from stepway.runtime.scopes import Scope
from stepway_tracking.queries.projects import CursorInvalid
from stepway_tracking.record.facts import ProjectStatus

router = APIRouter(route_class=Guarded, prefix="/api/projects", tags=["projects"])


@router.get("", response_model=schemas.ProjectPage, responses=problems(400, 422, 503))
async def list_projects(
    given: Resources,
    asker: Asker,
    status: ProjectStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page.")] = None,
) -> Response:
    """The projects that one may read, newest first."""
    owners = given.rules.visible(asker)
    try:
        return json_response(await given.listing.page(status, limit, cursor, owners))
    except CursorInvalid as error:
        raise InputInvalid(HTTPStatus.BAD_REQUEST, str(error)) from error


@router.get("/{project_id}", response_model=schemas.Project, responses=problems(404, 422, 503))
async def get_project(project_id: ProjectId, given: Resources) -> Response:
    """One project."""
    project = known(await given.reader.project(project_id), project_id)
    return json_response(link_project(project, given.settings))


NAME = r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$"


def project_name(name: str) -> str:
    """The name, if it is one. Raises ValueError, which says what a name is."""
    if not re.fullmatch(NAME, name):
        raise ValueError(
            "must be 3–40 lowercase letters, digits or hyphens, start with a letter "
            "and not end with a hyphen"
        )
    return name


class CreateProject(BaseModel):
    """What a project is made of; `parameters` as the blueprint's JSON Schema has them.

    `owner` is one's own name, if it is not given, or that of a group that one belongs to.
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
    asker: Asker,
    key: Annotated[
        Text | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)
    ] = None,
) -> Response:
    """Start an initialization; the same key and body again answer 200 with the same project."""
    owner = body.owner or asker.name
    if not given.rules.may(asker, Scope.CREATE, owner):
        raise Forbidden(f"You are not allowed to create projects for {owner}.")
    await given.limits.start(asker, owner)
    await refuse_secrets(given, owner, body.parameters)
    new = NewProject(body.name, body.blueprint, body.parameters)
    project_id, created = await given.commands.start(
        new, owner, key or str(uuid4()), actor=asker.name
    )
    snapshot = known(await given.reader.snapshot(project_id), project_id)
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    response = json_response(link_initialization(snapshot.body, given.settings), status=status)
    response.headers["Location"] = f"/api/projects/{project_id}"
    return response
