"""A foreign typed client reads the answers of the host for tests: a second opinion."""

from __future__ import annotations

import asyncio

import gitlab
import pytest
from githubkit import GitHub
from pyforgejo import AsyncPyforgejoApi, NotFoundError

from stepway.hosts.host import HostRepository, Permission, topic_of
from tests.integration.hosts.places import Place
from tests.support.githost.server import Host
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


async def test_python_gitlab_reads_gitlabs_answers(on_gitlab: Place) -> None:
    assert on_gitlab.server is not None
    assert on_gitlab.access is not None
    made = await on_gitlab.create(topics=("web",))
    await on_gitlab.pushed(made, {"a": b"1", ".gitlab-ci.yml": b"test: {script: make}"})
    await on_gitlab.pushed(made, {"a": b"2"}, "change")
    await on_gitlab.host.put_team(made, on_gitlab.team, Permission.WRITE)
    token = await on_gitlab.access.tokens.token()
    await asyncio.to_thread(_read_by_python_gitlab, on_gitlab.server, made, token)


def _read_by_python_gitlab(server: Host, made: HostRepository, token: str) -> None:
    client = gitlab.Gitlab(server.url, private_token=token)
    client.auth()
    assert client.user is not None
    assert client.user.username == "erin"
    assert client.personal_access_tokens.get("self").scopes == ["api"]
    project = client.projects.get(f"{made.owner}/{made.name}")
    assert (project.id, project.namespace["full_path"], project.topics) == (
        int(made.id),
        "acme",
        [topic_of(made.project_id or ""), "web"],
    )
    assert project.shared_with_groups[0]["group_full_path"] == "acme/developers"
    stored = server.world.find(project.path_with_namespace)
    assert stored is not None
    assert project.branches.get("change").commit["id"] == stored.branches()["change"]
    assert [rule.name for rule in project.protectedbranches.list(get_all=True)] == ["main"]
    request = project.mergerequests.create(
        {"source_branch": "change", "target_branch": "main", "title": "A change"}
    )
    assert (request.iid, request.state) == (1, "opened")
    with pytest.raises(gitlab.GitlabCreateError, match="already exists") as refused:
        project.mergerequests.create(
            {"source_branch": "change", "target_branch": "main", "title": "Again"}
        )
    assert refused.value.response_code == 409
    variable = project.variables.create({"key": "A", "value": "secret-value", "masked": True})
    assert variable.environment_scope == "*"
    for number in range(30):
        project.environments.create({"name": f"review-{number}"})
    assert len(project.environments.list(get_all=True)) == 30
    assert project.hooks.create({"url": "https://hooks.example/a"}).push_events
    assert project.pipelines.create({"ref": "main"}).web_url.startswith(made.web_url)
    project.delete()
    assert client.projects.get(made.id).marked_for_deletion_on


async def test_pyforgejo_reads_forgejos_answers(on_forgejo: Place) -> None:
    assert on_forgejo.server is not None
    assert on_forgejo.access is not None
    made = await on_forgejo.create(topics=("web",))
    await on_forgejo.pushed(made, {"a": b"1"})
    await on_forgejo.pushed(made, {"a": b"2"}, "change")
    await on_forgejo.host.put_team(made, on_forgejo.team, Permission.WRITE)
    token = await on_forgejo.access.tokens.token()
    client = AsyncPyforgejoApi(base_url=f"{on_forgejo.server.url}/api/v1", api_key=f"token {token}")
    assert (await client.user.get_current()).login == "erin"
    repositories, place = client.repository, {"owner": "acme", "repo": made.name}
    found = await repositories.repo_get(**place)
    assert found.owner is not None
    assert (found.id, found.owner.login, found.topics, found.empty) == (
        int(made.id),
        "acme",
        [topic_of(made.project_id or ""), "web"],
        False,
    )
    branch = await repositories.repo_get_branch(**place, branch="change")
    assert branch.commit is not None
    assert branch.commit.id == await on_forgejo.host.branch_head(made, "change")
    pull = await repositories.repo_create_pull_request(
        **place, head="change", base="main", title="A change"
    )
    assert (pull.number, pull.state, pull.merged) == (1, "open", False)
    hook = await repositories.repo_create_hook(
        **place, type="forgejo", config={"url": "https://a.example", "content_type": "json"}
    )
    assert hook.events == ["push"]
    rule = await repositories.repo_create_branch_protection(**place, rule_name="main")
    assert rule.enable_push is False
    team = await repositories.repo_check_team(**place, team="developers")
    assert team.permission == "admin"
    with pytest.raises(NotFoundError):
        await repositories.repo_get_branch(**place, branch="none")
