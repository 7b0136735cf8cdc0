"""The migrated database knows the same names as `stepway_tracking.record.facts`."""

from __future__ import annotations

import json
import re
from uuid import UUID

import asyncpg
import pytest

from stepway.api import schemas
from stepway_tracking.queries.reader import Reader
from stepway_tracking.record import facts
from tests.support.record import Record

Functions = dict[str, str]


@pytest.fixture
async def functions(pool: asyncpg.Pool) -> Functions:
    """Return the newest version of each function's body, by name without version."""
    rows = await pool.fetch(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )

    def version(name: str) -> int:
        return int(name.rpartition("_v")[2]) if re.search(r"_v\d+$", name) else 1

    ordered = sorted(rows, key=lambda row: version(row["proname"]))
    return {re.sub(r"_v\d+$", "", row["proname"]): row["prosrc"] for row in ordered}


def words(text: str) -> tuple[str, ...]:
    """The quoted words of an SQL text."""
    return tuple(re.findall(r"'(\w+)'", text))


@pytest.mark.parametrize(
    ("constraint", "statuses"),
    [
        ("projects_status_check", facts.PROJECT_STATUSES),
        ("project_initialization_steps_status_check", facts.STEP_STATUSES),
    ],
)
async def test_statuses(pool: asyncpg.Pool, constraint: str, statuses: tuple[str, ...]) -> None:
    text = await pool.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", constraint
    )
    assert words(text) == statuses


def test_metadata_of_a_round(functions: Functions) -> None:
    assert words(functions["stepway_passing"]) == facts.ROUND_METADATA


def test_actions_of_steps(functions: Functions) -> None:
    lists = re.findall(r"[(\[]('started'(?:,\s*'\w+')+)[)\]]", "\n".join(functions.values()))
    assert [words(text) for text in lists] == [facts.STEP_ACTIONS]


def test_actions_that_the_record_adds(functions: Functions) -> None:
    emitted = {
        found
        for body in functions.values()
        for found in re.findall(r"stepway_emit\w*\(\s*[\w.]+,\s*'(\w+)',\s*'(\w+)'", body)
    }
    emitted.add(words(functions["stepway_plan"].partition("VALUES\n    (v_id, 1,")[2])[:2])
    assert {kind for kind, _ in emitted} == set(facts.EVENT_TYPES)
    assert {action for kind, action in emitted if kind != "step"} == set(
        facts.DERIVED_PROJECT_ACTIONS
    )
    of_steps = {action for kind, action in emitted if kind == "step"}
    assert {"started", "reset"} < of_steps < {*facts.STEP_ACTIONS, *facts.SUB_STEP_ACTIONS}


def test_outcomes_of_attempts(functions: Functions) -> None:
    written = {
        word
        for body in functions.values()
        for text in re.findall(r"outcome = (?:coalesce\()?([^,]+(?:,\s*CASE.*?END)?)", body, re.S)
        for word in words(text)
    }
    assert "lost" in written
    assert written - {"outcome", "attempt_failed"} <= set(facts.ATTEMPT_OUTCOMES)


async def test_step_that_a_client_inserts_has_every_field(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(build=1)
    snapshot = await Reader(pool).snapshot(UUID(record.project_id))
    assert snapshot is not None
    [step] = json.loads(snapshot.body)["steps"]
    assert {"step", *facts.INSERTED_STEP} == set(step)
    assert set(schemas.Step.model_fields) == {*step, "temporal_url"}
    same = ("status", "progress", "attempt", "round", "optional", "started_at", "duration")
    assert {name: step[name] for name in same} == {name: facts.INSERTED_STEP[name] for name in same}
