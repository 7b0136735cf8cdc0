"""The local host works on one machine: steps of a second worker without access fail and say so."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import delete, insert
from temporalio.exceptions import ApplicationError

from stepway.activities.command.run_command import RunCommandInput
from stepway.activities.database.finalize import FinalizeInput
from stepway.activities.gitops.setup_gitops import RemoveManifestsInput, SetupGitopsInput
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.create_repository import (
    CreateRepositoryInput,
    DeleteRepositoryInput,
)
from stepway.activities.repository.push_template import PushTemplateInput
from stepway.runtime.settings import Settings
from stepway_tracking.record.models import Step

URL = "https://git.example.com/acme/shop.git"


@pytest.fixture
def elsewhere(worker, resources, tmp_path):
    """A worker with another data folder, as on another machine."""
    data_dir = tmp_path / "elsewhere"
    settings = Settings(data_dir=data_dir)
    steps = load_steps(Resources(settings, resources.engine))
    return replace(worker, data_dir=data_dir, steps=steps, heartbeats=[])


@pytest.fixture
async def made(worker, engine, project):
    """The result of create_repository, recorded as tracking does."""
    result = await worker.run("create_repository", CreateRepositoryInput(project))
    async with recorded(engine, project, "create_repository", result):
        yield result


@pytest.fixture
async def set_up(worker, engine, project):
    """The result of setup_gitops in the data folder, recorded in the same way."""
    result = await worker.run("setup_gitops", SetupGitopsInput(project, URL, ["staging"]))
    async with recorded(engine, project, "setup_gitops", result):
        yield result


@asynccontextmanager
async def recorded(engine, project, step, result):
    """Record the result of a step; remove it afterwards."""
    async with engine.begin() as connection:
        await connection.execute(
            insert(Step).values(
                project_id=UUID(project.id),
                step=step,
                display_name=step,
                sequence=1,
                status="completed",
                details=vars(result) | {"place": {**result.place, "worker": "7@first"}},
            )
        )
    yield
    # Other tests share the database, and have data folders of their own.
    async with engine.begin() as connection:
        await connection.execute(delete(Step).where(Step.project_id == UUID(project.id)))


@pytest.mark.parametrize(
    ("step", "given"),
    [
        ("create_repository", CreateRepositoryInput),
        ("push_template", lambda project: PushTemplateInput(project, "web-service")),
        ("finalize", lambda project: FinalizeInput(project, project.name)),
        ("run_command", lambda project: RunCommandInput(project, ["true"])),
        ("delete_repository", DeleteRepositoryInput),
    ],
)
async def test_a_worker_without_the_repository_names_both_workers(
    elsewhere, worker, made, project, step, given
):
    with pytest.raises(ApplicationError) as caught:
        await elsewhere.run(step, given(project))
    text = caught.value.message
    assert "The worker 7@first created the repository" in text
    assert made.place["worker"] in text
    assert "works on one machine only" in text
    assert "credential of a Git host" in caught.value.details[0]["remedy"]
    assert not caught.value.non_retryable  # the other worker may take the next attempt
    assert (await worker.run("create_repository", CreateRepositoryInput(project))) == made


async def test_workers_that_share_the_data_folder_have_access(worker, resources, made, project):
    other = load_steps(Resources(resources.settings, resources.engine))
    again = await worker.environment().run(
        other["create_repository"], CreateRepositoryInput(project)
    )
    assert again == made


async def test_a_second_machine_is_warned_of(elsewhere, made, new_project, caplog):
    await elsewhere.run("create_repository", CreateRepositoryInput(await new_project()))
    warned = [beat.message for beat in elsewhere.heartbeats if "one machine only" in beat.message]
    assert warned
    assert "7@first" in warned[0]
    assert "one machine only" in caplog.text


@pytest.mark.parametrize(
    ("step", "given"),
    [("setup_gitops", SetupGitopsInput), ("remove_manifests", RemoveManifestsInput)],
)
async def test_manifests_on_another_machine_are_not_taken_for_missing(
    elsewhere, worker, set_up, project, step, given
):
    with pytest.raises(ApplicationError) as caught:
        await elsewhere.run(step, given(project, URL, ["staging"]))
    text = caught.value.message
    assert "The worker 7@first wrote files of the project on the machine" in text
    assert set_up.place["worker"] in text
    assert "works on one machine only" in text
    assert "GitOps repository or a cluster" in caught.value.details[0]["remedy"]
    assert not caught.value.non_retryable  # the other worker may take the next attempt
    given = RemoveManifestsInput(project, URL, ["staging"], result=vars(set_up))
    assert (await worker.run("remove_manifests", given)).removed == [set_up.path]


async def test_a_second_machine_is_warned_of_manifests(elsewhere, set_up, new_project, caplog):
    given = SetupGitopsInput(await new_project(), URL, ["staging"])
    made = await elsewhere.run("setup_gitops", given)
    assert made.place["folder"] != set_up.place["folder"]
    assert "The worker 7@first wrote files of projects" in elsewhere.heartbeats[-1].message
    assert "one machine only" in caplog.text


async def test_a_namespace_is_refused_on_the_local_host(worker, project, refusal):
    with pytest.raises(ApplicationError) as caught:
        await worker.run("create_repository", CreateRepositoryInput(project, namespace="acme"))
    assert "no namespace 'acme'" in refusal(caught.value)
