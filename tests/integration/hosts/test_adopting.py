"""Names that are in use, repositories to import, and rollbacks: the same on all Git hosts.

Each error names whose the repository is, and what a person can do. Where the remedy is something
that people do on the host, the test does it and repeats the step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dulwich.objects import Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo
from temporalio.exceptions import ApplicationError

from stepway.activities.git import create_repository, remote, target
from stepway.activities.git.repositories import add_commit, changed_tree
from stepway.activities.project import ProjectRef
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import BranchRules, topic_of
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.server import Host
from tests.support.githost.state import Repository


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses while something new is not yet visible."""
    monkeypatch.setattr(remote, "NOT_YET", (0.01,) * 4)
    monkeypatch.setattr(target, "NOT_YET", (0.01,) * 4)


@pytest.fixture
def stage(place: Place, tmp_path: Path) -> Stage:
    if place.server is None:
        pytest.skip("a person acts on the host here")
    return new_stage(place, tmp_path / "templates")


def server(stage: Stage) -> Host:
    assert stage.place.server is not None
    return stage.place.server


def older(stage: Stage, **fields: Any) -> Repository:
    """Add a repository of the project's name that somebody else has created."""
    return server(stage).world.add_repository(stage.place.owner, stage.project.name, **fields)


async def refused(step: Any) -> tuple[str, str]:
    """Return the message and the remedy of a step that fails for good."""
    with pytest.raises(ApplicationError) as caught:
        await step
    assert caught.value.non_retryable
    return caught.value.message, caught.value.details[0]["remedy"]


async def test_a_name_of_somebody_else_is_free_after_the_remedy(stage: Stage) -> None:
    theirs = older(stage)
    message, remedy = await refused(stage.create())
    path = f"{stage.place.owner}/{stage.project.name}"
    assert message.startswith(f"The repository {path} exists already, and it was not created by")
    assert f"{server(stage).url}/{path}" in message
    assert "Rename or delete it on the host, then retry" in remedy
    assert "existing-repository" in remedy
    server(stage).world.rename(theirs, theirs.owner, f"{theirs.name}-old")
    made = await stage.create()
    assert not made.imported
    assert theirs.topics == []


async def test_a_name_of_another_project_names_that_project(stage: Stage) -> None:
    other = str(uuid4())
    older(stage, topics=[topic_of(other)])
    message, remedy = await refused(stage.create())
    assert f"belongs to the Stepway project {other}" in message
    assert remedy.startswith("Roll that project back")


async def test_a_name_that_the_credential_may_not_see_says_whom_to_ask(stage: Stage) -> None:
    older(stage).hidden = 1_000
    message, remedy = await refused(stage.create())
    assert message == (
        f"The name {stage.place.owner}/{stage.project.name} is in use, and the credential work "
        "may not see by what"
    )
    assert remedy.startswith(f"Ask an owner of {stage.place.owner} to rename or delete it")


async def test_a_new_round_after_a_rollback_begins_with_nothing(stage: Stage) -> None:
    first = await stage.create()
    await stage.push()
    assert (await stage.delete(result=vars(first))).removed
    again = await stage.create()
    assert again.url == first.url
    assert stage.refs() == {}
    assert (await stage.push()).branch == "main"


async def test_what_a_stopped_creation_has_made_is_rolled_back(stage: Stage) -> None:
    await stage.create()
    assert (await stage.delete()).removed
    assert server(stage).world.find(f"{stage.place.owner}/{stage.project.name}") is None


async def test_a_failed_creation_leaves_the_repository_of_somebody_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create_repository, "LATE_EFFECTS", (0.0, 0.01))
    assert (await stage.delete()).removed == []
    older(stage)
    assert (await stage.delete()).removed == []
    assert server(stage).world.find(f"{stage.place.owner}/{stage.project.name}") is not None


async def test_a_later_attempt_goes_on_with_the_repository_of_an_earlier_one(stage: Stage) -> None:
    first = await stage.create()
    pushed = await stage.push()
    assert await stage.create() == first
    assert stage.commits() == [pushed.commit]


async def test_a_mark_that_somebody_removed_may_be_set_again(stage: Stage) -> None:
    await stage.create()
    stored = server(stage).world.find(f"{stage.place.owner}/{stage.project.name}")
    assert stored is not None
    stored.topics.clear()
    message, remedy = await refused(stage.push())
    assert message.endswith("was not created by this project")
    mark = topic_of(stage.project.id)
    assert mark in remedy
    stored.topics.append(mark)
    assert (await stage.push()).branch == "main"


async def test_an_import_of_another_projects_repository_is_refused(stage: Stage) -> None:
    other = str(uuid4())
    theirs = older(stage, topics=[topic_of(other), "web"])
    message, remedy = await refused(stage.create(mode="import"))
    assert message.endswith(f"belongs to the Stepway project {other}")
    assert f"remove the topic {topic_of(other)}" in remedy
    theirs.topics.remove(topic_of(other))
    assert (await stage.create(mode="import")).imported
    assert theirs.topics == ["web"]


async def test_an_import_of_an_empty_repository_is_its_first_commit(stage: Stage) -> None:
    older(stage)
    made = await stage.create(mode="import")
    pushed = await stage.push(mode="import")
    assert (pushed.branch, pushed.pull_request) == ("main", None)
    assert await stage.push(mode="import") == pushed
    assert (await stage.withdraw(pushed, mode="import")).removed == []
    assert (await stage.delete(mode="import", result=vars(made))).removed == []
    assert stage.commits() == [pushed.commit]


async def test_an_import_of_nothing_says_what_to_check(stage: Stage) -> None:
    message, remedy = await refused(stage.create(mode="import"))
    assert message == f"The repository {stage.place.owner}/{stage.project.name} was not found"
    assert "the credential 'work' may see it" in remedy


async def test_an_import_that_was_merged_stays(stage: Stage) -> None:
    repository = older(stage)
    await stage.place.pushed(await stage.found(), {"theirs.txt": b"theirs"})
    pushed = await stage.push(mode="import")
    (pull,) = repository.pulls.values()
    pull["state"], pull["merged_at"] = "merged", "2026-01-01T00:00:00Z"
    pull["merged"] = True
    if stage.place.host.kind != "gitlab":
        pull["state"] = "closed"
    message, _ = await refused(stage.withdraw(pushed, mode="import"))
    assert message.endswith("was kept: it was merged")
    assert pushed.branch in {name.removeprefix("refs/heads/") for name in stage.refs()}


@pytest.mark.parametrize("branch", ["main", "work"])
async def test_a_rollback_keeps_the_work_of_people_on_any_branch(stage: Stage, branch: str) -> None:
    await stage.create()
    await stage.push()
    await stage.place.pushed(await stage.found(), {"mine.txt": b"mine"}, branch)
    message, remedy = await refused(stage.delete())
    assert f"was kept: it has new commits (refs/heads/{branch})" in message
    assert remedy


async def test_a_protected_empty_repository_takes_the_template_after_a_first_commit(
    stage: Stage,
) -> None:
    await stage.create()
    repository = await stage.found()
    # As a rule of the organization does, which is there before the first push.
    await stage.place.host.protect_branch(repository, BranchRules())
    message, remedy = await refused(stage.push())
    assert message.endswith("an empty repository takes no pull request")
    assert "pull_request" not in remedy
    message, remedy = await refused(stage.push(protected="pull_request"))
    assert message.endswith("an empty repository takes no pull request")
    assert "create a first file in main on the host" in remedy

    # Somebody who may do so follows the remedy.
    await stage.place.host.unprotect_branch(repository, "main")
    first = await stage.place.pushed(repository, {"README.md": b"# First\n"})
    await stage.place.host.protect_branch(repository, BranchRules())
    pushed = await stage.push(protected="pull_request")
    assert pushed.pull_request is not None
    assert stage.commits(pushed.branch) == [pushed.commit, first]
    assert stage.commits() == [first]
    assert await stage.push(protected="pull_request") == pushed
    assert (await stage.withdraw(pushed)).removed == [pushed.pull_request["url"], pushed.branch]


@pytest.mark.parametrize("renames", [True, False])
async def test_a_deleted_project_of_gitlab_that_keeps_its_name_says_until_when(
    on_gitlab: Place, tmp_path: Path, renames: bool
) -> None:
    stage = new_stage(on_gitlab, tmp_path / "templates")
    world = server(stage).world
    world.options.update(renames_deleted=renames, deletes_at_once=renames)
    await stage.create()
    if renames:
        assert (await stage.delete()).removed
        assert (await stage.create()).name == stage.project.name
        return
    with pytest.raises(ApplicationError, match="keeps the deleted project"):
        await stage.delete()
    other = ProjectRef(str(uuid4()), stage.project.name, stage.project.owner)
    with pytest.raises(HostError) as taken:
        await on_gitlab.host.create_repository(on_gitlab.spec(name=other.name, project_id=other.id))
    assert taken.value.reason is Reason.NAME_TAKEN
    stored = world.find(f"acme/{other.name}")
    assert stored is not None
    assert stored.options["marked_for_deletion_on"] in taken.value.message
    assert "Delete that repository at once" in taken.value.remedy
    world.delete(stored)
    again = on_gitlab.spec(name=other.name, project_id=other.id)
    assert (await on_gitlab.host.create_repository(again)).project_id == other.id


def merged(stage: Stage, branch: str) -> None:
    """Merge a branch into main by a fast-forward, as a person does on the host."""
    with Repo(str(stage.path)) as repo:
        repo.refs[Ref(b"refs/heads/main")] = repo.refs[Ref(f"refs/heads/{branch}".encode())]


async def test_a_rollback_keeps_the_work_of_people_below_a_commit_of_stepway(stage: Stage) -> None:
    made = await stage.create()
    first = await stage.place.pushed(await stage.found(), {"mine.txt": b"mine"})
    pushed = await stage.push(protected="pull_request")
    assert pushed.pull_request is not None
    merged(stage, pushed.branch)
    assert stage.commits() == [pushed.commit, first]
    message, _ = await refused(stage.delete(result=vars(made)))
    assert "was kept: it has new commits (refs/heads/main, refs/heads/stepway/" in message
    assert stage.commits() == [pushed.commit, first]


async def test_a_rollback_keeps_a_repository_with_a_tag(stage: Stage) -> None:
    await stage.create()
    pushed = await stage.push()
    with Repo(str(stage.path)) as repo:
        repo.refs[Ref(b"refs/tags/v1")] = ObjectID(pushed.commit.encode())
    message, _ = await refused(stage.delete())
    assert message.endswith("it has new commits (refs/tags/v1)")


async def test_a_rollback_reads_no_more_commits_than_stepway_makes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_OWN_COMMITS", 3)
    await stage.create()
    with Repo(str(stage.path)) as repo:
        tree = changed_tree(repo, None, [])
        head: Commit | None = None
        for number in range(4):
            new = add_commit(
                repo, tree, head, message=f"{number}", project_id=stage.project.id, at=number
            )
            found = repo[new]
            assert isinstance(found, Commit)
            head, repo.refs[Ref(b"refs/heads/main")] = found, new
    message, _ = await refused(stage.delete())
    assert message.endswith("it has new commits (refs/heads/main)")
    monkeypatch.setattr(remote, "_OWN_COMMITS", 9)
    assert (await stage.delete()).removed
