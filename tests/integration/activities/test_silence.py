"""No built-in step loses an attempt while Postgres does not answer, or cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities import beats
from stepway.activities.cluster.apply_manifests import ApplyManifestsInput, DeleteManifestsInput
from stepway.activities.cluster.wait_for_ready import WaitForReadyInput
from stepway.activities.command import run_command
from stepway.activities.command.run_command import RunCommandInput
from stepway.activities.credentials.resolve_credentials import ResolveCredentialsInput
from stepway.activities.database.create_db_records import CreateDbRecordsInput, DeleteDbRecordsInput
from stepway.activities.database.create_environments import (
    CreateEnvironmentsInput,
    DeleteEnvironmentsInput,
)
from stepway.activities.database.finalize import FinalizeInput
from stepway.activities.gitops.deploy_key import DeployKeyFor
from stepway.activities.gitops.in_cluster import GitopsCluster
from stepway.activities.gitops.in_repository import GitopsRepository
from stepway.activities.gitops.setup_gitops import RemoveManifestsInput, SetupGitopsInput
from stepway.activities.http.http_request import HttpRequestInput, SecretHeader
from stepway.activities.on_host.add_collaborators import (
    AddCollaboratorsInput,
    Collaborator,
    RemoveCollaboratorsInput,
)
from stepway.activities.on_host.create_secrets import (
    CreateSecretsInput,
    DeleteSecretsInput,
    FromCredential,
)
from stepway.activities.on_host.create_webhook import CreateWebhookInput, DeleteWebhookInput
from stepway.activities.on_host.dispatch_pipeline import DispatchPipelineInput
from stepway.activities.on_host.open_pull_request import (
    ClosePullRequestInput,
    OpenPullRequestInput,
)
from stepway.activities.on_host.protect_branch import ProtectBranchInput, UnprotectBranchInput
from stepway.activities.postgres import WAIT
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.create_repository import (
    CreateRepositoryInput,
    DeleteRepositoryInput,
)
from stepway.activities.repository.push_template import PushTemplateInput, WithdrawTemplateInput
from stepway.runtime.settings import Settings
from stepway_tracking.record.errors import RATE_LIMITED
from tests.support.servers import eventually

ENOUGH = 6
"""Heartbeats; more than a step sends for its own progress before it waits for Postgres."""

ON = {"credential": "work"}
URL = "https://example.org"
MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
OBJECT = {"api_version": "v1", "kind": "ConfigMap", "name": "a", "namespace": "b", "uid": "c"}
ENVIRONMENTS = {"environments": [{"name": "staging", "approvals": 1}]}
GITOPS = GitopsRepository("work", "team", "gitops")
CLUSTER = GitopsCluster("work")
KEYED = GitopsCluster("work", deploy_key=DeployKeyFor("work"))
PULLED = GitopsCluster("work", pull_credential="pull")

Given = Callable[[ProjectRef], Any]

WAITING: dict[str, tuple[str, Given]] = {
    "create_db_records": ("repositories", lambda p: CreateDbRecordsInput(p, "x", "y")),
    "delete_db_records": ("repositories", lambda p: DeleteDbRecordsInput(p, "x", "y")),
    "create_environments": ("environments", CreateEnvironmentsInput),
    "create_environments on a host": ("credentials", lambda p: CreateEnvironmentsInput(p, **ON)),
    "delete_environments": (
        "environments",
        lambda p: DeleteEnvironmentsInput(p, result=ENVIRONMENTS),
    ),
    "delete_environments on a host": (
        "credentials",
        lambda p: DeleteEnvironmentsInput(p, **ON, result={**ENVIRONMENTS, "on_host": True}),
    ),
    "finalize": ("environments", FinalizeInput),
    "finalize on a host": ("credentials", lambda p: FinalizeInput(p, "x", **ON)),
    "resolve_credentials": ("credentials", lambda p: ResolveCredentialsInput(p, "work")),
    "create_repository": ("credentials", lambda p: CreateRepositoryInput(p, **ON)),
    "create_repository here": ("project_initialization_steps", CreateRepositoryInput),
    "delete_repository": ("credentials", lambda p: DeleteRepositoryInput(p, **ON)),
    "push_template": ("credentials", lambda p: PushTemplateInput(p, "python-library", **ON)),
    "withdraw_template": (
        "credentials",
        lambda p: WithdrawTemplateInput(p, **ON, result={"pull_request": {"number": 1}}),
    ),
    "setup_gitops": ("credentials", lambda p: SetupGitopsInput(p, URL, ["a"], gitops=GITOPS)),
    "setup_gitops in a cluster": (
        "credentials",
        lambda p: SetupGitopsInput(p, URL, ["a"], cluster=CLUSTER),
    ),
    "setup_gitops with a deploy key": (
        "credentials",
        lambda p: SetupGitopsInput(p, URL, ["a"], cluster=KEYED),
    ),
    "setup_gitops with a pull credential": (
        "credentials",
        lambda p: SetupGitopsInput(p, URL, ["a"], cluster=PULLED),
    ),
    "remove_manifests": (
        "credentials",
        lambda p: RemoveManifestsInput(p, URL, gitops=GITOPS),
    ),
    "remove_manifests in a cluster": (
        "credentials",
        lambda p: RemoveManifestsInput(p, URL, cluster=CLUSTER, result={"objects": [OBJECT]}),
    ),
    "remove_manifests with a deploy key": (
        "credentials",
        lambda p: RemoveManifestsInput(p, URL, cluster=KEYED, result={"objects": [OBJECT]}),
    ),
    "apply_manifests": (
        "credentials",
        lambda p: ApplyManifestsInput(p, "work", [MANIFEST]),
    ),
    "delete_manifests": (
        "credentials",
        lambda p: DeleteManifestsInput(p, "work", {"objects": [OBJECT]}),
    ),
    "wait_for_ready": ("credentials", lambda p: WaitForReadyInput(p, "work", [OBJECT])),
    "run_command": ("credentials", lambda p: RunCommandInput(p, command=["true"], **ON)),
    "run_command with a secret": (
        "credentials",
        lambda p: RunCommandInput(p, ["true"], environment={"A": {"credential": "work"}}),
    ),
    "add_collaborators": (
        "credentials",
        lambda p: AddCollaboratorsInput(p, **ON, collaborators=[Collaborator("ada")]),
    ),
    "remove_collaborators": (
        "credentials",
        lambda p: RemoveCollaboratorsInput(p, **ON, result={"collaborators": ["ada"]}),
    ),
    "protect_branch": ("credentials", lambda p: ProtectBranchInput(p, **ON)),
    "unprotect_branch": (
        "credentials",
        lambda p: UnprotectBranchInput(p, **ON, result={"branch": "main"}),
    ),
    "create_secrets": (
        "credentials",
        lambda p: CreateSecretsInput(p, **ON, secrets={"A": FromCredential("work")}),
    ),
    "delete_secrets": (
        "credentials",
        lambda p: DeleteSecretsInput(p, **ON, result={"secrets": ["A"]}),
    ),
    "create_webhook": (
        "credentials",
        lambda p: CreateWebhookInput(p, URL, **ON, secret=FromCredential("work")),
    ),
    "delete_webhook": (
        "credentials",
        lambda p: DeleteWebhookInput(p, **ON, result={"id": "1", "url": URL}),
    ),
    "open_pull_request": ("credentials", lambda p: OpenPullRequestInput(p, "x", "y", **ON)),
    "close_pull_request": (
        "credentials",
        lambda p: ClosePullRequestInput(p, **ON, result={"number": 1}),
    ),
    "dispatch_pipeline": ("credentials", lambda p: DispatchPipelineInput(p, **ON)),
    "http_request": (
        "credentials",
        lambda p: HttpRequestInput(p, URL, headers={"Authorization": SecretHeader("work")}),
    ),
}
"""For each step, and each of its ways: a table that it waits for, and its input."""

WITHOUT_POSTGRES = {"simulate"}

COMBINED = {"remove_manifests with a deploy key"}
"""Rollbacks that go on after an error, and raise one for all that is left."""


def test_every_step_is_here(worker):
    assert {case.split()[0] for case in WAITING} | WITHOUT_POSTGRES == set(worker.steps)


@pytest.mark.parametrize("case", WAITING)
async def test_a_step_sends_heartbeats_while_postgres_does_not_answer(
    worker, engine, project, monkeypatch, case
):
    monkeypatch.setattr(beats, "EVERY", 0.05)
    monkeypatch.setattr(run_command, "HEARTBEAT_INTERVAL", 0.05)
    table, given = WAITING[case]
    async with engine.begin() as connection:
        await connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        running = asyncio.create_task(worker.run(case.split()[0], given(project)))

        async def has_sent_enough() -> bool:
            return running.done() or len(worker.heartbeats) >= ENOUGH

        try:
            await eventually(has_sent_enough)
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.wait([running])


@pytest.mark.parametrize("case", [case for case in WAITING if case not in COMBINED])
async def test_attempt_that_cannot_reach_postgres_does_not_count(project, tmp_path, case):
    away = create_async_engine("postgresql+asyncpg://127.0.0.1:1/stepway")
    steps = load_steps(Resources(Settings(data_dir=tmp_path), away))
    _, given = WAITING[case]
    with pytest.raises(ApplicationError, match="The database cannot be reached") as caught:
        await ActivityEnvironment().run(steps[case.split()[0]], given(project))
    assert caught.value.type == RATE_LIMITED
    assert caught.value.next_retry_delay == timedelta(seconds=WAIT)
    assert not caught.value.non_retryable
