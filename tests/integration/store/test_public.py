"""Clients see only the columns that the record names one by one."""

from __future__ import annotations

import json
from uuid import UUID

import asyncpg
import pytest

from stepway_tracking.queries.projects import PAGE_OF_PROJECTS
from stepway_tracking.queries.reader import Reader
from tests.support.record import Record

PRIVATE = {"points", "points_total", "fence", "definition", "request_hash", "task_queue"}


async def test_list_of_projects_does_not_read_the_blueprints(pool: asyncpg.Pool) -> None:
    """The plan would read a whole row as `p.*`, and with it the large `definition`."""
    plan = await pool.fetch(
        f"EXPLAIN (VERBOSE) {PAGE_OF_PROJECTS}", "active", None, None, 10, ["local"]
    )
    text = "\n".join(row[0] for row in plan)
    assert "'parameters', parameters" in text
    assert "p.*" not in text
    assert "definition" not in text


@pytest.mark.parametrize("table", ["projects", "project_initialization_steps"])
async def test_new_column_is_not_public(pool: asyncpg.Pool, table: str) -> None:
    record = await Record(pool).plan(build=1)
    async with pool.acquire() as connection:
        change = connection.transaction()
        await change.start()
        await connection.execute(f"ALTER TABLE {table} ADD COLUMN internal text DEFAULT 'secret'")
        body = await connection.fetchval(
            "SELECT stepway_initialization_json_v3(p)::text FROM projects p WHERE id = $1",
            UUID(record.project_id),
        )
        await change.rollback()
    assert "secret" not in body


async def test_all_that_clients_need_of_a_project_is_public(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(build=1)
    shown = json.loads(await Reader(pool).project(UUID(record.project_id)) or b"")
    assert set(await record.project()) - set(shown) == PRIVATE
