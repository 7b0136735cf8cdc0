"""A step that takes longer than usual is marked as slow and does not fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepway_tracking.queries import statistics
from stepway_tracking.record import facts
from tests.acceptance.conftest import StartStepway
from tests.support.controls import actions
from tests.support.servers import Json, eventually, write_blueprint


async def test_step_past_its_usual_p95_is_marked_slow_and_still_completes(
    start_stepway: StartStepway, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "FEWEST_FOR_SLOW", 1)
    monkeypatch.setattr(statistics, "FRESH_SECONDS", 0.0)
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        stepway.open_gate("held")
        await stepway.until(await stepway.create(blueprint), "active")

        (folder / "held.open").unlink()
        project = await stepway.create(blueprint)

        async def slow() -> Json | None:
            row = (await stepway.steps(project))["held"]
            return row if row["metadata"].get("slow") else None

        row = await eventually(slow)
        assert row["status"] == "running"
        stepway.open_gate("held")
        done = await stepway.until(project, "active")
        assert done["steps"][0]["status"] == "completed"
        assert actions(await stepway.history(project), step="held") == [
            "started",
            "slow",
            "completed",
        ]


async def test_nothing_is_slow_before_enough_runs_are_known(
    start_stepway: StartStepway, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "FRESH_SECONDS", 0.0)
    blueprint = write_blueprint(folder, [{"step": "quick", "uses": "noop"}])
    async with start_stepway() as stepway:
        await stepway.until(await stepway.create(blueprint), "active")
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        assert actions(await stepway.history(project), step="quick") == ["started", "completed"]
