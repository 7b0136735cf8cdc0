"""The steps of repositories, the same on all Git hosts: what they push, repeat and roll back."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from temporalio.exceptions import ApplicationError

from stepway.activities.git import remote
from stepway.activities.gitops.in_repository import GitopsRepository
from stepway.activities.gitops.manifests import PullSecret
from stepway.activities.gitops.setup_gitops import RemoveManifestsInput, SetupGitopsInput
from stepway.activities.repository import target
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import BINARY, CREDENTIAL, Stage, new_stage
from tests.support.githost.answers import Answer
from tests.support.leftovers import left_by_steps


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses while something new is not yet visible."""
    monkeypatch.setattr(remote, "NOT_YET", (0.01,) * 4)
    monkeypatch.setattr(target, "NOT_YET", (0.01,) * 4)


@pytest.fixture
def stage(place: Place, tmp_path: Path) -> Stage:
    return new_stage(place, tmp_path / "templates")


def error_of(caught: pytest.ExceptionInfo[ApplicationError]) -> tuple[str, dict[str, Any]]:
    error = caught.value
    return error.message, error.details[0] if error.details else {}


async def test_the_template_is_one_commit_with_everything_that_git_keeps(stage: Stage) -> None:
    made = await stage.create(description="Sells  things", topics=["shop"])
    assert (made.name, made.owner) == (stage.project.name, stage.place.owner)
    pushed = await stage.push()
    assert stage.refs() == {"refs/heads/main": pushed.commit}
    assert stage.commits() == [pushed.commit]
    assert stage.files() == {
        "README.md": (0o100644, f"# {stage.project.name}\n".encode()),
        "bin/serve": (0o100755, b"#!/bin/sh\n"),
        "empty": (0o100644, b""),
        "link": (0o120000, b"README.md"),
        "picture.bin": (0o100644, BINARY),
        "读我.txt": (0o100644, "你好\n".encode()),
    } | {name: found for name, found in stage.files().items() if name.startswith(".copier")}
    assert (pushed.url, pushed.files) == (made.url, len(stage.files()))


async def test_repeated_steps_make_nothing_twice(stage: Stage) -> None:
    first, again = await stage.create(), await stage.create()
    assert first == again
    pushed = await stage.push()
    assert await stage.push() == pushed
    assert stage.commits() == [pushed.commit]


async def test_an_answer_that_was_lost_leaves_one_commit(stage: Stage) -> None:
    await stage.create()
    stage.place.server.faults.add(r"POST .*git-receive-pack", lost=True, effect=True)
    pushed = await stage.push()
    assert stage.commits() == [pushed.commit]


async def test_an_attempt_that_was_lost_finds_its_commit_in_the_next(stage: Stage) -> None:
    await stage.create()
    faults = stage.place.server.faults
    faults.add(r"POST .*git-receive-pack", Answer(502), effect=True)
    looked = faults.add(r"GET .*info/refs", Answer(502), skip=2, times=1)
    with pytest.raises(ApplicationError) as caught:
        await stage.push()
    assert not caught.value.non_retryable
    assert looked.met
    faults.clear()
    pushed = await stage.push()
    assert stage.commits() == [pushed.commit]


async def test_a_repository_that_is_not_visible_at_first_is_waited_for(stage: Stage) -> None:
    await stage.create()
    missing = stage.place.server.faults.add(r"GET .*info/refs", Answer(404, "Not found."), times=3)
    pushed = await stage.push()
    assert missing.met == 3
    assert stage.commits() == [pushed.commit]


async def test_a_repository_that_stays_invisible_is_an_error_to_retry(stage: Stage) -> None:
    await stage.create()
    stage.place.server.faults.add(r"GET .*info/refs", Answer(404, "Not found."), times=99)
    with pytest.raises(ApplicationError, match="was not found") as caught:
        await stage.push()
    assert not caught.value.non_retryable


async def test_no_secret_is_in_an_error(stage: Stage) -> None:
    await stage.create()
    given = await stage.place.host.remote(await stage.found())
    stage.place.server.faults.add(r".*info/refs", Answer(401, "no"), times=9)
    with pytest.raises(ApplicationError) as caught:
        await stage.push()
    assert "does not accept the credential work" in caught.value.message
    shown = "".join(map(str, (caught.value, caught.value.details, caught.value.__cause__)))
    assert given.password not in shown


async def test_nothing_stays_on_the_workers_disk(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    await stage.create()
    await stage.push()
    assert left_by_steps(temporary) == []


async def test_a_person_who_pushed_first_is_refused(stage: Stage) -> None:
    await stage.create()
    await stage.place.pushed(await stage.found(), {"mine.txt": b"mine"})
    with pytest.raises(ApplicationError, match="not made by Stepway") as caught:
        await stage.push()
    assert caught.value.non_retryable


async def test_a_name_that_another_project_has_is_refused(stage: Stage) -> None:
    await stage.place.create(name=stage.project.name)
    with pytest.raises(ApplicationError) as caught:
        await stage.create()
    assert caught.value.non_retryable
    message, details = error_of(caught)
    assert stage.project.name in message
    assert details["remedy"]
    with pytest.raises(ApplicationError, match="was kept"):
        await stage.delete(result={})


async def test_a_rollback_deletes_the_repository_once(stage: Stage) -> None:
    await stage.create()
    await stage.push()
    assert (await stage.delete()).removed
    assert await stage.place.host.find_repository(stage.place.owner, stage.project.name) is None
    assert (await stage.delete()).removed == []


async def test_a_rollback_keeps_what_a_person_has_pushed(stage: Stage) -> None:
    await stage.create()
    await stage.push()
    await stage.place.pushed(await stage.found(), {"mine.txt": b"mine"})
    with pytest.raises(ApplicationError, match=r"has new commits \(refs/heads/main\)"):
        await stage.delete()
    assert "mine.txt" in stage.files()


async def test_an_import_is_a_pull_request_that_a_rollback_withdraws(stage: Stage) -> None:
    existing = await stage.existing()
    first = await stage.place.pushed(existing, {"theirs.txt": b"theirs", "empty": b"theirs"})
    made = await stage.create(mode="import")
    assert made.imported
    pushed = await stage.push(mode="import")
    branch = f"stepway/{stage.project.name}"
    assert pushed.branch == branch
    assert stage.refs() == {"refs/heads/main": first, f"refs/heads/{branch}": pushed.commit}
    assert stage.files(branch)["theirs.txt"] == (0o100644, b"theirs")
    assert stage.commits(branch) == [pushed.commit, first]
    assert await stage.push(mode="import") == pushed
    found = await stage.place.host.find_pull_request(existing, pushed.pull_request["number"])
    assert found.state == "open"

    undone = await stage.withdraw(pushed, mode="import")
    assert undone.removed == [found.url, branch]
    assert stage.refs() == {"refs/heads/main": first}
    assert (await stage.withdraw(pushed, mode="import")).removed == []
    assert (await stage.delete(mode="import", result=vars(made))).removed == []
    assert stage.refs() == {"refs/heads/main": first}


async def test_a_pull_request_with_a_persons_commit_is_kept(stage: Stage) -> None:
    existing = await stage.existing()
    await stage.place.pushed(existing, {"theirs.txt": b"theirs"})
    pushed = await stage.push(mode="import")
    await stage.place.pushed(existing, {"fix.txt": b"fix"}, pushed.branch)
    with pytest.raises(ApplicationError, match="has new commits"):
        await stage.withdraw(pushed, mode="import")
    assert "fix.txt" in stage.files(pushed.branch)


async def test_manifests_are_committed_beside_those_of_others(stage: Stage) -> None:
    gitops = await stage.place.create(name=f"gitops-{uuid4().hex[:6]}")
    await stage.place.pushed(gitops, {"README.md": b"ours"})
    goal = GitopsRepository(CREDENTIAL, gitops.owner, gitops.name)
    given = SetupGitopsInput(stage.project, "https://example.org/x.git", ["test"], gitops=goal)
    steps = stage.gitops()
    made = await stage.run(steps.setup_gitops, given)
    assert await stage.run(steps.setup_gitops, given) == made
    undo = RemoveManifestsInput(**vars(given), result=vars(made))
    assert (await stage.run(steps.remove_manifests, undo)).removed == [made.path]
    assert (await stage.run(steps.remove_manifests, undo)).removed == []
    head = await stage.place.host.branch_head(gitops, "main")
    assert head not in (None, made.commit)
    assert not (stage.folder / "gitops.git").exists()


async def test_rolling_back_what_never_found_its_gitops_repository_finds_nothing(
    stage: Stage,
) -> None:
    goal = GitopsRepository(CREDENTIAL, stage.place.owner, "mistyped")
    url = "https://example.org/x.git"
    steps = stage.gitops()
    with pytest.raises(ApplicationError, match="mistyped was not found"):
        given = SetupGitopsInput(stage.project, url, ["test"], gitops=goal)
        await stage.run(steps.setup_gitops, given)
    back = RemoveManifestsInput(stage.project, url, ["test"], gitops=goal, result=None)
    assert (await stage.run(steps.remove_manifests, back)).removed == []


@pytest.mark.parametrize("visibility", ["private", "internal", "public", None])
async def test_manifests_of_a_private_repository_refer_to_a_secret_to_create(
    on_github: Place, tmp_path: Path, visibility: str | None
) -> None:
    stage = new_stage(on_github, tmp_path / "templates")
    gitops = await stage.place.create(name="gitops")
    goal = GitopsRepository(CREDENTIAL, gitops.owner, gitops.name)
    url = "https://example.org/x.git"
    given = SetupGitopsInput(stage.project, url, ["test"], gitops=goal, visibility=visibility)
    steps = stage.gitops()
    made = await stage.run(steps.setup_gitops, given)
    written = stage.files(repository="gitops")
    source = yaml.safe_load(written[f"{made.path}/git-repository.yaml"][1])
    name = f"{stage.project.name}-git"
    if visibility in ("public", None):
        assert "secretRef" not in source["spec"]
        assert made.secret is None
        return
    assert source["spec"]["secretRef"] == {"name": name}
    namespace = source["metadata"]["namespace"]
    assert made.secret == PullSecret(namespace, name, ["username", "password"])
    # No object of the repository is the Secret itself.
    kinds = {
        yaml.safe_load(text)["kind"] for path, (_, text) in written.items() if made.path in path
    }
    assert kinds == {"Namespace", "GitRepository", "Kustomization"}


async def test_manifests_may_be_proposed_and_withdrawn(stage: Stage) -> None:
    gitops = await stage.place.create(name=f"gitops-{uuid4().hex[:6]}")
    before = await stage.place.pushed(gitops, {"README.md": b"ours"})
    goal = GitopsRepository(CREDENTIAL, gitops.owner, gitops.name, change="pull_request")
    given = SetupGitopsInput(stage.project, "https://example.org/x.git", ["test"], gitops=goal)
    steps = stage.gitops()
    made = await stage.run(steps.setup_gitops, given)
    again = await stage.run(steps.setup_gitops, given)
    assert (again.commit, again.pull_request) == (made.commit, made.pull_request)
    assert await stage.place.host.branch_head(gitops, "main") == before
    undo = RemoveManifestsInput(**vars(given), result=vars(made))
    removed = (await stage.run(steps.remove_manifests, undo)).removed
    assert removed == [made.pull_request["url"], made.branch]
    assert await stage.place.host.branch_head(gitops, made.branch) is None


async def test_a_clone_of_what_was_pushed_is_clean(stage: Stage, tmp_path: Path) -> None:
    await stage.create()
    await stage.push()
    clone = ["git", "clone", "--quiet", str(stage.path), str(tmp_path / "clone")]
    await asyncio.to_thread(subprocess.run, clone, check=True)
    status = ["git", "-C", str(tmp_path / "clone"), "status", "--porcelain"]
    done = await asyncio.to_thread(subprocess.run, status, check=True, capture_output=True)
    assert done.stdout == b""
