"""The web page: what `web/` was built into, else one plain page of our own."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route, request_response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from stepway.api.routes.first_paint import with_first_picture

BUILT = Path(__file__).parents[2] / "page"
PLAIN = Path(__file__).parents[1] / "static"

NO_CACHE = {"Cache-Control": "no-cache"}
PRIVATE = {"Cache-Control": "private, no-cache"}
LONG = {"Cache-Control": "public, max-age=31536000, immutable"}
ELEMENT = "stepway-progress.js"
"""The component for other sites' pages; it holds nothing that is not public."""

ANYWHERE = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
COMPRESSION = 6
_NOT_PAGES = ("api", "assets", "healthz", "readyz", "metrics")


class HashedFiles(StaticFiles):
    """Files whose names change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for as long as anyone likes."""
        response = await super().get_response(path, scope)
        response.headers.update(LONG)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the page under every path that nothing else serves; call it last."""
    folder = BUILT if (BUILT / "index.html").is_file() else PLAIN
    if (folder / "assets").is_dir():
        files = HashedFiles if folder == BUILT else StaticFiles
        assets = files(directory=folder / "assets")
        app.router.routes.append(Mount("/assets", _compressed(assets)))

    async def page(request: Request) -> Response:
        path = request.path_params["path"]
        if path.split("/", 1)[0] in _NOT_PAGES:
            raise HTTPException(404)
        headers = NO_CACHE | (ANYWHERE if path == ELEMENT else {})
        return FileResponse(_file(folder, path) or folder / "index.html", headers=headers)

    async def initialization(request: Request) -> Response:
        built = (folder / "index.html").read_text()
        shown = await with_first_picture(request, built)
        return HTMLResponse(shown, headers=NO_CACHE if shown == built else PRIVATE)

    project = _compressed(request_response(initialization))
    app.router.routes.append(Route("/projects/{project_id}", project, methods=["GET"]))
    pages = _compressed(request_response(page))
    app.router.routes.append(Route("/{path:path}", pages, methods=["GET"]))


def _compressed(app: ASGIApp) -> ASGIApp:
    """Only what is served as it is: an event stream must not wait for a compressor."""
    return GZipMiddleware(app, compresslevel=COMPRESSION)


def _file(folder: Path, path: str) -> Path | None:
    """The file of that path inside the folder, if it is one."""
    file = (folder / path).resolve()
    inside = file.is_relative_to(folder.resolve())
    return file if inside and path and file.is_file() else None
