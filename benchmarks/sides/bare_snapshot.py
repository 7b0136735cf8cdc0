"""A bare FastAPI route that sends the same bytes from one asyncpg query."""

from __future__ import annotations

from uuid import UUID

import uvloop
from fastapi import FastAPI
from starlette.responses import Response

from benchmarks.sides.serving import serve
from stepway.runtime.settings import load_settings
from stepway_tracking.postgres import open_pool


async def main() -> None:
    """Serve until the bench ends."""
    app = FastAPI()
    async with await open_pool(load_settings().database_url) as pool:

        @app.get("/{project_id}")
        async def snapshot(project_id: UUID) -> Response:
            body = await pool.fetchval(
                "SELECT stepway_initialization_json_v3(p)::text FROM projects p WHERE id = $1",
                project_id,
            )
            return Response(body.encode(), media_type="application/json")

        await serve(app)


if __name__ == "__main__":
    uvloop.run(main())
