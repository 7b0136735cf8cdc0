"""The HTTP application, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import (
    analytics,
    blueprints,
    codec,
    controls,
    estimate,
    health,
    initialization,
    metrics,
    projects,
    session,
    starting,
    stream,
)
from api.application import Application
from api.cors import Cors
from api.errors import add_error_handlers
from api.guard import check_rules
from api.limits import REQUEST_BYTES
from api.metrics import Metrics
from api.openapi import document_problems
from api.pages import add_pages
from api.requests import Requests
from api.resources import open_resources
from api.sizes import SizeLimit
from blueprints.arguments import KnownSteps
from tracking.hub_options import HubOptions
from tracking.settings import Settings

ROUTERS = (
    projects.router,
    starting.router,
    initialization.router,
    controls.router,
    estimate.router,
    stream.router,
    blueprints.router,
    analytics.router,
    health.router,
    metrics.router,
    session.router,
    codec.router,
)


def create_app(
    settings: Settings,
    known_steps: KnownSteps | None = None,
    hub_options: HubOptions | None = None,
) -> FastAPI:
    """The API and the page. With `known_steps` every blueprint's arguments are checked too."""
    check_rules(ROUTERS)
    counted = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings, known_steps, hub_options) as resources:
            app.state.resources = resources
            counted.watch(resources.hub)
            yield

    app = Application(
        title="Stepway",
        version=version("stepway"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.metrics = counted
    app.add_middleware(SizeLimit)
    app.add_middleware(Cors, settings=settings)
    app.add_middleware(Requests, metrics=counted)
    add_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router, max_body_size=REQUEST_BYTES)
    document_problems(app)
    add_pages(app)
    return app
