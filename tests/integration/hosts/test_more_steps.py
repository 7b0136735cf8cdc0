"""Steps beside the seven: what they create on each Git host, and what a rollback removes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.on_host.add_collaborators import (
    AddCollaboratorsInput,
    Collaborator,
    CollaboratorSteps,
    RemoveCollaboratorsInput,
    TeamAccess,
)
from stepway.activities.on_host.create_secrets import (
    CreateSecretsInput,
    DeleteSecretsInput,
    FromCredential,
    SecretSteps,
)
from stepway.activities.on_host.create_webhook import (
    CreateWebhookInput,
    DeleteWebhookInput,
    WebhookSteps,
)
from stepway.activities.on_host.dispatch_pipeline import DispatchPipelineInput, PipelineSteps
from stepway.activities.on_host.open_pull_request import (
    ClosePullRequestInput,
    OpenPullRequestInput,
    PullRequestSteps,
)
from stepway.activities.on_host.protect_branch import (
    ProtectBranchInput,
    ProtectionSteps,
    UnprotectBranchInput,
)
from stepway.activities.project import ProjectRef
from stepway.hosts.host import Feature, PullRequestSpec
from stepway.vault.vault import Secret
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.answers import Answer
from tests.support.githost.state import Repository

SECRET = "registry-p4ssword"


class Credentials:
    async def open(self, name: str, project: ProjectRef) -> Secret:
        assert name == "registry"
        return Secret("bot", SECRET)


@pytest.fixture
async def stage(place: Place, tmp_path: Path) -> Stage:
    """A project whose template was pushed."""
    stage = new_stage(place, tmp_path / "templates")
    path, text = place.workflow
    file = stage.folder / "mine" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    await stage.create()
    await stage.push()
    return stage


def needs(stage: Stage, feature: Feature) -> None:
    if feature not in stage.place.host.features:
        pytest.skip(f"{stage.place.host.kind} has no {feature}")


def with_access(stored: Repository) -> list[str]:
    """The accounts that have access, or an invitation."""
    return [*stored.collaborators, *stored.options.get("invited", {})]


def undo(kind: Any, stage: Stage, result: Any, **more: Any) -> Any:
    return kind(stage.project, result=vars(result), **stage.where, **more)


async def test_collaborators_and_teams(stage: Stage) -> None:
    needs(stage, Feature.TEAMS)
    steps = CollaboratorSteps(stage.open)
    given = AddCollaboratorsInput(
        stage.project,
        collaborators=[Collaborator(stage.place.other, "read")],
        teams=[TeamAccess(stage.place.team, "write")],
        **stage.where,
    )
    made = await stage.run(steps.add_collaborators, given)
    assert await stage.run(steps.add_collaborators, given) == made
    stored = stage.place.stored(await stage.found())
    assert stored is not None
    assert with_access(stored) == [stage.place.other]
    assert len(stored.teams) == 1
    back = undo(RemoveCollaboratorsInput, stage, made)
    removed = (await stage.run(steps.remove_collaborators, back)).removed
    assert stage.place.team in removed
    assert (with_access(stored), stored.teams) == ([], {})
    assert (await stage.run(steps.remove_collaborators, back)).removed == []


async def test_protection(stage: Stage) -> None:
    needs(stage, Feature.BRANCH_PROTECTION)
    steps = ProtectionSteps(stage.open)
    given = ProtectBranchInput(stage.project, approvals=1, **stage.where)
    made = await stage.run(steps.protect_branch, given)
    assert made.branch == "main"
    (stage.folder / "mine" / "new.txt").write_text("new")
    with pytest.raises(ApplicationError, match="is protected"):
        await stage.push()
    back = undo(UnprotectBranchInput, stage, made)
    assert (await stage.run(steps.unprotect_branch, back)).removed == ["main"]
    assert (await stage.run(steps.unprotect_branch, back)).removed == []
    await stage.push()


async def test_secrets_and_variables(stage: Stage) -> None:
    needs(stage, Feature.SECRETS)
    steps = SecretSteps(stage.open, Credentials())  # type: ignore[arg-type]
    given = CreateSecretsInput(
        stage.project,
        secrets={"REGISTRY": FromCredential("registry")},
        variables={"PORT": 8080},
        **stage.where,
    )
    made = await stage.run(steps.create_secrets, given)
    assert SECRET not in repr(made)
    stored = stage.place.stored(await stage.found())
    assert stored is not None
    assert (stored.secrets, stored.variables) == (
        {(None, "REGISTRY"): SECRET},
        {(None, "PORT"): "8080"},
    )
    back = undo(DeleteSecretsInput, stage, made)
    assert (await stage.run(steps.delete_secrets, back)).removed == ["REGISTRY", "PORT"]
    assert (stored.secrets, stored.variables) == ({}, {})


async def test_webhooks(stage: Stage) -> None:
    needs(stage, Feature.WEBHOOKS)
    steps = WebhookSteps(stage.open, Credentials())  # type: ignore[arg-type]
    url = "https://ci.example.org/hook"
    given = CreateWebhookInput(stage.project, url, secret=FromCredential("registry"), **stage.where)
    made = await stage.run(steps.create_webhook, given)
    assert await stage.run(steps.create_webhook, given) == made
    back = undo(DeleteWebhookInput, stage, made)
    assert (await stage.run(steps.delete_webhook, back)).removed == [url]
    assert (await stage.run(steps.delete_webhook, back)).removed == []


async def test_pull_requests(stage: Stage) -> None:
    needs(stage, Feature.PULL_REQUESTS)
    await stage.place.pushed(await stage.found(), {"fix.txt": b"fix"}, "fix")
    steps = PullRequestSteps(stage.open)
    given = OpenPullRequestInput(stage.project, "fix", "Fix", **stage.where)
    made = await stage.run(steps.open_pull_request, given)
    assert not made.adopted
    assert await stage.run(steps.open_pull_request, given) == made
    back = undo(ClosePullRequestInput, stage, made)
    assert (await stage.run(steps.close_pull_request, back)).removed == [made.url]
    assert (await stage.run(steps.close_pull_request, back)).removed == []


async def test_a_pull_request_of_somebody_else_stays_open(stage: Stage) -> None:
    needs(stage, Feature.PULL_REQUESTS)
    repository, host = await stage.found(), stage.place.host
    await stage.place.pushed(repository, {"fix.txt": b"fix"}, "fix")
    theirs = await host.open_pull_request(repository, PullRequestSpec("fix", "main", "My fix"))
    steps = PullRequestSteps(stage.open)
    given = OpenPullRequestInput(stage.project, "fix", "Fix", body="Text", **stage.where)
    made = await stage.run(steps.open_pull_request, given)
    assert (made.number, made.adopted) == (theirs.number, True)
    back = undo(ClosePullRequestInput, stage, made)
    assert (await stage.run(steps.close_pull_request, back)).removed == []
    assert (await host.find_pull_request(repository, theirs.number)).state == "open"


async def test_pipelines(stage: Stage) -> None:
    needs(stage, Feature.DISPATCH)
    given = DispatchPipelineInput(stage.project, workflow=stage.place.workflow_name, **stage.where)
    made = await stage.run(PipelineSteps(stage.open).dispatch_pipeline, given)
    assert made.url.startswith("http")
    stored = stage.place.stored(await stage.found())
    assert stored is not None
    assert len(stored.dispatches) == 1
    # The worker ended before it could report: the next attempt finds the run.
    kept = [one for one in stage.heartbeats if isinstance(one, dict)][-1:]
    step = PipelineSteps(stage.open).dispatch_pipeline
    stage.heartbeats.clear()
    assert (await stage.run(step, given, kept)).url.startswith("http")
    assert len(stored.dispatches) == 1
    assert stage.heartbeats[0] == kept[0], "an attempt after that one would find it too"
    await stage.run(step, given)
    assert len(stored.dispatches) == 2


async def test_an_attempt_that_started_no_pipeline_is_followed_by_one_that_does(
    stage: Stage,
) -> None:
    needs(stage, Feature.DISPATCH)
    assert stage.place.server is not None
    step = PipelineSteps(stage.open).dispatch_pipeline
    given = DispatchPipelineInput(stage.project, workflow=stage.place.workflow_name, **stage.where)
    stage.place.server.faults.add("POST .*/(dispatches|pipeline)$", lost=True)
    with pytest.raises(ApplicationError) as failed:
        await stage.run(step, given)
    assert not failed.value.non_retryable
    kept = [one for one in stage.heartbeats if isinstance(one, dict)][-1:]
    assert kept
    await stage.run(step, given, kept)
    stored = stage.place.stored(await stage.found())
    assert stored is not None
    assert len(stored.dispatches) == 1


async def test_a_pipeline_that_cannot_be_looked_up_is_left_to_a_person(stage: Stage) -> None:
    if stage.place.host.kind != "gitea":
        pytest.skip("all versions of this host list their pipelines")
    assert stage.place.server is not None
    step = PipelineSteps(stage.open).dispatch_pipeline
    given = DispatchPipelineInput(stage.project, workflow=stage.place.workflow_name, **stage.where)
    faults = stage.place.server.faults
    faults.add("GET .*/actions/runs", Answer(404, {"message": "not found"}), times=99)
    faults.add("POST .*/dispatches", lost=True, effect=True)
    for kept in ([], [{"newest_run_before": 0}]):
        with pytest.raises(ApplicationError, match="may have started") as failed:
            await stage.run(step, given, kept)
        assert failed.value.non_retryable
    stored = stage.place.stored(await stage.found())
    assert stored is not None
    assert len(stored.dispatches) == 1


async def test_what_may_be_older_than_the_project_is_kept(stage: Stage) -> None:
    needs(stage, Feature.COLLABORATORS)
    older = await stage.place.create()
    await stage.place.pushed(older, {"a": b"a"})
    steps = CollaboratorSteps(stage.open)
    where = {**stage.where, "repository": older.name, "mode": "import"}
    people = [Collaborator(stage.place.other)]
    given = AddCollaboratorsInput(stage.project, collaborators=people, **where)
    made = await stage.run(steps.add_collaborators, given)
    back = RemoveCollaboratorsInput(stage.project, result=vars(made), **where)
    with pytest.raises(ApplicationError, match="the repository is older than the project"):
        await stage.run(steps.remove_collaborators, back)
    stored = stage.place.stored(older)
    assert stored is not None
    assert with_access(stored) == [stage.place.other]


async def test_a_step_needs_the_projects_own_repository(stage: Stage) -> None:
    other = await stage.place.create()
    given = ProtectBranchInput(stage.project, repository=other.name, **stage.where)
    with pytest.raises(ApplicationError, match="was not created by this project"):
        await stage.run(ProtectionSteps(stage.open).protect_branch, given)
