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
from stepway.api.auth.policy import Person
from stepway.api.commands.host_features import refuse_lacking
from stepway.api.commands.parameters import Parameters, refuse_secrets
from stepway.api.dependencies import (
    Caller,
    ProjectId,
    Resources,
    StepName,
    Text,
    json_response,
)
from stepway.api.openapi import problems
from stepway.api.routes.snapshot import initialization_for
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
    return await given.previews.retry(project_id, step)


@router.get("/retry", responses=problems(404, 409, 422, 503))
async def preview_retry_of_all(project_id: ProjectId, given: Resources) -> schemas.RetryPreview:
    """Preview the retry of all failed steps, or after the end of all uncompleted steps."""
    return await given.previews.retry_of_all(project_id)


@router.get("/cancel", responses=problems(404, 409, 422, 503))
async def preview_cancel(project_id: ProjectId, given: Resources) -> schemas.CancelPreview:
    """Preview a cancel with `undo`: what it would roll back, and what stays."""
    return await given.previews.cancel(project_id)


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
        inspect_steps=partial(refuse_lacking, given.vault),
    )
    return await _accepted(project_id, given, caller)


@router.post("/retry", **CONTROLS)
async def retry_initialization(project_id: ProjectId, given: Resources, caller: Caller) -> Response:
    """Retry all failed steps; after a failed or cancelled end, all steps that are not completed."""
    await given.commands.retry_initialization(project_id, caller.name)
    return await _accepted(project_id, given, caller)


@router.post("/steps/{step}/skip", **CONTROLS)
async def skip_step(
    project_id: ProjectId, step: StepName, body: SkipStep, given: Resources, caller: Caller
) -> Response:
    """Skip a failed step that its blueprint marks as optional."""
    await given.commands.skip_step(project_id, step, redact(body.reason), caller.name)
    return await _accepted(project_id, given, caller)


@router.post("/cancel", **CONTROLS)
async def cancel_initialization(
    project_id: ProjectId,
    given: Resources,
    caller: Caller,
    body: Annotated[CancelInitialization | None, Body()] = None,
) -> Response:
    """Cancel the initialization; with `undo`, roll completed steps back."""
    await given.commands.cancel(project_id, body.undo if body else False, caller.name)
    return await _accepted(project_id, given, caller)


async def _accepted(project_id: ProjectId, given: Resources, caller: Person) -> Response:
    body = await initialization_for(caller, project_id, given)
    return json_response(body, status=HTTPStatus.ACCEPTED)
