"""Statistics of steps count rounds and attempts, and cancels apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from stepway_tracking.queries import statistics
from stepway_tracking.queries.statistics import Analytics
from stepway_tracking.record.changes import StepChange
from tests.support.record import Record, new_initialization

Json = dict[str, Any]


@pytest.fixture
def blueprint() -> Iterator[str]:
    """A blueprint of this test's own."""
    yield f"b{uuid4().hex[:8]}"


async def planned(pool: asyncpg.Pool, blueprint: str, step: str = "push") -> Record:
    record = Record(pool)
    new = new_initialization(record.project_id, {step: 1}, blueprint=blueprint)
    await record.store.initialize_steps_in_database(new)
    return record


async def play(record: Record, *rounds: str, step: str = "push") -> None:
    """Record rounds such as `ffc`: attempts that failed twice and then completed.

    Of the last attempt of a round, `f` is final. `x` is stopped by a cancel, `i` by a restart. With
    `s` the step skips itself.
    """
    second = 1.0
    for number, outcomes in enumerate(rounds):
        if number:
            await record.workflow(second, StepChange(step, "retried", actor="ada"))
        for index, outcome in enumerate(outcomes, 1):
            second += 1
            attempt = record.attempt(step, second, index, activity=str(number))
            await attempt.say("started")
            is_last = index == len(outcomes)
            match outcome:
                case "c":
                    await attempt.say("completed")
                case "f":
                    await attempt.say("failed" if is_last else "attempt_failed", error="no")
                case "s":
                    await attempt.say("skipped", metadata={"reason": "nothing to do"})
                case "i":
                    await attempt.say("interrupted", outcome="interrupted")
                case "x":
                    cancelled = StepChange(step, "failed", error="no", outcome="cancelled")
                    await record.workflow(second + 0.5, cancelled)
        second += 1


async def read(pool: asyncpg.Pool, blueprint: str, **given: Any) -> Json:
    (found,) = json.loads(await Analytics(pool).steps(blueprint, given.get("since")))
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (["c"], (1, 0, 0, 0, 1, 0, 1)),
        (["ffc"], (1, 0, 0, 0, 3, 2, 0)),
        (["ff", "ff", "c"], (3, 2, 0, 0, 5, 4, 0)),
        (["ff"], (1, 1, 0, 0, 2, 2, 0)),
        (["x"], (0, 0, 0, 1, 1, 0, None)),
        (["x", "c"], (1, 0, 0, 1, 2, 0, 1)),
        (["fx", "f"], (1, 1, 0, 1, 3, 2, 0)),
        (["ic"], (1, 0, 0, 0, 2, 0, 1)),
        (["s"], (1, 0, 1, 0, 1, 0, 1)),
        (["fs"], (1, 0, 1, 0, 2, 1, 0)),
        (["ff", "s"], (2, 1, 1, 0, 3, 2, 0)),
        (["x", "s"], (1, 0, 1, 1, 2, 0, 1)),
    ],
)
async def test_rounds_and_attempts_of_a_step(
    pool: asyncpg.Pool, blueprint: str, rounds: list[str], expected: tuple[Any, ...]
) -> None:
    await play(await planned(pool, blueprint), *rounds)
    found = await read(pool, blueprint)
    names = (
        "runs",
        "failures",
        "skipped",
        "cancelled",
        "attempts",
        "failed_attempts",
        "first_try_rate",
    )
    assert tuple(found[name] for name in names) == expected


async def test_round_that_still_runs_has_not_failed(pool: asyncpg.Pool, blueprint: str) -> None:
    record = await planned(pool, blueprint)
    first = record.attempt("push", 1)
    await first.say("started")
    await first.say("attempt_failed", error="no")
    found = await read(pool, blueprint)
    assert (found["runs"], found["failures"], found["failed_attempts"]) == (0, 0, 1)


@pytest.mark.parametrize(("by_person", "failures"), [(True, 1), (False, 0)])
async def test_round_of_a_skipped_step_has_failed_if_a_person_skipped_it(
    pool: asyncpg.Pool, blueprint: str, by_person: bool, failures: int
) -> None:
    record = await planned(pool, blueprint)
    first, second = (record.attempt("push", number, number) for number in (1, 2))
    await first.say("started")
    if by_person:
        await first.say("failed", error="no")
        metadata = {"reason": "r", "skipped_by": "ada"}
        await record.workflow(2, StepChange("push", "skipped", actor="ada", metadata=metadata))
    else:
        await first.say("attempt_failed", error="no")
        await second.say("started")
        await second.say("skipped", metadata={"reason": "nothing to do"})
    assert (await read(pool, blueprint))["failures"] == failures


async def test_first_try_rate_is_the_share_of_steps(pool: asyncpg.Pool, blueprint: str) -> None:
    for rounds in (["c"], ["fc"], ["f", "c"], ["x"]):
        await play(await planned(pool, blueprint), *rounds)
    found = await read(pool, blueprint)
    assert found["first_try_rate"] == 0.3333
    assert (found["runs"], found["failures"], found["cancelled"]) == (4, 1, 1)
    assert found["p50"] is not None


async def test_without_a_time_only_the_last_30_days_count(
    pool: asyncpg.Pool, blueprint: str
) -> None:
    await play(await planned(pool, blueprint), "c")
    await play(await planned(pool, blueprint), "f")
    for table, column in {"steps": "completed_at", "attempts": "ended_at"}.items():
        await pool.execute(
            f"""UPDATE project_initialization_{table} t SET {column} = now() - interval '31 days'
                FROM projects p WHERE p.id = t.project_id AND p.blueprint = $1""",
            blueprint,
        )
    assert json.loads(await Analytics(pool).steps(blueprint, None)) == []
    long_ago = datetime.now(UTC) - timedelta(days=40)
    assert (await read(pool, blueprint, since=long_ago))["runs"] == 2


async def test_many_at_once_are_answered_by_one_query(
    pool: asyncpg.Pool, blueprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await play(await planned(pool, blueprint), "c")
    queries = []

    class Counting:
        async def fetchval(self, *given: Any) -> Any:
            queries.append(given)
            return await pool.fetchval(*given)

    analytics = Analytics(Counting())
    answers = await asyncio.gather(*(analytics.steps(blueprint, None) for _ in range(10)))
    assert len(set(answers)) == 1 and len(queries) == 1

    # Another question is another query, and so is the same one later.
    await analytics.steps(blueprint, None, ["nobody"])
    assert len(queries) == 2
    monkeypatch.setattr(statistics, "FRESH_SECONDS", 0.0)
    await analytics.steps(blueprint, None)
    assert len(queries) == 3


async def test_number_of_cached_answers_is_bounded(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MOST_CACHED", 3)
    analytics = Analytics(pool)
    for number in range(5):
        await analytics.steps(f"none-{number}", None)
    assert len(analytics._cached) == 3


async def test_skips_of_the_step_itself_have_no_duration(
    pool: asyncpg.Pool, blueprint: str
) -> None:
    await play(await planned(pool, blueprint), "c")
    alone = await read(pool, blueprint)
    await play(await planned(pool, blueprint), "s")
    both = await read(pool, blueprint)
    assert (both["runs"], both["skipped"]) == (2, 1)
    for name in ("average", "p50", "p95", "max"):
        assert both[name] == alone[name]


async def test_step_that_the_plan_skips_has_no_run(pool: asyncpg.Pool, blueprint: str) -> None:
    record = await planned(pool, blueprint)
    await record.workflow(1, StepChange("push", "skipped", metadata={"reason": "needs build"}))
    assert json.loads(await Analytics(pool).steps(blueprint, None)) == []
