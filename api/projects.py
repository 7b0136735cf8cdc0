"""Projects: the list, and one of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import schemas
from api.dependencies import Asker, ProjectId, Resources, json_response, known
from api.errors import InputInvalid
from api.guard import Guarded
from api.links import link_project
from api.openapi import problems
from tracking.listing import CursorInvalid

router = APIRouter(route_class=Guarded, prefix="/api/projects", tags=["projects"])


@router.get("", response_model=schemas.ProjectPage, responses=problems(400, 422, 503))
async def list_projects(
    given: Resources,
    asker: Asker,
    status: schemas.ProjectStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="A page's `next_cursor`.")] = None,
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
