"""docs/reference/data-model.md matches the schema."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest

from tests.support.record import Record

DOCUMENT = (Path(__file__).parents[3] / "docs" / "reference" / "data-model.md").read_text()
NAMES = set(re.findall(r"`([a-z_]+)`", DOCUMENT))
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)


async def test_every_column_of_every_table_is_there(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch(
        """SELECT table_name, column_name FROM information_schema.columns
             JOIN pg_class ON oid = format('%I.%I', table_schema, table_name)::regclass
            WHERE table_schema = 'public' AND NOT relispartition"""
    )
    missing = [tuple(row) for row in rows if not {row[0], row[1]} <= NAMES]
    assert rows and not missing


async def test_every_action_that_the_record_knows_is_there(pool: asyncpg.Pool) -> None:
    actions = await pool.fetchval("SELECT stepway_step_actions_v3()")
    assert actions and set(actions) <= NAMES


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_every_query_runs(pool: asyncpg.Pool, query: str) -> None:
    record = await Record(pool).plan(push_template=1)
    await pool.fetch(query.replace(":'project'", f"'{record.project_id}'"))
