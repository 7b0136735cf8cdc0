"""The blueprints: the available types of project."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from stepway.api import schemas
from stepway.api.auth.guard import Guarded
from stepway.api.dependencies import Resources
from stepway.api.openapi import problems
from stepway.blueprints.catalog import describe

router = APIRouter(route_class=Guarded, prefix="/api/blueprints", tags=["blueprints"])


@router.get("", response_model=list[schemas.Blueprint], response_model_exclude_none=True)
async def list_blueprints(given: Resources) -> list[dict[str, Any]]:
    """All blueprints, by name."""
    return [describe(blueprint) for blueprint in given.catalog]


@router.get(
    "/{name}",
    response_model=schemas.Blueprint,
    response_model_exclude_none=True,
    responses=problems(404),
)
async def get_blueprint(name: str, given: Resources) -> dict[str, Any]:
    """One blueprint: its parameters' JSON Schema and its steps."""
    return describe(given.catalog.get(name))
