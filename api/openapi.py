"""Documents the error responses of all routes as problems (RFC 9457) in OpenAPI."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from stepway.api.auth.policy import ROUTES
from stepway.api.schemas import Problem

_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


SIGN_INS: dict[str, dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A Stepway token or a JWT."},
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-stepway"},
}
"""Security schemes; they apply to deployments with sign-in."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may respond with problems of these statuses."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": _CONTENT}
        for status in statuses
    }


def document_problems(app: FastAPI) -> None:
    """Replace FastAPI's validation error schemas with `Problem`."""
    build = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(build())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(schema: dict[str, Any]) -> dict[str, Any]:
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    schema["components"]["securitySchemes"] = SIGN_INS
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            if ROUTES[method.upper(), path].scope:
                operation["security"] = [{name: []} for name in SIGN_INS]
                responses.update(_named(problems(401, 403, 429)))
            if "requestBody" in operation:
                responses.update(_named(problems(413)))
            if "422" in responses:
                responses.update(_named(problems(422)))
            responses["default"] = {"description": "Any other error", "content": _CONTENT}
    return schema


def _named(responses: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    return {str(status): response for status, response in responses.items()}
