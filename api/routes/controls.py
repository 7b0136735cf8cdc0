"""Controls of an initialization: retry, skip, cancel."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.commands.parameters import Parameters, refuse_secrets
from stepway.api.dependencies import (
    Actor,
    Caller,
    ProjectId,
    Resources,
    StepName,
    Text,
    json_response,
    require_project,
)
from stepway.api.openapi import problems
from stepway.api.routes.links import link_initialization
from stepway.vault.redaction import redact

router = APIRouter(
    route_class=Guarded, prefix="/api/projects/{project_id}/initialization", tags=["controls"]
)

CONTROLS: dict[str, Any] = {
    "status_code": HTTPStatus.ACCEPTED,
    "response_model": schemas.Initialization,
    "responses": problems(404, 409, 422, 503),
}


class RetryStep(BaseModel):
    """Parameters to change before the step runs again, if the blueprint allows it."""

    model_config = ConfigDict(extra="forbid")

    parameters: Parameters = Field(default_factory=dict)


class SkipStep(BaseModel):
    """The reason for the skip, for the history."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Text, Field(min_length=1, max_length=2000, pattern=r"\S")]


class CancelInitialization(BaseModel):
    """With `undo`, completed steps are rolled back."""

    model_config = ConfigDict(extra="forbid")

    undo: bool = False


@router.get("/steps/{step}/retry", responses=problems(404, 409, 422, 503))
async def preview_retry(
    project_id: ProjectId, step: StepName, given: Resources
) -> schemas.RetryPreview:
    """Preview a retry without running it."""
    return await given.commands.preview_retry(project_id, step)


@router.post("/steps/{step}/retry", **CONTROLS)
async def retry_step(
    project_id: ProjectId,
    step: StepName,
    given: Resources,
    caller: Caller,
    body: Annotated[RetryStep | None, Body()] = None,
) -> Response:
    """Retry a failed step and the steps that depend on it."""
    await given.commands.retry_step(
        project_id,
        step,
        body.parameters if body else {},
        caller.name,
        inspect=partial(refuse_secrets, given, caller),
    )
    return await _accepted(project_id, given)


@router.post("/retry", **CONTROLS)
async def retry_initialization(project_id: ProjectId, given: Resources, actor: Actor) -> Response:
    """Retry all failed steps; after a failed or cancelled end, all steps that are not completed."""
    await given.commands.retry_initialization(project_id, actor)
    return await _accepted(project_id, given)


@router.post("/steps/{step}/skip", **CONTROLS)
async def skip_step(
    project_id: ProjectId, step: StepName, body: SkipStep, given: Resources, actor: Actor
) -> Response:
    """Skip a failed step that its blueprint marks as optional."""
    await given.commands.skip_step(project_id, step, redact(body.reason), actor)
    return await _accepted(project_id, given)


@router.post("/cancel", **CONTROLS)
async def cancel_initialization(
    project_id: ProjectId,
    given: Resources,
    actor: Actor,
    body: Annotated[CancelInitialization | None, Body()] = None,
) -> Response:
    """Cancel the initialization; with `undo`, roll completed steps back."""
    await given.commands.cancel(project_id, body.undo if body else False, actor)
    return await _accepted(project_id, given)


async def _accepted(project_id: ProjectId, given: Resources) -> Response:
    snapshot = require_project(await given.reader.snapshot(project_id), project_id)
    body = link_initialization(snapshot.body, given.settings)
    return json_response(body, status=HTTPStatus.ACCEPTED)
