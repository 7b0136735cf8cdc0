"""Browser sessions: created from a token, kept in a cookie that scripts cannot read."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from stepway.api.auth.guard import Guarded
from stepway.api.auth.policy import Person
from stepway.api.auth.refusals import Forbidden, NotSignedIn
from stepway.api.auth.signin import bearer
from stepway.api.dependencies import Caller, Resources
from stepway.api.openapi import problems
from stepway.runtime.scopes import Scope

router = APIRouter(route_class=Guarded, prefix="/api/session", tags=["session"])


class SessionState(BaseModel):
    """The caller. If sign-in is not `required`, every caller is the person `local`."""

    required: bool
    signed_in: bool
    name: str | None = None
    groups: list[str] = []
    scopes: list[Scope] = []
    expires_at: datetime | None = None


@router.get("", responses=problems(401, 403, 429, 503))
async def get_session(request: Request, given: Resources) -> SessionState:
    """The caller's name, groups and scopes, and whether sign-in is required."""
    try:
        person = await given.sign_in.person(request)
    except NotSignedIn:
        if bearer(request) is not None:
            raise
        return SessionState(required=True, signed_in=False)
    return _state(person, required=given.sign_in.required)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=SessionState,
    responses=problems(401, 403, 429, 503),
)
async def create_session(request: Request, given: Resources, caller: Caller) -> Response:
    """Sign a browser in with the request's bearer token."""
    sign_in = given.sign_in
    if not sign_in.required:
        return _answer(_state(caller, required=False))
    if bearer(request) is None:
        raise NotSignedIn
    if not sign_in.may_keep_session(request):
        raise Forbidden("Sessions require HTTPS; behind an HTTPS proxy, set STEPWAY_PUBLIC_URL.")
    value, expires_at = await sign_in.sessions.create(caller)
    response = _answer(_state(caller, required=True).model_copy(update={"expires_at": expires_at}))
    response.set_cookie(
        sign_in.cookie_name(request),
        value,
        expires=expires_at,
        path="/",
        secure=sign_in.is_secure(request),
        httponly=True,
        samesite="strict",
    )
    return response


@router.delete("", status_code=HTTPStatus.NO_CONTENT, responses=problems(403, 503))
async def delete_session(request: Request, given: Resources) -> Response:
    """Sign the browser out and end its session."""
    sign_in = given.sign_in
    sign_in.origins.check_change(request)
    if (value := sign_in.cookie(request)) is not None:
        await sign_in.sessions.end(value)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(
        sign_in.cookie_name(request),
        path="/",
        secure=sign_in.is_secure(request),
        httponly=True,
        samesite="strict",
    )
    return response


def _state(person: Person, *, required: bool) -> SessionState:
    return SessionState(
        required=required,
        signed_in=True,
        name=person.name,
        groups=sorted(person.groups),
        scopes=sorted(person.scopes),
        expires_at=person.expires_at,
    )


def _answer(state: SessionState) -> Response:
    return JSONResponse(state.model_dump(mode="json"), HTTPStatus.CREATED)
