"""create_environments, create_db_records, their undo, and finalize, on a real Postgres."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from temporalio.exceptions import ApplicationError

from stepway.activities.database.create_db_records import CreateDbRecordsInput, DeleteDbRecordsInput
from stepway.activities.database.create_environments import (
    DEFAULT_ENVIRONMENTS,
    CreateEnvironmentsInput,
    DeleteEnvironmentsInput,
    EnvironmentSpec,
)
from stepway.activities.database.finalize import FinalizeInput
from stepway.activities.models import Environment, Repository
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushTemplateInput
from stepway_tracking.record.progress import Skipped

MADE = {
    "environments": [
        {"name": spec.name, "approvals": spec.approvals} for spec in DEFAULT_ENVIRONMENTS
    ]
}


async def rows_of(engine, project, table):
    async with engine.connect() as connection:
        query = select(table.__table__).where(table.project_id == UUID(project.id))
        return (await connection.execute(query.order_by(table.name))).all()


async def execute(engine, statement):
    async with engine.begin() as connection:
        await connection.execute(statement)


async def test_the_usual_environments_need_0_1_and_2_approvals(worker, engine, project):
    made = await worker.run("create_environments", CreateEnvironmentsInput(project))
    assert made.environments == list(DEFAULT_ENVIRONMENTS)
    rows = await rows_of(engine, project, Environment)
    assert {row.name: row.approvals for row in rows} == {
        "development": 0,
        "staging": 1,
        "production": 2,
    }


async def test_repeated_environments_keep_their_ids_and_take_new_approvals(worker, engine, project):
    await worker.run("create_environments", CreateEnvironmentsInput(project, ["test"]))
    before = await rows_of(engine, project, Environment)
    again = CreateEnvironmentsInput(project, [EnvironmentSpec("test", 3)])
    await worker.run("create_environments", again)
    after = await rows_of(engine, project, Environment)
    assert [row.id for row in after] == [row.id for row in before]
    assert [row.approvals for row in after] == [3]


async def test_no_environments_is_a_skip_with_its_reason(worker, project):
    made = await worker.run("create_environments", CreateEnvironmentsInput(project, []))
    assert isinstance(made, Skipped)


@pytest.mark.parametrize(
    "environments",
    [["Test"], [""], ["a/b"], ["same", "same"], [EnvironmentSpec("test", -1)], ["x" * 41]],
)
async def test_environments_that_are_not_valid_are_refused(
    worker, engine, project, refusal, environments
):
    with pytest.raises(ApplicationError) as caught:
        await worker.run("create_environments", CreateEnvironmentsInput(project, environments))
    assert "Invalid environments" in refusal(caught.value)
    assert await rows_of(engine, project, Environment) == []


async def test_undo_drops_the_environments_and_can_be_repeated(worker, engine, project):
    await worker.run("create_environments", CreateEnvironmentsInput(project))
    undo = DeleteEnvironmentsInput(project, result=MADE)
    undone = await worker.run("delete_environments", undo)
    assert undone.removed == ["development", "production", "staging"]
    assert await rows_of(engine, project, Environment) == []
    assert (await worker.run("delete_environments", undo)).removed == []


async def test_undo_leaves_environments_that_a_person_changed(worker, engine, project, refusal):
    await worker.run("create_environments", CreateEnvironmentsInput(project))
    ours = Environment.project_id == UUID(project.id)
    changed = update(Environment).where(ours, Environment.name == "staging").values(approvals=5)
    await execute(engine, changed)
    with pytest.raises(ApplicationError) as caught:
        await worker.run("delete_environments", DeleteEnvironmentsInput(project, result=MADE))
    assert "staging was kept" in refusal(caught.value)
    assert len(await rows_of(engine, project, Environment)) == 3


async def test_the_repository_has_one_row_however_often_the_step_runs(worker, engine, project):
    given = CreateDbRecordsInput(project, "shop", "/srv/shop.git", "main", "a" * 40, "web-service")
    first = await worker.run("create_db_records", given)
    assert await worker.run("create_db_records", given) == first
    (row,) = await rows_of(engine, project, Repository)
    assert (str(row.id), row.url, row.commit) == (first.repository_id, first.url, "a" * 40)
    assert (row.default_branch, row.template) == ("main", "web-service")


async def test_undo_deletes_the_record_and_can_be_repeated(worker, engine, project):
    given = CreateDbRecordsInput(project, "shop", "/srv/shop.git")
    made = await worker.run("create_db_records", given)
    undo = DeleteDbRecordsInput(project, "shop", "/srv/shop.git", result=vars(made))
    assert (await worker.run("delete_db_records", undo)).removed == ["shop"]
    assert await rows_of(engine, project, Repository) == []
    assert (await worker.run("delete_db_records", undo)).removed == []


async def test_undo_leaves_a_record_that_a_person_changed(worker, engine, project, refusal):
    given = CreateDbRecordsInput(project, "shop", "/srv/shop.git")
    made = await worker.run("create_db_records", given)
    ours = Repository.project_id == UUID(project.id)
    await execute(engine, update(Repository).where(ours).values(url="/elsewhere.git"))
    undo = DeleteDbRecordsInput(project, "shop", "/srv/shop.git", result=vars(made))
    with pytest.raises(ApplicationError) as caught:
        await worker.run("delete_db_records", undo)
    assert "was changed in the meantime" in refusal(caught.value)


@pytest.fixture
async def finished(worker, project) -> FinalizeInput:
    """The input of finalize after all steps have completed."""
    repository = await worker.run("create_repository", CreateRepositoryInput(project))
    pushed = await worker.run("push_template", PushTemplateInput(project, "web-service"))
    commit = pushed.commit
    await worker.run("create_environments", CreateEnvironmentsInput(project))
    record = CreateDbRecordsInput(project, repository.name, repository.url, commit=commit)
    await worker.run("create_db_records", record)
    return FinalizeInput(project, repository.name, commit, list(DEFAULT_ENVIRONMENTS))


async def test_finalize_verifies_what_is_there(worker, finished):
    verified = (await worker.run("finalize", finished)).verified
    assert len(verified) == 4


async def test_finalize_accepts_a_persons_commit_on_top(worker, finished, git, tmp_path):
    path = worker.data_dir / "repositories" / "local" / f"{finished.repository}.git"
    git("clone", path, tmp_path / "clone")
    git("commit", "--allow-empty", "-m", "Mine", cwd=tmp_path / "clone")
    git("push", "origin", "main", cwd=tmp_path / "clone")
    await worker.run("finalize", finished)


async def test_finalize_names_everything_that_does_not_agree(
    worker, engine, finished, git, refusal
):
    project = finished.project
    path = worker.data_dir / "repositories" / "local" / f"{finished.repository}.git"
    git("update-ref", "-d", "refs/heads/main", cwd=path)
    await execute(engine, delete(Repository).where(Repository.project_id == UUID(project.id)))
    ours = Environment.project_id == UUID(project.id)
    await execute(engine, delete(Environment).where(ours, Environment.name == "production"))
    with pytest.raises(ApplicationError) as caught:
        await worker.run("finalize", finished)
    text = refusal(caught.value)
    assert f"does not contain commit {finished.commit}" in text
    assert "has no record" in text
    assert "the environment production" in text


async def test_finalize_says_when_the_repository_is_gone(worker, finished, refusal):
    path = worker.data_dir / "repositories" / "local" / f"{finished.repository}.git"
    path.rename(path.with_name("moved"))
    with pytest.raises(ApplicationError) as caught:
        await worker.run("finalize", finished)
    assert "is missing" in refusal(caught.value)
