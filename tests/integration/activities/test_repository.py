"""resolve_credentials, create_repository and its undo, against the real git."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.credentials.resolve_credentials import (
    ResolveCredentialsInput,
    ResolvedCredential,
)
from stepway.activities.project import ProjectRef
from stepway.activities.repository.create_repository import (
    CreateRepositoryInput,
    DeleteRepositoryInput,
)
from stepway.activities.repository.push_template import PushTemplateInput


@pytest.fixture
def project() -> ProjectRef:
    return ProjectRef(str(uuid4()), "shop", "local")


async def make(worker, project: ProjectRef) -> Path:
    return Path((await worker.run("create_repository", CreateRepositoryInput(project))).url)


async def push_template(worker, project: ProjectRef) -> str:
    return (await worker.run("push_template", PushTemplateInput(project, "web-service"))).commit


def commit_as_a_person(git, tree: Path) -> None:
    (tree / "notes.txt").write_text("mine")
    git("add", "notes.txt", cwd=tree)
    git("commit", "-m", "Notes", cwd=tree)


async def test_the_local_credential_is_found_and_leaves_no_probe_behind(worker, project):
    found = await worker.run("resolve_credentials", ResolveCredentialsInput(project))
    assert found == ResolvedCredential(account="local", credential="local")
    assert list((worker.data_dir / "repositories").iterdir()) == []


async def test_an_unknown_credential_is_named_and_not_retried(worker, project, refusal):
    with pytest.raises(ApplicationError) as caught:
        await worker.run("resolve_credentials", ResolveCredentialsInput(project, "githbu"))
    assert "githbu" in refusal(caught.value)


async def test_a_data_folder_that_cannot_be_written_is_said_and_retried(worker, project):
    worker.data_dir.mkdir()
    (worker.data_dir / "repositories").write_text("a file in the way")
    with pytest.raises(ApplicationError, match="Cannot write to") as caught:
        await worker.run("resolve_credentials", ResolveCredentialsInput(project))
    assert not caught.value.non_retryable
    assert str(worker.data_dir) not in caught.value.message


async def test_a_new_repository_is_cloned_and_pushed_to_by_git(worker, project, git, tmp_path):
    made = await worker.run("create_repository", CreateRepositoryInput(project))
    assert (made.name, made.default_branch) == ("shop", "main")
    git("clone", made.url, tmp_path / "clone")
    commit_as_a_person(git, tmp_path / "clone")
    git("push", "origin", "HEAD", cwd=tmp_path / "clone")
    assert git("symbolic-ref", "HEAD", cwd=Path(made.url)) == "refs/heads/main"
    assert git("log", "--format=%s", "main", cwd=Path(made.url)) == "Notes"
    git("fsck", "--strict", cwd=Path(made.url))


async def test_a_repeated_step_adopts_its_repository(worker, project):
    first = await make(worker, project)
    marker = (first / "config").read_bytes()
    assert await make(worker, project) == first
    assert (first / "config").read_bytes() == marker


async def test_an_attempt_that_was_cut_short_leaves_nothing_in_the_way(worker, project):
    folder = worker.data_dir / "repositories" / "local"
    (folder / ".shop.git.new" / "objects").mkdir(parents=True)
    await make(worker, project)
    assert sorted(p.name for p in folder.iterdir()) == ["shop.git"]


@pytest.mark.parametrize("kind", ["other project", "bare of a person", "no repository"])
async def test_repository_of_somebody_else_is_refused_and_not_retried(
    worker, project, git, refusal, kind
):
    path = worker.data_dir / "repositories" / "local" / "shop.git"
    if kind == "other project":
        await make(worker, ProjectRef(str(uuid4()), "shop", "local"))
    elif kind == "bare of a person":
        git("init", "--bare", path)
    else:
        path.mkdir(parents=True)
        (path / "notes.txt").write_text("mine")
    with pytest.raises(ApplicationError) as caught:
        await make(worker, project)
    whose = "the Stepway project" if kind == "other project" else "no Stepway project"
    assert f"exists already and belongs to {whose}" in refusal(caught.value)
    with pytest.raises(ApplicationError) as caught:
        await worker.run("delete_repository", DeleteRepositoryInput(project, result={}))
    assert "was kept" in refusal(caught.value)
    assert path.exists()


@pytest.mark.parametrize("owner", ["..", "a/b", "../x", "", ".hidden", "a..b", "x" * 200, "a\x00"])
async def test_an_owner_that_is_no_folder_name_is_refused(worker, refusal, owner):
    with pytest.raises(ApplicationError) as caught:
        await make(worker, ProjectRef(str(uuid4()), "shop", owner))
    assert "not a valid folder name" in refusal(caught.value)


async def test_undo_deletes_an_untouched_repository_and_can_be_repeated(worker, project):
    path = await make(worker, project)
    await push_template(worker, project)
    undone = await worker.run("delete_repository", DeleteRepositoryInput(project))
    assert undone.removed == [str(path)]
    assert not path.exists()
    assert (await worker.run("delete_repository", DeleteRepositoryInput(project))).removed == []


async def test_undo_that_was_cut_short_is_finished_by_its_repeat(worker, project):
    path = await make(worker, project)
    aside = path.rename(path.with_name(".shop.git.deleted"))
    assert (await worker.run("delete_repository", DeleteRepositoryInput(project))).removed == [
        str(path)
    ]
    assert not aside.exists()


@pytest.mark.parametrize("what", ["main", "branch", "tag", "amended"])
async def test_undo_is_refused_after_a_person_has_pushed(
    worker, project, git, refusal, tmp_path, what
):
    path = await make(worker, project)
    await push_template(worker, project)
    tree = tmp_path / "clone"
    git("clone", path, tree)
    if what == "amended":
        (tree / "README.md").write_text("mine")
        git("commit", "--all", "--amend", "--no-edit", cwd=tree)
        git("push", "--force", "origin", "main", cwd=tree)
    elif what == "tag":
        git("tag", "v1", cwd=tree)
        git("push", "origin", "v1", cwd=tree)
    else:
        commit_as_a_person(git, tree)
        git("push", "origin", f"HEAD:{what}", cwd=tree)
    with pytest.raises(ApplicationError) as caught:
        await worker.run("delete_repository", DeleteRepositoryInput(project))
    assert "has new commits" in refusal(caught.value)
    git("fetch", cwd=tree)
