"""GitHub's unhappy paths: each error names its cause and its remedy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepway.hosts import http
from stepway.hosts.access import StaticToken
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.api import api_of
from stepway.hosts.github.client import open_github
from stepway.hosts.host import (
    BranchRules,
    DeployEnvironment,
    Feature,
    GitHost,
    HostRepository,
    Permission,
    PullRequestSpec,
    Visibility,
    WebhookSpec,
)
from tests.integration.hosts.places import SOON, Place, PushRefused
from tests.support.githost.answers import Answer
from tests.support.githost.certificates import private_authority
from tests.support.githost.faults import html_page
from tests.support.githost.github.faults import (
    primary_limit,
    secondary_limit,
    server_error,
    unavailable,
)
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.state import Token
from tests.support.servers import eventually

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHAu3o8vtHZ0lOzp3w7cxEWg2hJ7YvQ6y2Tq1p5S9v1n"


def server(place: Place) -> Host:
    """The host for tests."""
    assert place.server is not None
    return place.server


@asynccontextmanager
async def as_token(place: Place, token: Token) -> AsyncIterator[GitHost]:
    """Open the same host with another token."""
    assert place.access is not None
    access = replace(place.access, tokens=StaticToken(token.value))
    async with open_github(access, patience=SOON) as host:
        yield host


async def refusal(call: Any) -> HostError:
    """Return the error that a call raises."""
    with pytest.raises(HostError) as refused:
        await call
    return refused.value


def test_the_api_of_github_com_and_of_an_enterprise() -> None:
    assert api_of("https://github.com") == "https://api.github.com"
    assert api_of("https://git.acme.example") == "https://git.acme.example/api/v3"


async def test_a_token_tells_its_scopes_and_its_expiry(on_github: Place) -> None:
    token = server(on_github).world.add_token("erin", {"repo"}, lasts=timedelta(days=3))
    async with as_token(on_github, token) as host:
        identity = await host.identity()
        assert await host.missing_scopes([Feature.SECRETS], workflows=True) == ["workflow"]
        assert await host.missing_scopes([Feature.SECRETS], workflows=False) == []
    assert identity.scopes is not None
    assert {"repo", "public_repo"} <= identity.scopes
    assert token.expires_at is not None
    assert identity.expires_at == token.expires_at.replace(microsecond=0)


async def test_a_fine_grained_token_tells_no_scopes(on_github: Place) -> None:
    token = server(on_github).world.add_token("erin", kind="fine-grained")
    async with as_token(on_github, token) as host:
        assert (await host.identity()).scopes is None
        assert await host.missing_scopes([Feature.SECRETS], workflows=True) == []


async def test_a_token_that_expires_in_the_middle(on_github: Place) -> None:
    token = server(on_github).world.add_token("erin", {"repo"}, lasts=timedelta(days=1))
    async with as_token(on_github, token) as host:
        made = await host.create_repository(on_github.spec())
        token.revoked = True
        error = await refusal(host.put_variable(made, "A", "1"))
    assert (error.reason, error.status) == (Reason.UNAUTHORIZED, 401)
    assert "work" in error.remedy
    assert not error.may_succeed_later


async def test_a_scope_is_missing(on_github: Place) -> None:
    token = server(on_github).world.add_token("erin", {"public_repo"})
    async with as_token(on_github, token) as host:
        error = await refusal(host.create_repository(on_github.spec()))
        assert error.reason is Reason.SCOPE_MISSING
        assert "repo" in error.message
        public = on_github.spec(visibility=Visibility.PUBLIC)
        made = await host.create_repository(public)
        error = await refusal(host.delete_repository(made))
    assert error.reason is Reason.SCOPE_MISSING
    assert "delete_repo" in error.message


async def test_a_permission_of_a_fine_grained_token_is_missing(on_github: Place) -> None:
    made = await on_github.create()
    token = server(on_github).world.add_token(
        "erin", kind="fine-grained", permissions={"administration": "write"}
    )
    async with as_token(on_github, token) as host:
        error = await refusal(host.put_secret(made, "A", "1"))
    assert error.reason is Reason.SCOPE_MISSING
    assert "secrets=write" in error.message


async def test_single_sign_on_is_required(on_github: Place) -> None:
    world = server(on_github).world
    world.add_organization("guarded", owner="erin", single_sign_on=True)
    error = await refusal(on_github.create(owner="guarded"))
    assert error.reason is Reason.SSO_REQUIRED
    assert "/orgs/guarded/sso" in error.remedy
    token = world.add_token("erin", {"repo"}, authorized={"guarded"})
    async with as_token(on_github, token) as host:
        await host.create_repository(on_github.spec(owner="guarded"))


async def test_a_member_may_not_create_repositories(on_github: Place) -> None:
    world = server(on_github).world
    world.accounts["acme"].members["otto"] = "member"
    async with as_token(on_github, world.add_token("otto", {"repo"})) as host:
        error = await refusal(host.create_repository(on_github.spec()))
    assert error.reason is Reason.FORBIDDEN
    assert error.remedy


async def test_a_name_is_taken_by_a_stranger(on_github: Place) -> None:
    server(on_github).world.add_repository("acme", "taken", topics=["sw-web"])
    error = await refusal(on_github.create(name="taken"))
    assert error.reason is Reason.NAME_TAKEN
    assert "acme/taken" in error.message
    assert error.remedy


async def test_a_name_is_taken_by_what_the_token_may_not_see(on_github: Place) -> None:
    world = server(on_github).world
    world.accounts["acme"].members["otto"] = "member"
    world.accounts["acme"].options["members_may_create"] = True
    world.add_repository("acme", "taken")
    async with as_token(on_github, world.add_token("otto", {"repo"})) as host:
        error = await refusal(host.create_repository(on_github.spec(name="taken")))
    assert error.reason is Reason.NAME_TAKEN


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (partial(secondary_limit, 30), 30),
        (partial(secondary_limit, 30, status=429), 30),
        (partial(secondary_limit, None), 60),
        (partial(primary_limit, 1200), 1200),
        (partial(primary_limit, 1200, status=429), 1200),
    ],
)
async def test_a_rate_limit_names_when_to_come_back(
    on_github: Place, answer: Callable[[], Answer], seconds: float
) -> None:
    fault = server(on_github).faults.add("POST .*/repos$", answer())
    error = await refusal(on_github.create())
    assert fault.met == 1
    assert error.reason is Reason.RATE_LIMITED
    assert error.retry_after == pytest.approx(seconds, abs=20)
    assert error.may_succeed_later


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (server_error(), Reason.SERVER_ERROR),
        (unavailable(), Reason.SERVER_ERROR),
        (html_page(200), Reason.NOT_JSON),
        (html_page(403), Reason.NOT_JSON),
        (Answer(404, "<html>nginx</html>"), Reason.NOT_JSON),
    ],
)
async def test_an_answer_that_is_not_the_apis(
    on_github: Place, answer: Answer, reason: Reason
) -> None:
    server(on_github).faults.add("GET .*/repos/acme/", answer)
    error = await refusal(on_github.host.find_repository("acme", "shop"))
    assert error.reason is reason
    assert error.may_succeed_later


async def test_an_answer_comes_too_late(on_github: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository is created after the client has given up: the next attempt finds it."""
    monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(0.3))
    spec = on_github.spec()
    server(on_github).faults.add("POST .*/repos$", delay=2.0)
    assert on_github.access is not None
    async with open_github(on_github.access, patience=SOON) as host:
        error = await refusal(host.create_repository(spec))
        assert error.reason is Reason.TIMED_OUT

        async def is_there() -> bool:
            return server(on_github).world.find(f"acme/{spec.name}") is not None

        await eventually(is_there)
        monkeypatch.undo()
    made = await on_github.host.create_repository(spec)
    assert made.project_id == spec.project_id
    assert len(server(on_github).requests("POST .*/repos$")) == 1


async def test_a_slow_drip_is_bounded_too(
    on_github: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST", 0.2)
    server(on_github).faults.add("GET .*/user$", delay=1.0)
    error = await refusal(on_github.host.identity())
    assert error.reason is Reason.TIMED_OUT


async def test_a_host_that_is_away(on_github: Place) -> None:
    assert on_github.access is not None
    access = replace(on_github.access, url="http://127.0.0.1:1")
    async with open_github(access, patience=SOON) as host:
        error = await refusal(host.identity())
    assert error.reason is Reason.UNREACHABLE
    assert error.remedy


async def test_a_private_authority_must_be_named(on_github: Place, tmp_path: Path) -> None:
    context, ca = private_authority(tmp_path)
    assert on_github.access is not None
    with running_host(GitHubSurface, tls=context) as guarded:
        guarded.world.add_account("erin")
        token = StaticToken(guarded.world.add_token("erin", {"repo"}).value)
        access = replace(on_github.access, url=guarded.url, tokens=token)
        async with open_github(access, patience=SOON) as host:
            error = await refusal(host.identity())
        assert error.reason is Reason.CERTIFICATE
        assert "--ca" in error.remedy
        async with open_github(replace(access, ca=ca), patience=SOON) as host:
            assert (await host.identity()).account == "erin"


async def test_a_renamed_repository(on_github: Place) -> None:
    made = await on_github.create()
    world = server(on_github).world
    stored = on_github.stored(made)
    assert stored is not None
    world.rename(stored, "acme", "renamed")
    assert await on_github.host.find_repository("acme", made.name) is None
    # A change by the old name keeps method and body through the redirect.
    await on_github.host.put_variable(made, "A", "1")
    await on_github.host.put_secret(made, "B", "2")
    assert stored.variables == {(None, "A"): "1"}
    assert stored.secrets == {(None, "B"): "2"}
    assert not await on_github.host.delete_repository(made)
    assert stored.id in world.repositories


async def test_an_archived_repository(on_github: Place) -> None:
    made = await on_github.create()
    stored = on_github.stored(made)
    assert stored is not None
    stored.archived = True
    error = await refusal(on_github.host.put_variable(made, "A", "1"))
    assert error.reason is Reason.ARCHIVED
    found = await on_github.host.find_repository(made.owner, made.name)
    assert found is not None
    assert found.archived


async def test_what_the_plan_does_not_have(on_github: Place) -> None:
    server(on_github).world.accounts["acme"].plan = "free"
    made = await on_github.create()
    reviewed = DeployEnvironment("production", ("erin",), wait=5)
    error = await refusal(on_github.host.put_environment(made, reviewed))
    assert error.reason is Reason.UNSUPPORTED
    assert "plan" in error.remedy
    await on_github.host.put_environment(made, DeployEnvironment("production"))
    error = await refusal(on_github.host.protect_branch(made, BranchRules()))
    assert error.reason is Reason.UNSUPPORTED


async def test_an_environment_has_reviewers_and_a_wait_timer(on_github: Place) -> None:
    made = await on_github.create()
    given = DeployEnvironment("a/b c", ("erin", "@developers", "@acme/developers"), wait=30)
    await on_github.host.put_environment(made, given)
    stored = on_github.stored(made)
    assert stored is not None
    kept = stored.environments["a/b c"]
    world = server(on_github).world
    team = world.accounts["acme"].teams["developers"].id
    assert kept["wait_timer"] == 30
    assert kept["reviewers"] == [
        {"type": "User", "id": world.accounts["erin"].id},
        {"type": "Team", "id": team},
        {"type": "Team", "id": team},
    ]


async def test_a_deploy_key_serves_one_repository(on_github: Place) -> None:
    first, second = await on_github.create(), await on_github.create()
    await on_github.host.add_deploy_key(first, "flux", KEY)
    error = await refusal(on_github.host.add_deploy_key(second, "flux", KEY))
    assert error.reason is Reason.NAME_TAKEN
    assert error.remedy
    key = await on_github.host.add_deploy_key(first, "flux", KEY, read_only=False)
    stored = on_github.stored(first)
    assert stored is not None
    assert [kept["read_only"] for kept in stored.keys.values()] == [False]
    assert list(stored.keys) == [int(key)]


async def test_a_webhook_is_found_on_a_later_page(on_github: Place) -> None:
    made = await on_github.create()
    stored = on_github.stored(made)
    assert stored is not None
    for number in range(1000, 1130):
        config = {"url": f"https://hooks.example/{number}"}
        stored.hooks[number] = {"id": number, "events": ["push"], "config": config}
    hook = WebhookSpec("https://hooks.example/1129", ("push", "release"), secret="s3cret")
    assert await on_github.host.add_webhook(made, hook) == "1129"
    assert len(stored.hooks) == 130
    assert stored.hooks[1129]["events"] == ["push", "release"]
    assert stored.hooks[1129]["config"]["secret"] == "s3cret"


async def test_a_workflow_that_cannot_be_started(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.pushed(made, {".github/workflows/ci.yml": b"on: push\n"})
    error = await refusal(on_github.host.dispatch(made, "ci.yml", "main", {}))
    assert error.reason is Reason.INVALID
    assert "workflow_dispatch" in error.remedy
    error = await refusal(on_github.host.dispatch(made, "never.yml", "main", {}))
    assert error.reason is Reason.NOT_FOUND


async def test_a_workflow_gets_its_inputs_as_texts(on_github: Place) -> None:
    made = await on_github.create()
    path, text = on_github.workflow
    await on_github.pushed(made, {path: text.encode()})
    await on_github.host.dispatch(made, path, "main", {"a": "x", "b": 3, "c": True})
    stored = on_github.stored(made)
    assert stored is not None
    assert stored.dispatches[0]["inputs"] == {"a": "x", "b": "3", "c": "true"}


@pytest.mark.parametrize("effect", [True, False])
async def test_the_answer_to_a_dispatch_is_lost(on_github: Place, effect: bool) -> None:
    made = await on_github.create()
    path, text = on_github.workflow
    await on_github.pushed(made, {path: text.encode()})
    server(on_github).faults.add("POST .*/dispatches", effect=effect, lost=True)
    if not effect:
        error = await refusal(on_github.host.dispatch(made, path, "main", {}))
        assert error.may_succeed_later
    await on_github.host.dispatch(made, path, "main", {})
    stored = on_github.stored(made)
    assert stored is not None
    assert len(stored.dispatches) == 1


async def test_what_an_earlier_attempt_has_added_shows_up_late(on_github: Place) -> None:
    """The lists do not show it yet, and adding it again is refused: it is looked up again."""
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    await on_github.pushed(made, {"a": b"2"}, "change")
    hook, pull = WebhookSpec("https://hooks.example/a"), PullRequestSpec("change", "main", "A")
    first = (
        await on_github.host.add_webhook(made, hook),
        await on_github.host.add_deploy_key(made, "flux", KEY),
        await on_github.host.open_pull_request(made, pull),
    )
    await on_github.host.protect_branch(made, BranchRules())
    for part in ("hooks", "keys", "pulls", "rulesets"):
        server(on_github).faults.add(f"GET .*/{part}$", Answer(200, []), times=2)
    again = (
        await on_github.host.add_webhook(made, hook),
        await on_github.host.add_deploy_key(made, "flux", KEY),
        await on_github.host.open_pull_request(made, pull),
    )
    await on_github.host.protect_branch(made, BranchRules())
    assert again == first


async def test_topics_of_people_are_kept(on_github: Place) -> None:
    spec = on_github.spec(topics=("web",))
    made = await on_github.host.create_repository(spec)
    stored = on_github.stored(made)
    assert stored is not None
    stored.topics = ["theirs", stored.topics[0]]
    await on_github.host.create_repository(spec)
    assert {"theirs", "web"} < set(stored.topics)


async def test_an_authority_that_cannot_be_read(on_github: Place) -> None:
    assert on_github.access is not None
    with pytest.raises(HostError) as refused:
        async with open_github(replace(on_github.access, ca="no PEM")):
            pass
    assert refused.value.reason is Reason.INVALID
    assert "--ca" in refused.value.remedy


async def test_a_pull_request_from_an_unknown_branch(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    spec = PullRequestSpec("never", "main", "A change")
    error = await refusal(on_github.host.open_pull_request(made, spec))
    assert error.reason is Reason.INVALID
    assert "head" in error.message


async def test_a_branch_is_unknown_to_pull_requests_for_a_moment(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    await on_github.pushed(made, {"a": b"2"}, "change")
    error = {"resource": "PullRequest", "field": "head", "code": "invalid"}
    answer = Answer(422, {"message": "Validation Failed", "errors": [error]})
    fault = server(on_github).faults.add("POST .*/pulls$", answer, times=2)
    spec = PullRequestSpec("change", "main", "A change")
    assert (await on_github.host.open_pull_request(made, spec)).state == "open"
    assert fault.met == 2


async def test_a_merged_pull_request(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    commit = await on_github.pushed(made, {"a": b"2"}, "change")
    opened = await on_github.host.open_pull_request(
        made, PullRequestSpec("change", "main", "A change")
    )
    stored = on_github.stored(made)
    surface = server(on_github).surface
    assert stored is not None
    assert isinstance(surface, GitHubSurface)
    surface.merge(stored, opened.number)
    assert (await on_github.host.find_pull_request(made, opened.number)).state == "merged"
    assert not await on_github.host.close_pull_request(made, opened.number)
    assert await on_github.host.branch_head(made, "main") == commit


async def test_rules_name_what_must_pass(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    await on_github.host.protect_branch(made, BranchRules(approvals=2))
    rules = BranchRules(checks=("build", "lint"), pull_request=False, allow_force_push=True)
    await on_github.host.protect_branch(made, rules)
    stored = on_github.stored(made)
    assert stored is not None
    assert len(stored.rulesets) == 1
    kinds = [rule["type"] for rule in next(iter(stored.rulesets.values()))["rules"]]
    assert kinds == ["deletion", "required_status_checks"]
    with pytest.raises(PushRefused, match='Required status check "build" is expected'):
        await on_github.pushed(made, {"a": b"2"})


async def test_an_older_enterprise_has_branch_protection(on_github: Place) -> None:
    server(on_github).world.options["no_rulesets"] = True
    made = await on_github.create()
    await on_github.pushed(made, {"a": b"1"})
    await on_github.host.protect_branch(made, BranchRules(approvals=1, checks=("build",)))
    with pytest.raises(PushRefused, match="GH006"):
        await on_github.pushed(made, {"a": b"2"})
    assert await on_github.host.unprotect_branch(made, "main")
    assert not await on_github.host.unprotect_branch(made, "main")
    await on_github.pushed(made, {"a": b"2"})


NEW = ("topics", "collaborators", "keys", "environments", "public-key", "hooks", "variables")


@pytest.mark.parametrize("part", NEW)
async def test_a_part_of_a_new_repository_is_not_there_yet(on_github: Place, part: str) -> None:
    not_found = Answer(404, {"message": "Not Found", "documentation_url": "", "status": "404"})
    fault = server(on_github).faults.add(f"(PUT|POST|PATCH) .*/{part}", not_found, times=2)
    if part == "public-key":
        fault.pattern = "GET .*/public-key"
    made = await on_github.create()
    await on_github.host.put_collaborator(made, "otto", Permission.WRITE)
    await on_github.host.put_team(made, "developers", Permission.WRITE)
    await on_github.host.add_deploy_key(made, "flux", KEY)
    await on_github.host.put_environment(made, DeployEnvironment("production"))
    await on_github.host.put_secret(made, "A", "1")
    await on_github.host.put_variable(made, "A", "1")
    await on_github.host.add_webhook(made, WebhookSpec("https://hooks.example/a"))
    assert fault.met == 2


async def test_a_repository_that_stays_hidden_is_tried_again_later(on_github: Place) -> None:
    made = await on_github.create()
    stored = on_github.stored(made)
    assert stored is not None
    stored.hidden = 100
    error = await refusal(on_github.host.put_environment(made, DeployEnvironment("production")))
    assert error.reason is Reason.CONFLICT
    assert error.may_succeed_later


async def test_what_has_not_changed_spares_the_quota(on_github: Place) -> None:
    made = await on_github.create()
    world, host = server(on_github).world, on_github.host
    await host.find_repository(made.owner, made.name)
    used, sent = world.options["used"], len(server(on_github).log)
    for _ in range(5):
        assert await host.find_repository(made.owner, made.name) == made
    assert len(server(on_github).log) > sent
    assert world.options["used"] == used
    await on_github.pushed(made, {"a": b"1"})
    found = await host.find_repository(made.owner, made.name)
    assert found is not None
    assert not found.empty
    assert world.options["used"] > used


async def test_answers_of_one_token_are_not_those_of_another(on_github: Place) -> None:
    made = await on_github.create()
    await on_github.host.find_repository(made.owner, made.name)
    stranger = server(on_github).world.add_token("otto", {"repo"})
    async with as_token(on_github, stranger) as host:
        assert await host.find_repository(made.owner, made.name) is None
    token = await on_github.access.tokens.token()  # type: ignore[union-attr]
    server(on_github).world.tokens[token].revoked = True
    error = await refusal(on_github.host.find_repository(made.owner, made.name))
    assert error.reason is Reason.UNAUTHORIZED


async def test_scopes_that_were_added_to_a_token_count_at_once(on_github: Place) -> None:
    token = await on_github.access.tokens.token()  # type: ignore[union-attr]
    stored = server(on_github).world.tokens[token]
    stored.scopes = {"repo"}
    assert await on_github.host.missing_scopes([], workflows=True) == ["workflow"]
    stored.scopes = {"repo", "workflow"}
    assert await on_github.host.missing_scopes([], workflows=True) == []


async def test_a_long_description_is_cut(on_github: Place) -> None:
    made = await on_github.create(description="word \x07 " * 200)
    stored = on_github.stored(made)
    assert stored is not None
    assert len(stored.description) <= 350


async def test_an_interrupted_creation_is_finished(on_github: Place) -> None:
    """The attempt ends between the creation and the topics: the next one sets them."""
    server(on_github).faults.add("PUT .*/topics", server_error())
    spec = on_github.spec(topics=("web",))
    error = await refusal(on_github.host.create_repository(spec))
    assert error.may_succeed_later
    found = await on_github.host.find_repository(spec.owner, spec.name)
    assert found is not None
    assert found.project_id == spec.project_id
    await on_github.host.create_repository(spec)
    stored = on_github.stored(found)
    assert stored is not None
    assert "web" in stored.topics
    assert "Stepway" not in stored.description


async def test_many_at_once_make_one_repository_each(on_github: Place) -> None:
    specs = [on_github.spec() for _ in range(8)]
    made: list[HostRepository] = await asyncio.gather(
        *(on_github.host.create_repository(spec) for spec in specs)
    )
    assert [one.project_id for one in made] == [spec.project_id for spec in specs]


async def test_neither_token_nor_secret_is_logged(
    on_github: Place, caplog: pytest.LogCaptureFixture
) -> None:
    assert on_github.access is not None
    token = await on_github.access.tokens.token()
    with caplog.at_level(logging.DEBUG):
        made = await on_github.create()
        await on_github.host.put_secret(made, "A", "canary-of-a-secret")
        await on_github.host.add_webhook(
            made, WebhookSpec("https://hooks.example/a", secret="canary-of-a-hook")
        )
        error = await refusal(on_github.host.dispatch(made, "x.yml", "main", {}))
    texts = [
        *(record.getMessage() for record in caplog.records),
        str(error),
        repr(on_github.access),
    ]
    assert len(texts) > 5
    assert not [text for text in texts if token in text or "canary" in text]
    sent = b"".join(entry.body for entry in server(on_github).requests("/secrets/"))
    assert sent
    assert b"canary" not in sent
