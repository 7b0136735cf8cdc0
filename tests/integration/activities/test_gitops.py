"""setup_gitops and its undo, with concurrent projects and commits by people."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
import yaml
from temporalio.exceptions import ApplicationError

from stepway.activities.database.create_environments import DEFAULT_ENVIRONMENTS, EnvironmentSpec
from stepway.activities.gitops.setup_gitops import RemoveManifestsInput, SetupGitopsInput
from stepway.activities.project import ProjectRef
from stepway_tracking.record.progress import Skipped

URL = "/srv/repositories/local/shop.git"


@pytest.fixture
def project() -> ProjectRef:
    return ProjectRef(str(uuid4()), "shop", "local")


async def setup(worker, project, environments=DEFAULT_ENVIRONMENTS, **more):
    given = SetupGitopsInput(project, URL, list(environments), **more)
    return await worker.run("setup_gitops", given)


async def remove(worker, project, made):
    return await worker.run(
        "remove_manifests", RemoveManifestsInput(project, URL, result=vars(made))
    )


def commits(git, made) -> int:
    return int(git("rev-list", "--count", "main", cwd=made.url))


def clone(git, made, tmp_path):
    git("clone", made.url, tmp_path / "gitops")
    return tmp_path / "gitops"


async def test_flux_gets_a_namespace_a_repository_and_a_kustomization_an_environment(
    worker, project, git, tmp_path
):
    made = await setup(worker, project, git_host="git.example.org")
    folder = clone(git, made, tmp_path) / made.path
    bodies = {file.name: yaml.safe_load(file.read_text()) for file in folder.iterdir()}
    assert sorted(bodies) == sorted(made.manifests)
    assert bodies["namespace.yaml"]["metadata"]["name"] == "local-shop"
    repository = bodies["git-repository.yaml"]
    assert repository["apiVersion"] == "source.toolkit.fluxcd.io/v1"
    assert repository["spec"]["url"] == f"ssh://git@git.example.org{URL}"
    for spec in DEFAULT_ENVIRONMENTS:
        kustomization = bodies[f"environment-{spec.name}.yaml"]
        assert kustomization["apiVersion"] == "kustomize.toolkit.fluxcd.io/v1"
        assert kustomization["spec"]["path"] == f"./deploy/overlays/{spec.name}"
        assert kustomization["metadata"]["annotations"]["stepway/approvals"] == str(spec.approvals)
    assert set(bodies["kustomization.yaml"]["resources"]) == set(bodies) - {"kustomization.yaml"}
    assert worker.heartbeats
    git("fsck", "--strict", cwd=made.url)


async def test_a_repeated_step_makes_no_commit_when_nothing_changed(worker, project, git):
    first = await setup(worker, project)
    assert await setup(worker, project) == first
    assert commits(git, first) == 1


async def test_an_environment_that_is_gone_takes_its_manifest_with_it(
    worker, project, git, tmp_path
):
    await setup(worker, project)
    made = await setup(worker, project, [EnvironmentSpec("production", 1)])
    folder = clone(git, made, tmp_path) / made.path
    assert [p.name for p in folder.glob("environment-*")] == ["environment-production.yaml"]
    assert commits(git, made) == 2


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"deploy": False}, "turned off"), ({"environments": []}, "no environment")],
)
async def test_nothing_to_deploy_to_is_a_skip_with_its_reason(worker, project, more, reason):
    skipped = await setup(worker, project, **more)
    assert isinstance(skipped, Skipped)
    assert reason in skipped.skipped
    assert not (worker.data_dir / "gitops.git").exists()


async def test_projects_that_commit_at_once_all_get_in(worker, git, tmp_path):
    projects = [ProjectRef(str(uuid4()), f"shop-{n}", "local") for n in range(16)]
    results = await asyncio.gather(*(setup(worker, project) for project in projects))
    assert commits(git, results[0]) == len(projects)
    tree = clone(git, results[0], tmp_path)
    assert all((tree / made.path / "namespace.yaml").is_file() for made in results)


async def test_what_others_committed_stays(worker, project, git, tmp_path):
    other = ProjectRef(str(uuid4()), "other", "local")
    tree = clone(git, await setup(worker, other), tmp_path)
    (tree / "README.md").write_text("mine")
    git("add", ".", cwd=tree)
    git("commit", "-m", "Mine", cwd=tree)
    git("push", "origin", "main", cwd=tree)
    made = await setup(worker, project)
    assert (await remove(worker, project, made)).removed == [made.path]
    assert git("ls-tree", "-r", "--name-only", "main", cwd=made.url).count("other/") == 6
    assert git("show", "main:README.md", cwd=made.url) == "mine"


async def test_manifests_of_somebody_else_are_refused_and_not_retried(
    worker, project, git, refusal
):
    made = await setup(worker, ProjectRef(str(uuid4()), "shop", "local"))
    with pytest.raises(ApplicationError) as caught:
        await setup(worker, project)
    assert "belongs to another project" in refusal(caught.value)
    assert commits(git, made) == 1


async def test_a_main_that_stays_locked_is_said_and_retried(worker, project, monkeypatch):
    await setup(worker, ProjectRef(str(uuid4()), "other", "local"))
    (worker.data_dir / "gitops.git" / "refs" / "heads" / "main.lock").touch()
    monkeypatch.setattr("stepway.activities.gitops.commits._TRIES", 3)
    with pytest.raises(ApplicationError, match="is busy") as caught:
        await setup(worker, project)
    assert not caught.value.non_retryable


async def test_undo_takes_the_manifests_out_and_can_be_repeated(worker, project, git):
    made = await setup(worker, project)
    assert (await remove(worker, project, made)).removed == [made.path]
    assert git("ls-tree", "-r", "main", cwd=made.url) == ""
    assert (await remove(worker, project, made)).removed == []
    assert commits(git, made) == 2


async def test_undo_leaves_manifests_that_a_person_changed(worker, project, git, tmp_path, refusal):
    made = await setup(worker, project)
    tree = clone(git, made, tmp_path)
    (tree / made.path / "extra.yaml").write_text("mine: 1\n")
    git("add", ".", cwd=tree)
    git("commit", "-m", "Mine", cwd=tree)
    git("push", "origin", "main", cwd=tree)
    with pytest.raises(ApplicationError) as caught:
        await remove(worker, project, made)
    assert "changed in the meantime" in refusal(caught.value)
