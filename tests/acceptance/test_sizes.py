"""Any size works."""

from __future__ import annotations

from pathlib import Path

from temporalio.client import Client

from tests.acceptance.conftest import StartStepway
from tests.support.controls import until_closed, until_ended
from tests.support.servers import Json, write_blueprint

MAKES: Json = {"step": "make", "uses": "large", "with": {"times": 1_000_000}}
ADVICE = "Temporal takes at most 2 MB. Pass addresses of large data instead of the data."


async def test_titles_may_have_a_thousand_characters(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        {"step": "first", "display_name": {"en": "t" * 1000, "zh": "题" * 1000}},
        {"step": "second", "display_name": "题" * 1000},
    ]
    blueprint = write_blueprint(folder, steps, title="T" * 1000)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")
        assert [step["display_name"] for step in done["steps"]] == ["t" * 1000, "题" * 1000]


async def test_five_steps_that_take_a_megabyte_each_run_in_parallel(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    takers = [
        {"step": f"take_{n}", "needs": ["make"], "with": {"value": "${{ steps.make.result }}"}}
        for n in range(5)
    ]
    blueprint = write_blueprint(folder, [MAKES, *takers])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        assert [stepway.runs(f"take_{n}") for n in range(5)] == [1] * 5
        await until_closed(temporal, project)


async def test_step_that_takes_more_than_temporal_does_fails_and_the_project_can_be_cancelled(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    makers = [{**MAKES, "step": f"make_{n}", "needs": []} for n in range(3)]
    names = [str(maker["step"]) for maker in makers]
    value = [f"${{{{ steps.{name}.result }}}}" for name in names]
    join = {"step": "join", "needs": names, "with": {"value": value}}
    undo = {"uses": "undo", "with": {"value": "y" * 500_000}}
    most = {**MAKES, "step": "most", "needs": [], "with": {"times": 1_600_000}, "undo": undo}
    blueprint = write_blueprint(folder, [*makers, most, join])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        failed = (await stepway.steps(project))["join"]
        assert failed["error"] == f"The arguments of the step have 3.1 MB; {ADVICE}"
        assert stepway.runs("join") == 0
        assert (await stepway.attempts(project, "join")) == []
        answer = await stepway.control(project, "cancel", {"undo": True})
        assert answer.status_code == 202, answer.text
        ended = await until_ended(stepway, project, "cancelled")
        reason = f"The arguments of the rollback have 2.2 MB; {ADVICE}"
        assert reason in ended["project"]["initialization_error"]
        await until_closed(temporal, project)
