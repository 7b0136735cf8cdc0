"""Steps in queues of their own, and steps that only wait."""

from __future__ import annotations

from pathlib import Path

from stepway.runtime.settings import Settings
from stepway.worker import running_worker
from tests.acceptance.conftest import StartStepway
from tests.support.servers import Stepway, write_blueprint


async def test_steps_of_a_queue_run_only_on_its_workers(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        {"step": "near", "queue": "east", "needs": [], "undo": {"uses": "undo"}},
        {"step": "anywhere", "needs": []},
        {"step": "last", "uses": "broken", "needs": ["near", "anywhere"]},
    ]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "anywhere", "completed")
        assert (await stepway.steps(project))["near"]["status"] == "pending"
        async with running_worker(of_queues(stepway, "east")):
            await stepway.until_step(project, "near", "completed")
            await stepway.until_step(project, "last", "failed")
        # The rollback of a step needs a worker of the step's queue too.
        assert (await stepway.control(project, "cancel", {"undo": True})).status_code == 202
        async with running_worker(of_queues(stepway, "west", "east")):
            await stepway.until(project, "cancelled")
        assert (await stepway.steps(project))["near"]["undone_at"]


async def test_a_worker_of_queues_runs_no_other_steps_and_no_initializations(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "plain"}])
    async with start_stepway(worker=False) as stepway:
        async with running_worker(of_queues(stepway, "east")):
            body = {"name": "of-queues", "blueprint": blueprint}
            answer = await stepway.http.post("/api/projects", json=body)
            assert answer.status_code == 503, answer.text
        async with running_worker(of_queues(stepway, "east", "default")):
            await stepway.until(await stepway.create(blueprint), "active")


async def test_steps_that_only_wait_take_no_place_of_working_steps(
    start_stepway: StartStepway, folder: Path
) -> None:
    names = ("one", "two", "three")
    waits = [{"step": name, "uses": "wait_for_gate", "needs": []} for name in names]
    blueprint = write_blueprint(folder, [*waits, {"step": "working", "needs": []}])
    async with start_stepway(worker=False) as stepway:
        one_place = stepway.settings.model_copy(update={"steps_at_once": 1})
        async with running_worker(one_place):
            project = await stepway.create(blueprint)
            for name in names:
                await stepway.until_step(project, name, "running")
            await stepway.until_step(project, "working", "completed")
            for name in names:
                stepway.open_gate(name)
            await stepway.until(project, "active")


def of_queues(stepway: Stepway, *queues: str) -> Settings:
    """The settings of a worker that runs the steps of these queues."""
    return stepway.settings.model_copy(update={"step_queues": list(queues)})
