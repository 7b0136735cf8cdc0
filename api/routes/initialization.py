"""One initialization: its state, steps, attempts and history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.dependencies import (
    Caller,
    ProjectId,
    Resources,
    StepName,
    json_response,
    require_project,
)
from stepway.api.openapi import problems
from stepway.api.routes.links import link_steps
from stepway.api.routes.snapshot import initialization_for
from stepway_tracking.record.errors import StepUnknown
from stepway_tracking.record.facts import MAX_VERSION

router = APIRouter(
    route_class=Guarded, prefix="/api/projects/{project_id}/initialization", tags=["initialization"]
)

MAX_ATTEMPTS = 2**31 - 1

READS = problems(404, 422, 503)


@router.get("", response_model=schemas.Initialization, responses=READS)
async def get_initialization(project_id: ProjectId, given: Resources, caller: Caller) -> Response:
    """The project, its steps and its progress, at one version, and what the caller may do now."""
    return json_response(await initialization_for(caller, project_id, given))


@router.get("/steps", response_model=list[schemas.Step], responses=READS)
async def get_initialization_steps(project_id: ProjectId, given: Resources) -> Response:
    """The steps in order, each sub-step after its parent."""
    project = require_project(await given.reader.project(project_id), project_id)
    steps = require_project(await given.reader.get_initialization_steps(project_id), project_id)
    return json_response(link_steps(steps, project, given.settings))


@router.get("/steps/{step}/attempts", response_model=list[schemas.Attempt], responses=READS)
async def get_attempts(
    project_id: ProjectId,
    step: StepName,
    given: Resources,
    request: Request,
    after: Annotated[int, Query(ge=0, le=MAX_ATTEMPTS, description="Attempts to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The attempts at a step, oldest first, with error and stack.

    If there are more, the header `Link` has the address of the next page (`rel="next"`). A page of
    long errors may have fewer attempts than `limit`.
    """
    attempts, following = await given.reader.attempts(project_id, step, after, limit)
    if attempts == b"[]":
        await require_step(project_id, step, given)
    response = json_response(attempts)
    if following is not None:
        query = f"?after={following}&limit={limit}"
        response.headers["Link"] = f'<{request.url.path}{query}>; rel="next"'
    return response


@router.get("/history", response_model=schemas.HistoryPage, responses=READS)
async def get_history(
    project_id: ProjectId,
    given: Resources,
    after: Annotated[int, Query(ge=0, le=MAX_VERSION)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    progress: Annotated[bool, Query(description="Include progress updates.")] = False,
) -> Response:
    """The events after a version, with action, actor and time."""
    items, next_after = await given.reader.history(project_id, after, limit, progress=progress)
    if items == b"[]":
        require_project(await given.reader.step_names(project_id), project_id)
    following = b"null" if next_after is None else b"%d" % next_after
    return json_response(b'{"items": %s, "next_after": %s}' % (items, following))


async def require_step(project_id: ProjectId, step: str, given: Resources) -> None:
    """Raise ProjectUnknown, or StepUnknown with the available steps."""
    names = require_project(await given.reader.step_names(project_id), project_id)
    if step not in names and not await given.reader.has_part(project_id, step):
        raise StepUnknown(f"Unknown step {step!r}; available steps: {', '.join(names)}.")
