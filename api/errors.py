"""Maps exceptions to HTTP responses: problem details (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from temporalio.client import RPCError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCStatusCode

from stepway.api.auth.refusals import Refusal
from stepway.api.input_invalid import InputInvalid
from stepway.api.middleware.requests import correlation_id
from stepway.blueprints.errors import BlueprintUnknown, ParameterError, ParametersInvalid
from stepway.vault.errors import KeyMissing, Undecipherable, Unsigned
from stepway_tracking.postgres import UNREACHABLE, trouble
from stepway_tracking.record.errors import (
    AttemptUnknown,
    KeyReused,
    LogRemoved,
    LogStoreAway,
    NameTaken,
    NotConfirmed,
    ProjectUnknown,
    Refused,
    StartExpired,
    StepUnknown,
    TemporalRefuses,
    TooLarge,
)
from stepway_tracking.stream.hub import TooManyStreams
from stepway_tracking.validation import sentence

logger = logging.getLogger(__name__)

RETRY_AFTER = {"Retry-After": "2"}
NOT_STORED = {"Cache-Control": "no-store"}

STATUSES: dict[type[Exception], HTTPStatus] = {
    ProjectUnknown: HTTPStatus.NOT_FOUND,
    StepUnknown: HTTPStatus.NOT_FOUND,
    AttemptUnknown: HTTPStatus.NOT_FOUND,
    LogRemoved: HTTPStatus.GONE,
    LogStoreAway: HTTPStatus.SERVICE_UNAVAILABLE,
    NameTaken: HTTPStatus.CONFLICT,
    Refused: HTTPStatus.CONFLICT,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotConfirmed: HTTPStatus.SERVICE_UNAVAILABLE,
    StartExpired: HTTPStatus.SERVICE_UNAVAILABLE,
    KeyMissing: HTTPStatus.SERVICE_UNAVAILABLE,
    Undecipherable: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyStreams: HTTPStatus.SERVICE_UNAVAILABLE,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TemporalRefuses: HTTPStatus.BAD_GATEWAY,
    Unsigned: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Statuses of the errors whose message becomes the `detail` of the response."""

_UNAVAILABLE = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
}

Handler = Callable[[Request, Any], Awaitable[Response]]


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Build a problem response; `more` are additional members of the problem."""
    status = HTTPStatus(status)
    body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
    body |= {name: value for name, value in more.items() if value}
    given = {**NOT_STORED, **(headers or {})}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        given = {**RETRY_AFTER, **given}
    return JSONResponse(body, status, headers=given, media_type="application/problem+json")


def add_error_handlers(app: FastAPI) -> None:
    """Register the handlers that turn every exception into a problem response."""
    handlers: dict[Any, Handler] = {
        InputInvalid: _input_invalid,
        Refusal: _refused,
        HTTPException: _http,
        RequestValidationError: _invalid,
        ParametersInvalid: _bad_parameters,
        BlueprintUnknown: _blueprint_unknown,
        RPCError: _temporal,
        WorkflowUpdateRPCTimeoutOrCancelledError: _temporal_unavailable,
        RuntimeError: _maybe_temporal,
        DBAPIError: _database,
        PoolTimeoutError: _postgres_unavailable,
        Exception: _unexpected,
    }
    handlers |= dict.fromkeys(STATUSES, _mapped)
    handlers |= dict.fromkeys(UNREACHABLE, _postgres_unavailable)
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)


async def _input_invalid(request: Request, error: InputInvalid) -> Response:
    return problem(error.status, str(error), errors=error.errors)


async def _refused(request: Request, error: Refusal) -> Response:
    return problem(error.status, str(error), headers=error.headers)


async def _mapped(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    return problem(status, str(error) or status.description)


async def _http(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    detail = error.detail
    if detail == status.phrase:
        detail = f"{request.method} {request.url.path}: {status.description}"
    return problem(status, detail, headers=error.headers)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    errors = [_invalid_part(part) for part in error.errors()]
    first = errors[0]
    detail = f"{first['name'] or 'body'}: {first['detail']}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _invalid_part(part: Mapping[str, Any]) -> dict[str, str]:
    """Convert one pydantic error. `pointer` is a JSON pointer into the body, or starts with the
    part of the request: `/query/limit`.
    """
    where, *path = part["loc"]
    names = [str(name) for name in path if part["type"] != "json_invalid"]
    inside = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    return {
        "name": ".".join(names),
        "pointer": inside if where == "body" else f"/{where}{inside}",
        "detail": sentence(part),
    }


async def _bad_parameters(request: Request, error: ParametersInvalid) -> Response:
    errors = [_invalid_parameter(part) for part in error.errors]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=errors)


def _invalid_parameter(error: ParameterError) -> dict[str, str]:
    part = {"name": error.name, "pointer": f"/parameters{error.pointer}", "detail": error.detail}
    if error.code:
        part |= {"code": error.code, "expected": error.expected}
    return part


async def _blueprint_unknown(request: Request, error: BlueprintUnknown) -> Response:
    """404 if the URL names the blueprint, 422 if the body does."""
    if request.method == "GET":
        return problem(HTTPStatus.NOT_FOUND, str(error))
    wrong = {"name": "blueprint", "pointer": "/blueprint", "detail": str(error)}
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=[wrong])


async def _postgres_unavailable(request: Request, error: Exception) -> Response:
    logger.warning("Postgres is unavailable for %s: %r", request.url.path, error)
    reason = trouble(error) or "The database is unavailable"
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}; try again.")


async def _database(request: Request, error: DBAPIError) -> Response:
    lost = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    passes = lost or trouble(error) is not None
    return await (_postgres_unavailable if passes else _unexpected)(request, error)


async def _temporal(request: Request, error: RPCError) -> Response:
    unavailable = error.status in _UNAVAILABLE
    return await (_temporal_unavailable if unavailable else _unexpected)(request, error)


async def _temporal_unavailable(request: Request, error: Exception) -> Response:
    logger.warning("Temporal did not answer for %s: %s", request.url.path, error)
    detail = "Temporal or all workers are unavailable; try again."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)


async def _maybe_temporal(request: Request, error: RuntimeError) -> Response:
    # A lazy Temporal client raises a bare RuntimeError if it cannot connect.
    unavailable = str(error).startswith("Failed client connect")
    return await (_temporal_unavailable if unavailable else _unexpected)(request, error)


async def _unexpected(request: Request, error: Exception) -> Response:
    """Respond 500 with the correlation ID only; the log has the cause under that ID."""
    number = correlation_id(request.scope)
    logger.error("%s %s failed [%s]", request.method, request.url.path, number, exc_info=error)
    detail = f"Something went wrong on our side. Quote {number} when reporting it."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, instance=f"urn:uuid:{number}")
