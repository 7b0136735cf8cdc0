"""Pushes that GitHub refuses: the error has GitHub's words, the cause and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.git import remote
from stepway.activities.repository import target
from stepway.hosts.host import BranchRules
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.github.faults import secondary_limit


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses while something new is not yet visible."""
    monkeypatch.setattr(remote, "NOT_YET", (0.01,) * 4)
    monkeypatch.setattr(target, "NOT_YET", (0.01,) * 4)


@pytest.fixture
def stage(on_github: Place, tmp_path: Path) -> Stage:
    return new_stage(on_github, tmp_path / "templates")


async def refused(stage: Stage, **more: str) -> tuple[str, str, str]:
    """Push; return the message, the remedy and the host's words of the error."""
    with pytest.raises(ApplicationError) as caught:
        await stage.push(**more)
    assert caught.value.non_retryable
    given = caught.value.details[0]
    return caught.value.message, given["remedy"], given["details"]["host"]


async def test_a_workflow_needs_its_scope(stage: Stage) -> None:
    await stage.create()
    (stage.folder / "mine" / ".github" / "workflows").mkdir(parents=True)
    (stage.folder / "mine" / ".github" / "workflows" / "ci.yml").write_text("on: push\n")
    for token in stage.place.server.world.tokens.values():
        token.scopes.discard("workflow")
    message, remedy, said = await refused(stage)
    assert "scope `workflow` is missing" in message
    assert "credential set work" in remedy
    assert "refusing to allow a Personal Access Token" in said
    assert stage.refs() == {}


async def test_a_secret_in_the_template_is_named_with_its_place(stage: Stage) -> None:
    await stage.create()
    (stage.folder / "mine" / "keys.txt").write_text("AKIA" + "A" * 16)
    message, remedy, said = await refused(stage)
    assert "found a secret" in message
    assert "Remove the secret" in remedy
    assert "path: keys.txt:1" in said


async def test_a_file_that_is_too_large_is_named(stage: Stage) -> None:
    await stage.create()
    stage.place.server.world.largest_file = 1_000
    message, _, said = await refused(stage)
    assert "does not take a file of this size" in message
    assert "picture.bin" in said


async def test_a_protected_branch_is_a_clear_error(stage: Stage) -> None:
    await stage.create()
    await stage.push()
    await stage.place.host.protect_branch(await stage.found(), BranchRules(approvals=1))
    (stage.folder / "mine" / "new.txt").write_text("new")
    message, remedy, said = await refused(stage)
    assert message == (
        f"The branch main of acme/{stage.project.name} is protected: 127.0.0.1 refuses the push"
    )
    assert "protected: pull_request" in remedy
    assert "through a pull request" in said


async def test_a_protected_branch_becomes_a_pull_request_where_the_blueprint_says_so(
    stage: Stage,
) -> None:
    await stage.create()
    first = await stage.push()
    await stage.place.host.protect_branch(await stage.found(), BranchRules(approvals=1))
    (stage.folder / "mine" / "new.txt").write_text("new")
    pushed = await stage.push(protected="pull_request")
    assert pushed.branch == f"stepway/{stage.project.name}"
    assert stage.commits(pushed.branch) == [pushed.commit, first.commit]
    assert stage.commits() == [first.commit]
    assert await stage.push(protected="pull_request") == pushed


async def test_a_rate_limit_is_waited_for_and_counts_as_no_failure(stage: Stage) -> None:
    stage.place.server.faults.add(r"POST .*/repos", secondary_limit(30))
    with pytest.raises(ApplicationError) as caught:
        await stage.create()
    assert caught.value.type == "RateLimited"
    assert caught.value.next_retry_delay is not None
    assert caught.value.next_retry_delay.total_seconds() == 30
