"""A browser's session: made from a token once, kept in a cookie that no script can read."""

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
from stepway.api.dependencies import Asker, Resources
from stepway.api.openapi import problems
from stepway.runtime.scopes import Scope

router = APIRouter(route_class=Guarded, prefix="/api/session", tags=["session"])


class SessionState(BaseModel):
    """Who one is. Where sign-in is not `required` everybody is the person `local`."""

    required: bool
    signed_in: bool
    name: str | None = None
    groups: list[str] = []
    scopes: list[Scope] = []
    expires_at: datetime | None = None


@router.get("", responses=problems(401, 403, 429, 503))
async def get_session(request: Request, given: Resources) -> SessionState:
    """Who I am, what I may do, and whether I have to sign in at all."""
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
async def create_session(request: Request, given: Resources, asker: Asker) -> Response:
    """Sign a browser in with the bearer token that the request carries."""
    sign_in = given.sign_in
    if not sign_in.required:
        return _answer(_state(asker, required=False))
    if bearer(request) is None:
        raise NotSignedIn
    if not sign_in.may_keep_session(request):
        raise Forbidden("Sessions require HTTPS; behind an HTTPS proxy, set STEPWAY_PUBLIC_URL.")
    value, expires_at = await sign_in.sessions.create(asker)
    response = _answer(_state(asker, required=True).model_copy(update={"expires_at": expires_at}))
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
    """Sign the browser out; the cookie's value is worth nothing from now on."""
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
