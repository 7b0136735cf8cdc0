"""Initializations, from the API through Temporal to the rows and the stream."""

from __future__ import annotations

import asyncio
import subprocess
from functools import partial
from pathlib import Path
from uuid import uuid4

import asyncpg

from stepway.worker import running_worker
from tests.acceptance.conftest import StartStepway
from tests.support.servers import eventually, write_blueprint

run = partial(subprocess.run, check=True)


async def test_a_web_service_comes_into_being(start_stepway: StartStepway, tmp_path: Path) -> None:
    async with start_stepway() as stepway:
        project = await stepway.create()
        done = await stepway.until(project, "active")

        assert done["progress"] == 100
        assert [step["status"] for step in done["steps"]] == ["completed"] * 10
        url = next(s for s in done["steps"] if s["step"] == "push_template")["metadata"]["url"]
        clone = tmp_path / "clone"
        await asyncio.to_thread(run, ["git", "clone", "-q", url, str(clone)])
        await asyncio.to_thread(run, ["python3", "-m", "unittest", "-q"], cwd=clone)


async def test_rows_events_and_attempts_agree(
    start_stepway: StartStepway, pool: asyncpg.Pool
) -> None:
    async with start_stepway() as stepway:
        project = await stepway.create()
        done = await stepway.until(project, "active")

        versions = await pool.fetch(
            "SELECT version FROM project_initialization_events WHERE project_id = $1 ORDER BY 1",
            project,
        )
        assert [row[0] for row in versions] == list(range(1, done["version"] + 1))
        for step in done["steps"]:
            attempts = await stepway.attempts(project, step["step"])
            if step["parent_step"]:
                assert attempts == []
                continue
            assert [a["outcome"] for a in attempts] == ["completed"]
            assert step["attempt"] == attempts[0]["attempt"] == 1


async def test_stream_holds_every_version_and_folds_to_the_snapshot(
    start_stepway: StartStepway,
) -> None:
    async with start_stepway() as stepway:
        project = await stepway.create()
        events = await stepway.watch(project)
        done = await stepway.initialization(project)

        assert events[0]["event"] == "snapshot"
        ids = [event["id"] for event in events]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert events[-1] == {
            "id": done["version"],
            "event": "end",
            "data": {"version": done["version"], "status": "active"},
        }
        steps = {step["step"]: step for step in events[0]["data"]["steps"]}
        for event in events:
            if event["event"] == "step":
                change = event["data"]["step"]
                steps[change["step"]] = {**steps.get(change["step"], {}), **change}
        for step in done["steps"]:
            del step["temporal_url"]  # The stream does not repeat what never changes.
        assert steps == {step["step"]: step for step in done["steps"]}


async def test_progress_of_the_whole_never_goes_down(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:
        project = await stepway.create()
        events = await stepway.watch(project, after=0)

        progress = [e["data"]["progress"] for e in events if e["event"] != "end"]
        assert progress == sorted(progress)
        assert progress[-1] == 100


async def test_step_that_fails_twice_and_then_works_shows_attempt_three(
    start_stepway: StartStepway, folder: Path
) -> None:
    retry = {"maximum_attempts": 5, "initial_interval": 0.1}
    steps = [{"step": "shaky", "uses": "flaky", "with": {"times": 2}, "retry": retry}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")

        [step] = done["steps"]
        assert (step["status"], step["attempt"], step["error"]) == ("completed", 3, None)
        attempts = await stepway.attempts(project, "shaky")
        assert [a["outcome"] for a in attempts] == ["failed", "failed", "completed"]
        assert attempts[1]["error"] == "RuntimeError: no luck in run 2"
        assert "no luck in run 1" in attempts[0]["error_stack"]
        assert stepway.runs("shaky") == 3


async def test_step_that_fails_for_good_lets_independent_ones_finish_and_waits(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "doomed", "uses": "broken"},
            {"step": "apart", "with": {"seconds": 0.3}, "needs": []},
            {"step": "behind", "needs": ["doomed"]},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await stepway.until(project, "failed")

        steps = {step["step"]: step for step in failed["steps"]}
        assert steps["doomed"]["error"] == "The host refused the key."
        assert steps["doomed"]["metadata"]["remedy"] == "Add the key to the host."
        assert "ApplicationError" in steps["doomed"]["error_stack"]
        assert steps["doomed"]["duration"] >= 0
        assert steps["apart"]["status"] == "completed"
        assert steps["behind"]["status"] == "pending"
        assert failed["project"]["initialization_completed_at"] is None
        assert "The host refused the key." in failed["project"]["initialization_error"]
        assert stepway.runs("doomed") == 1


async def test_soft_skip_shows_its_reason_and_skips_what_needs_it(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "empty", "uses": "leave"},
            {"step": "needy", "needs": ["empty"]},
            {"step": "easy", "after": ["empty"]},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")

        steps = {step["step"]: step for step in done["steps"]}
        assert steps["empty"]["status"] == "skipped"
        assert steps["empty"]["metadata"]["reason"] == "there was nothing to do"
        assert steps["needy"]["status"] == "skipped"
        assert "empty" in steps["needy"]["metadata"]["reason"]
        assert steps["easy"]["status"] == "completed"
        assert done["progress"] == 100


async def test_progress_of_a_thread_reaches_the_rows_of_its_parts(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "talk", "uses": "say"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")

        rows = [(s["step"], s["parent_step"], s["status"], s["weight"]) for s in done["steps"]]
        assert rows == [
            ("talk", None, "completed", 1),
            ("talk.first", "talk", "completed", 0),
            ("talk.second", "talk", "completed", 0),
        ]


async def test_steps_that_wait_for_nothing_of_each_other_run_at_the_same_time(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "left", "uses": "gate", "needs": []},
            {"step": "right", "uses": "gate", "needs": []},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "left", "running")
        await stepway.until_step(project, "right", "running")
        stepway.open_gate("left")
        stepway.open_gate("right")
        await stepway.until(project, "active")


async def test_time_limit_of_an_attempt_is_recorded_though_no_interceptor_saw_it(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {
                "step": "stuck",
                "uses": "silent",
                "with": {"seconds": 30, "times": 9},
                "timeout": 1,
                "retry": {"maximum_attempts": 2, "initial_interval": 0.1},
            }
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await stepway.until(project, "failed")

        [step] = failed["steps"]
        assert step["error"] == "The step exceeded its time limit of 1 s."
        assert "raise its `timeout` in the blueprint" in step["metadata"]["remedy"]
        assert step["duration"] >= 2000
        outcomes = [a["outcome"] for a in await stepway.attempts(project, "stuck")]
        assert outcomes[1] == "timed_out"
        assert outcomes[0] in ("lost", "timed_out")


async def test_the_same_key_and_body_find_the_same_project(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:
        headers = {"Idempotency-Key": uuid4().hex}
        body = {"name": f"p-{uuid4().hex[:12]}"}
        first = await stepway.http.post("/api/projects", json=body, headers=headers)
        again = await stepway.http.post("/api/projects", json=body, headers=headers)
        other = await stepway.http.post("/api/projects", json={"name": "another"}, headers=headers)

        assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
        assert first.json()["project"]["id"] == again.json()["project"]["id"]
        assert first.headers["location"] == f"/api/projects/{first.json()['project']['id']}"


async def test_a_name_in_use_is_409_and_starts_nothing(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:
        body = {"name": f"p-{uuid4().hex[:12]}"}
        assert (await stepway.http.post("/api/projects", json=body)).status_code == 201
        refused = await stepway.http.post("/api/projects", json=body)

        assert refused.status_code == 409
        assert body["name"] in refused.json()["detail"]


async def test_bad_input_is_422_and_names_what_is_wrong(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:
        bad = [
            ({"name": "shop", "parameters": {"port": "x"}}, "/parameters/port"),
            ({"name": "shop", "parameters": {"prot": 1}}, "/parameters/prot"),
            ({"name": "shop", "blueprint": "webservice"}, "/blueprint"),
            ({"name": "../shop"}, "/name"),
            ({"nam": "shop"}, "/name"),
        ]
        for body, pointer in bad:
            answer = await stepway.http.post("/api/projects", json=body)
            assert answer.status_code == 422, body
            assert answer.headers["content-type"] == "application/problem+json"
            assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text
        detail = (await stepway.http.post("/api/projects", json={"name": "My Shop"})).json()[
            "detail"
        ]
        assert "3–40 lowercase letters, digits or hyphens" in detail


async def test_without_a_worker_a_start_is_503_and_creates_nothing_later(
    start_stepway: StartStepway, pool: asyncpg.Pool, folder: Path
) -> None:
    async with start_stepway(worker=False) as stepway:
        headers = {"Idempotency-Key": uuid4().hex}
        body = {"name": f"p-{uuid4().hex[:12]}"}
        late = await stepway.http.post("/api/projects", json=body, headers=headers)
        assert late.status_code == 503
        assert late.headers["retry-after"]

        async with running_worker(stepway.settings):
            probe = await stepway.create()
            await stepway.until(probe, "active")
            count = await pool.fetchval(
                "SELECT count(*) FROM projects WHERE name = $1", body["name"]
            )
            assert count == 0
            again = await stepway.http.post("/api/projects", json=body, headers=headers)
            assert again.status_code == 201, again.text


async def test_a_worker_that_stops_in_the_middle_is_followed_by_another(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder, [{"step": "first"}, {"step": "held", "uses": "gate"}, {"step": "last"}]
    )
    async with start_stepway(worker=False) as stepway:
        async with running_worker(stepway.settings):
            project = await stepway.create(blueprint)
            await stepway.until_step(project, "held", "running")
        stepway.open_gate("held")
        async with running_worker(stepway.settings):
            await stepway.until(project, "active")
        assert stepway.runs("first") == 1


async def test_unknown_project_is_404_before_any_stream(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:

        async def answered() -> int:
            path = f"/api/projects/{uuid4()}/initialization/events"
            return (await stepway.http.get(path)).status_code

        assert await eventually(answered) == 404
