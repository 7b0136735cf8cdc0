"""Very many steps at once, with the longest names, on Temporal itself."""

from __future__ import annotations

import json
from pathlib import Path

from temporalio.client import Client

from stepway_tracking.workflow.search_attributes import STEPS
from tests.acceptance.conftest import StartStepway
from tests.support.controls import statuses, until_closed, until_ended, workflow_of
from tests.support.servers import Json, Stepway, eventually, write_blueprint

LONGEST_NAME = 63

FAILING = 40
"""Steps that fail with errors of megabytes."""

LARGEST_HISTORY = 50 * 1024 * 1024
"""Bytes of a history at which Temporal terminates the workflow."""

LARGEST_SNAPSHOT = 25_000_000
"""Characters of the snapshot of 300 steps that have failed with errors of megabytes."""


def side_by_side(number: int, **more: object) -> list[Json]:
    """So many steps that wait for nothing, with names as long as they may be."""
    names = [f"step_{n}_".ljust(LONGEST_NAME, "x") for n in range(number)]
    return [{"step": name, "needs": [], **more} for name in names]


async def indexed_steps(client: Client, project: str) -> list[str]:
    """The search attributes with which operators find the initialization."""
    found = await workflow_of(client, project).describe()
    return list(found.typed_search_attributes.get(STEPS) or [])


async def until_status(stepway: Stepway, project: str, status: str) -> None:
    """Wait for the project's status; so many steps take their time."""

    async def reached() -> bool:
        found = await stepway.http.get(f"/api/projects/{project}")
        return bool(found.json()["status"] == status)

    await eventually(reached, patience=240)


async def test_two_hundred_steps_that_run_for_long_are_indexed_within_temporals_limit(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    steps = side_by_side(200, uses="gate", **{"with": {"name": "all"}})
    name = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(name)

        async def indexed() -> list[str]:
            return await indexed_steps(temporal, project)

        shown = await eventually(indexed)
        assert len(json.dumps(shown).encode()) <= 1500
        assert shown[0] == steps[0]["step"]
        assert shown[-1] == f"+{200 - len(shown) + 1} more"
        stepway.open_gate("all")
        await stepway.until(project, "active")
        await until_closed(temporal, project)
        assert await indexed_steps(temporal, project) == []


async def test_two_hundred_steps_that_fail_at_once_wait_for_a_person(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    name = write_blueprint(folder, side_by_side(200, uses="broken"))
    async with start_stepway() as stepway:
        project = await stepway.create(name)
        await until_status(stepway, project, "failed")
        shown = await indexed_steps(temporal, project)
        assert len(json.dumps(shown).encode()) <= 1500
        assert shown[-1].endswith(" more")
        await stepway.control(project, "cancel")
        await until_ended(stepway, project, "cancelled")


async def test_the_history_has_room_for_the_errors_of_three_hundred_steps(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    steps = side_by_side(FAILING, uses="verbose", retry={"maximum_attempts": 1})
    name = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(name)
        await until_status(stepway, project, "failed")
        found = await stepway.initialization(project)
        assert set(statuses(found).values()) == {"failed"}
        assert len(json.dumps(found)) / FAILING < LARGEST_SNAPSHOT / 300
        described = await workflow_of(temporal, project).describe()
        size = described.raw_description.workflow_execution_info.history_size_bytes
        assert 0 < size / FAILING < LARGEST_HISTORY / 2 / 300
        (folder / "verbose.fixed").touch()
        assert (await stepway.control(project, "retry")).status_code == 202
        await until_status(stepway, project, "active")


async def test_five_hundred_steps_at_once_complete(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    name = write_blueprint(folder, side_by_side(500, uses="noop"))
    async with start_stepway() as stepway:
        project = await stepway.create(name)
        await until_status(stepway, project, "active")
        found = await stepway.initialization(project)
        assert set(statuses(found).values()) == {"completed"}
