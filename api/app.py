"""Builds the FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from stepway.api.auth.guard import check_rules
from stepway.api.auth.limits import REQUEST_BYTES
from stepway.api.errors import add_error_handlers
from stepway.api.middleware.body_size import SizeLimit
from stepway.api.middleware.cors import Cors
from stepway.api.middleware.detached_stream import Application
from stepway.api.middleware.own_user import OwnUser
from stepway.api.middleware.requests import Requests
from stepway.api.openapi import document_problems
from stepway.api.resources import open_resources
from stepway.api.routes import (
    blueprints,
    codec,
    controls,
    estimate,
    events,
    health,
    initialization,
    logs,
    metrics,
    projects,
    session,
    statistics,
)
from stepway.api.routes.docs_page import add_docs
from stepway.api.routes.methods import add_methods
from stepway.api.routes.metrics import Metrics
from stepway.api.routes.pages import add_pages
from stepway.blueprints.arguments import KnownSteps
from stepway.runtime.api_settings import ApiSettings
from stepway_tracking.stream.options import HubOptions

ROUTERS = (
    projects.router,
    initialization.router,
    controls.router,
    estimate.router,
    events.router,
    logs.router,
    blueprints.router,
    statistics.router,
    health.router,
    metrics.router,
    session.router,
    codec.router,
)


def create_app(
    settings: ApiSettings,
    known_steps: KnownSteps | None = None,
    hub_options: HubOptions | None = None,
) -> FastAPI:
    """Create the application that serves the API and the page.

    `known_steps` maps activity types to their input types; with it, the arguments in blueprints
    are checked as well.
    """
    check_rules(ROUTERS)
    app_metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings, known_steps, hub_options) as resources:
            app.state.resources = resources
            app_metrics.watch(resources.hub, resources.readiness)
            yield

    app = Application(
        title="Stepway",
        version=version("stepway"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.metrics = app_metrics
    app.add_middleware(SizeLimit)
    app.add_middleware(Cors, settings=settings)
    app.add_middleware(OwnUser)
    app.add_middleware(Requests, metrics=app_metrics)
    add_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router, max_body_size=REQUEST_BYTES)
    add_methods(app, ROUTERS)
    document_problems(app)
    add_docs(app)
    add_pages(app)
    return app
