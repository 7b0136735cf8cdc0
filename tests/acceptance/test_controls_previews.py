"""The previews of a cancel with rollback and of a retry of all name the same steps as the control
then changes.
"""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import StartStepway
from tests.support.controls import until_ended
from tests.support.servers import Json, Stepway, write_blueprint

UNDO: Json = {"undo": {"uses": "undo"}}


async def preview(stepway: Stepway, project: str, path: str) -> Json:
    answer = await stepway.http.get(f"/api/projects/{project}/initialization/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def test_cancel_names_what_has_a_rollback_and_the_outcome_has_the_numbers(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "plain"},
            {"step": "made", **UNDO},
            {"step": "also_plain"},
            {"step": "nothing_to_do", "uses": "leave", **UNDO},
            {"step": "doomed", "uses": "broken", **UNDO},
            {"step": "never", **UNDO},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        before = await stepway.history(project)
        assert await preview(stepway, project, "cancel") == {
            "rolls_back": ["made"],
            "keeps": ["plain", "also_plain", "doomed"],
        }
        assert await stepway.history(project) == before

        await stepway.control(project, "cancel", {"undo": True})
        cancelled = (await until_ended(stepway, project, "cancelled"))["project"]
        assert cancelled["rollback"] == {
            "steps": 3,
            "rolled_back": 1,
            "failed": 0,
            "without": 2,
        }
        first, *rest = cancelled["initialization_error"].splitlines()
        assert first == "1 of 3 steps rolled back, 2 have no rollback."
        assert rest == [
            "Doomed had failed and was not rolled back: what it had made by then may still exist."
        ]
        assert (folder / "undone").read_text().split() == ["made"]

        # A retry starts over: there is no rollback to speak of.
        again = (await stepway.control(project, "retry")).json()["project"]
        assert again["rollback"] is None


async def test_whole_rollback_is_no_error(start_stepway: StartStepway, folder: Path) -> None:
    held = {"step": "held", "uses": "gate"}
    blueprint = write_blueprint(folder, [{"step": "a", **UNDO}, {"step": "b", **UNDO}, held])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        shown = await preview(stepway, project, "cancel")
        assert shown == {"rolls_back": ["b", "a"], "keeps": ["held"]}
        await stepway.control(project, "cancel", {"undo": True})
        cancelled = (await until_ended(stepway, project, "cancelled"))["project"]
        assert cancelled["initialization_error"] is None
        assert cancelled["rollback"]["rolled_back"] == cancelled["rollback"]["steps"] == 2
        assert (folder / "undone").read_text().split() == shown["rolls_back"]


async def test_cancel_without_a_rollback_has_no_outcome_of_one(
    start_stepway: StartStepway, folder: Path
) -> None:
    held = {"step": "held", "uses": "gate"}
    blueprint = write_blueprint(folder, [{"step": "a", **UNDO}, held])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        await stepway.control(project, "cancel")
        cancelled = (await until_ended(stepway, project, "cancelled"))["project"]
        assert cancelled["rollback"] is None


async def test_order_of_a_rollback_is_kept_over_a_retry_after_the_end(
    start_stepway: StartStepway, folder: Path
) -> None:
    """`early` comes first in the plan, and completed last."""
    blueprint = write_blueprint(
        folder,
        [
            {"step": "early", "uses": "gate", "needs": [], **UNDO},
            {"step": "late", "needs": [], **UNDO},
            {"step": "held", "uses": "fixable", "needs": ["early", "late"]},
        ],
        time_limit=4.0,
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "late", "completed")
        stepway.open_gate("early")
        await until_ended(stepway, project, "failed")
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "failed")
        shown = await preview(stepway, project, "cancel")
        assert shown["rolls_back"] == ["early", "late"]
        await stepway.control(project, "cancel", {"undo": True})
        await until_ended(stepway, project, "cancelled")
        assert (folder / "undone").read_text().split() == ["early", "late"]


async def test_retry_of_all_runs_what_its_preview_names(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "done", "needs": []},
            {"step": "one", "uses": "fixable", "needs": []},
            {"step": "two", "uses": "fixable", "needs": [], "optional": True},
            {"step": "behind", "needs": ["one", "two"]},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        shown = await preview(stepway, project, "retry")
        assert (shown["runs"], shown["keeps"]) == (["one", "two", "behind"], ["done"])

        (folder / "one.fixed").touch()
        (folder / "two.fixed").touch()
        before = {step: stepway.runs(step) for step in ("done", "one", "two", "behind")}
        await stepway.control(project, "retry")
        await stepway.until(project, "active")
        ran = [step for step, runs in before.items() if stepway.runs(step) > runs]
        assert ran == shown["runs"]


async def test_retry_of_all_after_a_cancel_names_what_was_rolled_back(
    start_stepway: StartStepway, folder: Path
) -> None:
    held = {"step": "held", "uses": "gate"}
    blueprint = write_blueprint(folder, [{"step": "plain"}, {"step": "made", **UNDO}, held])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        await stepway.control(project, "cancel", {"undo": True})
        await until_ended(stepway, project, "cancelled")
        shown = await preview(stepway, project, "retry")
        assert (shown["runs"], shown["keeps"]) == (["made", "held"], ["plain"])


async def test_preview_of_a_step_names_the_parameters_that_may_be_changed(
    start_stepway: StartStepway, folder: Path
) -> None:
    given = {"value": "${{ parameters.image }} in ${{ parameters.region }}"}
    names = ("image", "region", "size")
    blueprint = write_blueprint(
        folder,
        [{"step": "deploy", "uses": "fixable", "with": given}],
        parameters={"properties": {name: {"type": "string"} for name in names}},
        editable=["region", "size"],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint, image="shop", region="eu")
        await stepway.until(project, "failed")
        shown = await preview(stepway, project, "steps/deploy/retry")
        assert shown["parameters"] == ["region"]
