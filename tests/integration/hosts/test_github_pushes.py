"""What GitHub says to pushes that it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stepway.hosts.access import StaticToken
from stepway.hosts.github.client import open_github
from stepway.hosts.host import BranchRules
from tests.integration.hosts.places import SOON, Place, PushRefused, push
from tests.support.githost.answers import Answer

WORKFLOW = {".github/workflows/ci.yml": b"on: push\n"}


async def test_a_workflow_needs_the_scope_workflow(on_github: Place) -> None:
    assert on_github.server is not None
    assert on_github.access is not None
    made = await on_github.create()
    token = on_github.server.world.add_token("erin", {"repo"})
    access = replace(on_github.access, tokens=StaticToken(token.value))
    async with open_github(access, patience=SOON) as host:
        remote = await host.remote(made)
    text = "without `workflow` scope"
    with pytest.raises(PushRefused, match=text):
        push(remote, WORKFLOW)
    assert await on_github.host.branch_head(made, "main") is None
    push(remote, {"README.md": b"hello\n"})


async def test_a_secret_is_found(on_github: Place) -> None:
    made = await on_github.create()
    key = "AKIA" + "Z7Q2" * 4
    with pytest.raises(PushRefused, match="GITHUB PUSH PROTECTION") as refused:
        await on_github.pushed(made, {"conf.ini": f"a=1\nkey={key}\n".encode()})
    assert "path: conf.ini:2" in str(refused.value)
    assert "push declined due to repository rule violations" in str(refused.value)


async def test_a_file_is_too_large(on_github: Place) -> None:
    assert on_github.server is not None
    on_github.server.world.largest_file = 1 << 20
    made = await on_github.create()
    with pytest.raises(PushRefused, match="GH001"):
        await on_github.pushed(made, {"big.bin": bytes(2 << 20)})


async def test_a_rule_wants_a_pull_request(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    await on_github.host.protect_branch(made, BranchRules())
    with pytest.raises(PushRefused, match="Changes must be made through a pull request"):
        await on_github.pushed(made, {"a": b"2"})
    await on_github.pushed(made, {"a": b"2"}, "change")


async def test_the_answer_to_a_push_is_lost(on_github: Place) -> None:
    assert on_github.server is not None
    made = await on_github.create()
    on_github.server.faults.add("POST .*/git-receive-pack", effect=True, lost=True)
    with pytest.raises(Exception, match=r"(?i)connection|response|disconnected|aborted"):
        await on_github.pushed(made, {"a": b"1"})
    assert await on_github.host.branch_head(made, "main") is not None


async def test_a_push_meets_a_proxy_that_is_down(on_github: Place) -> None:
    assert on_github.server is not None
    made = await on_github.create()
    on_github.server.faults.add("POST .*/git-receive-pack", Answer(502, "bad gateway"))
    with pytest.raises(Exception, match="502"):
        await on_github.pushed(made, {"a": b"1"})
    assert await on_github.host.branch_head(made, "main") is None
    await on_github.pushed(made, {"a": b"1"})


async def test_a_wrong_token_may_not_push(on_github: Place) -> None:
    made = await on_github.create()
    remote = replace(await on_github.host.remote(made), password="ghp_wrong")
    with pytest.raises(Exception, match="credentials"):
        push(remote, {"a": b"1"})


async def test_a_branch_that_has_moved_is_not_overwritten(on_github: Place) -> None:
    """Two pushes from the same start: the second is refused, not reported as taken."""
    made = await on_github.create()
    first = await on_github.pushed(made, {"a": b"1"})
    second = await on_github.pushed(made, {"a": b"2"})
    assert first != second
    assert await on_github.host.branch_head(made, "main") == second
