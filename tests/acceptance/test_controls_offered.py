"""The controls in the snapshot, and the previews, agree with what the routes accept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import Client

from stepway_tracking.record.errors import step_error
from tests.acceptance.conftest import StartStepway
from tests.support.controls import until_closed, until_ended
from tests.support.record import Collected
from tests.support.servers import Json, Stepway, eventually, write_blueprint
from tests.support.tracked import STEP, Tracker

NOTHING: Json = {"project": [], "steps": {}}

EXPECTED: dict[str, Json] = {
    "running": {
        "project": ["retry", "cancel"],
        "steps": {"doomed": ["retry"], "spare": ["retry", "skip"]},
    },
    "waiting": {
        "project": ["retry", "cancel"],
        "steps": {"doomed": ["retry"], "spare": ["retry", "skip"]},
    },
    "failed": {
        "project": ["retry"],
        "steps": {"doomed": ["retry"], "spare": ["retry"], "held": ["retry"]},
    },
    "cancelled": {
        "project": ["retry"],
        "steps": {"doomed": ["retry"], "spare": ["retry"], "held": ["retry"]},
    },
    "untroubled": {"project": ["cancel"], "steps": {}},
    "active": NOTHING,
}
"""The controls that are offered in each state, written by hand."""


def steps_of(state: str) -> list[Json]:
    held = {"step": "held", "uses": "gate", "with": {"name": f"held-{state}"}, "needs": []}
    if state == "active":
        return [{"step": "done"}]
    if state == "untroubled":
        return [held, {"step": "behind", "needs": ["held"]}]
    return [
        {"step": "done", "needs": []},
        {"step": "left_out", "uses": "leave", "needs": []},
        {"step": "doomed", "uses": "broken", "needs": []},
        {"step": "spare", "uses": "broken", "optional": True, "needs": []},
        held,
        {"step": "behind", "needs": ["doomed"]},
    ]


async def bring_to(stepway: Stepway, blueprint: str, state: str) -> str:
    """Return a project in this state."""
    project = await stepway.create(blueprint)
    match state:
        case "active":
            await stepway.until(project, "active")
        case "untroubled":
            await stepway.until_step(project, "held", "running")
        case "failed":
            await until_ended(stepway, project, "failed")
        case _:
            for step in ("doomed", "spare"):
                await stepway.until_step(project, step, "failed")
            for step, status in {"done": "completed", "left_out": "skipped"}.items():
                await stepway.until_step(project, step, status)
    if state == "running":
        await stepway.until_step(project, "held", "running")
    if state == "waiting":
        await stepway.until(project, "failed")
    if state == "cancelled":
        await stepway.control(project, "cancel")
        await until_ended(stepway, project, "cancelled")
    return project


def all_controls(steps: list[Json]) -> list[tuple[str, str]]:
    """Return all controls: the step ("" for the project) and the control."""
    of_steps = [(step["step"], control) for step in steps for control in ("retry", "skip")]
    return [("", "retry"), ("", "cancel"), *of_steps]


def offered(controls: Json) -> set[tuple[str, str]]:
    of_steps = {(step, one) for step, each in controls["steps"].items() for one in each}
    return {("", one) for one in controls["project"]} | of_steps


def path_of(step: str, control: str) -> str:
    return f"steps/{step}/{control}" if step else control


async def use(stepway: Stepway, project: str, step: str, control: str) -> int:
    body = {"reason": "because"} if control == "skip" else {}
    return (await stepway.control(project, path_of(step, control), body)).status_code


async def previewed(stepway: Stepway, project: str, step: str, control: str) -> int:
    path = f"/api/projects/{project}/initialization/{path_of(step, control)}"
    return (await stepway.http.get(path)).status_code


@pytest.mark.parametrize("state", EXPECTED)
async def test_offered_is_what_the_routes_accept(
    start_stepway: StartStepway, temporal: Client, folder: Path, state: str
) -> None:
    steps = steps_of(state)
    limit = {"time_limit": 3.0} if state == "failed" else {}
    blueprint = write_blueprint(folder, steps, **limit)
    async with start_stepway() as stepway:
        if state == "waiting":
            stepway.open_gate("held-waiting")
        number = len(offered(EXPECTED[state])) or 1
        projects = await asyncio.gather(
            *(bring_to(stepway, blueprint, state) for _ in range(number))
        )
        if state in ("failed", "cancelled", "active"):
            await asyncio.gather(*(until_closed(temporal, project) for project in projects))
        for project in projects:
            assert (await stepway.initialization(project))["controls"] == EXPECTED[state]

        refused = [one for one in all_controls(steps) if one not in offered(EXPECTED[state])]
        for step, control in refused:
            assert await use(stepway, projects[0], step, control) == 409, (step, control)
        for step, control in all_controls(steps):
            if control != "skip":
                accepted = (step, control) in offered(EXPECTED[state])
                code = await previewed(stepway, projects[0], step, control)
                assert code == (200 if accepted else 409), (step, control)
        for project, (step, control) in zip(projects, offered(EXPECTED[state]), strict=False):
            assert await use(stepway, project, step, control) == 202, (step, control)
        stepway.open_gate(f"held-{state}")


async def test_while_it_is_being_cancelled_nothing_is_offered(
    start_stepway: StartStepway, folder: Path
) -> None:
    deaf = {"uses": "deaf_coroutine", "with": {"seconds": 8}, "needs": []}
    steps = [*steps_of("running"), {"step": "deaf", **deaf}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await bring_to(stepway, blueprint, "running")
        await stepway.until_step(project, "deaf", "running")
        answer = await stepway.control(project, "cancel")
        assert answer.status_code == 202
        assert answer.json()["controls"] == NOTHING
        assert (await stepway.initialization(project))["controls"] == NOTHING
        for step, control in all_controls(steps):
            if control != "skip":
                assert await previewed(stepway, project, step, control) == 409
            assert await use(stepway, project, step, control) == 409
        cancelled = await until_ended(stepway, project, "cancelled")
        # The next run is not being cancelled.
        assert cancelled["controls"]["project"] == ["retry"]
        again = (await stepway.control(project, "retry")).json()
        assert again["controls"]["project"]


async def test_answer_to_a_start_has_the_controls(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        body = {"name": "offered-at-the-start", "blueprint": blueprint}
        answer = await stepway.http.post("/api/projects", json=body)
        assert answer.json()["controls"] == {"project": ["cancel"], "steps": {}}
        stepway.open_gate("held")


@activity.defn(name=STEP)
async def fail_at_once() -> None:
    """Fail."""
    raise step_error("No.", retry=False)


@activity.defn(name=STEP)
async def wait_long() -> None:
    """Run until cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("fails", [True, False])
async def test_workflow_of_a_plugin_user_offers_nothing_and_refuses_truly(
    start_stepway: StartStepway, temporal: Client, pool: asyncpg.Pool, folder: Path, fails: bool
) -> None:
    write_blueprint(folder, [{"step": "unused"}])
    tracker = Tracker(temporal, pool, Collected())
    async with start_stepway() as stepway, tracker.worker(fail_at_once if fails else wait_long):
        handle, record = await tracker.start(attempts=1)
        project = record.project_id

        async def begun() -> bool:
            answer = await stepway.http.get(f"/api/projects/{project}/initialization")
            if answer.status_code == 404:
                return False
            found: Json = answer.json()["steps"][0]
            return bool(found["status"] == ("failed" if fails else "running"))

        await eventually(begun)
        assert (await stepway.initialization(project))["controls"] == NOTHING
        base = f"/api/projects/{project}/initialization"
        for path in ("retry", "cancel", f"steps/{STEP}/retry", f"steps/{STEP}/skip"):
            body = {"reason": "because"} if path.endswith("skip") else {}
            answers = [await stepway.control(project, path, body)]
            if not path.endswith("skip"):
                answers.append(await stepway.http.get(f"{base}/{path}"))
            for answer in answers:
                assert answer.status_code == 409, (path, answer.text)
                detail = answer.json()["detail"]
                assert "workflow is not Stepway's own" in detail
                assert "outside" not in detail
        estimate = await stepway.http.get(f"{base}/estimate")
        assert estimate.status_code == 200
        # Other tests record runs of the same blueprint's step.
        assert set(estimate.json()) == {"p50_ms", "p95_ms", "samples"}
        await handle.cancel()
