"""Serves the built web page, or without a build a 503 that says how to build it."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, request_response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from stepway.api.routes import first_paint
from stepway.api.routes.first_paint import FirstPaint, is_built

BUILT = Path(__file__).parents[2] / "page"

NO_CACHE = {"Cache-Control": "no-cache"}
PRIVATE = {"Cache-Control": "private, no-cache"}
LONG = {"Cache-Control": "public, max-age=31536000, immutable"}
ELEMENT = re.compile(r"stepway-progress(-[\w-]+)?\.js")
"""The component for other sites' pages and its parts. They contain public code only."""

ANYWHERE = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
COMPRESSION = 6
_NOT_PAGES = ("api", "assets", "docs", first_paint.FOLDER, "healthz", "readyz", "metrics")
NOT_BUILT = "The web page is not built. Run scripts/web-build, then start the API again.\n"


class HashedFiles(StaticFiles):
    """Files whose names contain a hash of their content, so clients may cache them forever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        response = await super().get_response(path, scope)
        response.headers.update(LONG)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the page under every path without another route; call this last.

    Raises TemplateUnfit if the page was built for another version.
    """
    if is_built(BUILT):
        _add_assets(app, BUILT)
        _add_not_found(app)
        _add_built(app, BUILT)
    else:
        _add_not_found(app)
        app.router.routes.append(Route("/{path:path}", _not_built, methods=["GET"]))


class NotFound:
    """ASGI app that answers 404, whatever the method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise HTTPException (404)."""
        raise HTTPException(404)


def _add_not_found(app: FastAPI) -> None:
    for first in _NOT_PAGES:
        for path in (f"/{first}", f"/{first}/{{rest:path}}"):
            app.router.routes.append(Route(path, NotFound()))


def _add_assets(app: FastAPI, folder: Path) -> None:
    if (folder / "assets").is_dir():
        assets = HashedFiles(directory=folder / "assets")
        app.router.routes.append(Mount("/assets", _compressed(assets)))


def _add_built(app: FastAPI, folder: Path) -> None:
    paint = FirstPaint(folder)

    async def page(request: Request) -> Response:
        path: str = request.path_params["path"]
        return FileResponse(_file(folder, path) or folder / "index.html", headers=_headers(path))

    async def initialization(request: Request) -> Response:
        painted = await paint.answer(request)
        if painted is None:
            return FileResponse(folder / "index.html", headers=NO_CACHE)
        return HTMLResponse(painted, headers=PRIVATE)

    project = _compressed(request_response(initialization))
    app.router.routes.append(Route("/projects/{project_id}", project, methods=["GET"]))
    pages = _compressed(request_response(page))
    app.router.routes.append(Route("/{path:path}", pages, methods=["GET"]))


async def _not_built(request: Request) -> Response:
    headers = _headers(request.path_params["path"])
    return PlainTextResponse(NOT_BUILT, status_code=503, headers=headers)


def _headers(path: str) -> dict[str, str]:
    return NO_CACHE | (ANYWHERE if ELEMENT.fullmatch(path) else {})


def _compressed(app: ASGIApp) -> ASGIApp:
    """Compress this app's responses only: a compressor would delay the events of a stream."""
    return GZipMiddleware(app, compresslevel=COMPRESSION)


def _file(folder: Path, path: str) -> Path | None:
    """Return the file with that path if it exists inside of the folder."""
    file = (folder / path).resolve()
    inside = file.is_relative_to(folder.resolve())
    return file if inside and path and file.is_file() else None
