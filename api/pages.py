"""The web page: what `web/` was built into, else one plain page of our own."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(__file__).parent.parent / "web" / "dist"
PLAIN = Path(__file__).parent / "static"

NO_CACHE = {"Cache-Control": "no-cache"}
LONG = {"Cache-Control": "public, max-age=31536000, immutable"}
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
        app.router.routes.append(Mount("/assets", files(directory=folder / "assets")))

    async def page(request: Request) -> Response:
        path = request.path_params["path"]
        if path.split("/", 1)[0] in _NOT_PAGES:
            raise HTTPException(404)
        return FileResponse(_file(folder, path) or folder / "index.html", headers=NO_CACHE)

    app.router.routes.append(Route("/{path:path}", page, methods=["GET"]))


def _file(folder: Path, path: str) -> Path | None:
    """The file of that path inside the folder, if it is one."""
    file = (folder / path).resolve()
    inside = file.is_relative_to(folder.resolve())
    return file if inside and path and file.is_file() else None
