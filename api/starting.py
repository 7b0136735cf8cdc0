"""Creating a project."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import schemas
from api.commands import NewProject
from api.dependencies import Actor, Resources, Text, json_response, known
from api.openapi import problems

router = APIRouter(prefix="/api/projects", tags=["projects"])

NAME = r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$"


class CreateProject(BaseModel):
    """What a project is made of; `parameters` as the blueprint's JSON Schema has them."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=NAME, description="3 to 40 of a-z, 0-9 and -.")]
    blueprint: Annotated[Text, Field(max_length=63)] = "web-service"
    parameters: dict[str, Any] = Field(default_factory=dict)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=schemas.Initialization,
    responses={200: {"model": schemas.Initialization}, **problems(409, 422, 503)},
)
async def create_project(
    body: CreateProject,
    given: Resources,
    actor: Actor,
    key: Annotated[
        Text | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)
    ] = None,
) -> Response:
    """Start an initialization; the same key and body again answer 200 with the same project."""
    new = NewProject(body.name, body.blueprint, body.parameters)
    project_id, created = await given.commands.start(new, actor, key or str(uuid4()))
    snapshot = known(await given.reader.snapshot(project_id), project_id)
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    response = json_response(snapshot.body, status=status)
    response.headers["Location"] = f"/api/projects/{project_id}"
    return response
