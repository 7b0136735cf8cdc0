"""A foreign typed client reads the answers of the host for tests: a second opinion."""

from __future__ import annotations

import pytest
from githubkit import GitHub

from stepway.hosts.host import topic_of
from tests.integration.hosts.places import Place
from tests.support.githost.shapes import test_data as shared_data


async def test_githubkit_reads_githubs_answers(on_github: Place) -> None:
    if shared_data() is None:
        pytest.skip("no shared test data: answers have only the fields that Stepway reads")
    assert on_github.server is not None
    assert on_github.access is not None
    made = await on_github.create(topics=("web",))
    await on_github.pushed(made, {"a": b"1"})
    await on_github.pushed(made, {"a": b"2"}, "change")
    token = await on_github.access.tokens.token()
    client = GitHub(token, base_url=f"{on_github.server.url}/api/v3/", auto_retry=False)
    async with client:
        rest = client.rest
        user = (await rest.users.async_get_authenticated()).parsed_data
        assert user.login == "erin"
        found = (await rest.repos.async_get("acme", made.name)).parsed_data
        assert (found.id, found.owner.login, found.topics) == (
            int(made.id),
            "acme",
            [topic_of(made.project_id or ""), "web"],
        )
        branches = (await rest.repos.async_list_branches("acme", made.name)).parsed_data
        assert {branch.name for branch in branches} == {"main", "change"}
        pull = (
            await rest.pulls.async_create(
                "acme", made.name, title="A change", head="change", base="main"
            )
        ).parsed_data
        assert (pull.number, pull.state) == (1, "open")
        hook = (
            await rest.repos.async_create_webhook(
                "acme", made.name, config={"url": "https://hooks.example/a"}, events=["push"]
            )
        ).parsed_data
        assert hook.active
        environment = (
            await rest.repos.async_create_or_update_environment(
                "acme", made.name, "production", wait_timer=5
            )
        ).parsed_data
        assert environment.name == "production"
        key = (await rest.actions.async_get_repo_public_key("acme", made.name)).parsed_data
        assert key.key
