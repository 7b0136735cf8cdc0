"""GitLab's client against a host that answers as GitLab does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest

from stepway.hosts.access import HostKind
from stepway.hosts.errors import Reason
from stepway.hosts.gitlab.host import open_gitlab
from stepway.hosts.host import (
    BranchRules,
    CommitStatus,
    DeployEnvironment,
    Feature,
    GitHost,
    HostRepository,
    Permission,
    PullRequestSpec,
    Visibility,
    WebhookSpec,
    topic_of,
)
from tests.integration.hosts.clients import KEY, access_to, refused, spec, stored
from tests.integration.hosts.places import SOON, PushRefused, push
from tests.support.githost.answers import Answer
from tests.support.githost.gitlab import GitLabSurface, add_bot_token
from tests.support.githost.server import Host, running_host
from tests.support.githost.state import Token


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host(GitLabSurface) as host:
        world = host.world
        for name in ("erin", "dave", "mallory"):
            world.add_account(name)
        world.add_organization("acme", owner="erin", visibility="internal")
        world.accounts["acme"].members["dave"] = "developer"
        world.add_organization("acme/platform", visibility="internal")
        world.add_organization("other", owner="mallory")
        yield host
        assert host.violations == []


def opened(host: Host, token: Token | str) -> AbstractAsyncContextManager[GitHost]:
    return open_gitlab(access_to(host, HostKind.GITLAB, token), patience=SOON)


@pytest.fixture
async def gitlab(host: Host) -> AsyncIterator[GitHost]:
    async with opened(host, host.world.add_token("erin", {"api"}, prefix="glpat-")) as gitlab:
        yield gitlab


@pytest.fixture
async def shop(gitlab: GitHost) -> HostRepository:
    return await gitlab.create_repository(spec())


class TestTokens:
    async def test_tells_account_scopes_and_the_end_of_the_day_before_it_expires(
        self, host: Host
    ) -> None:
        token = host.world.add_token("erin", {"api", "write_repository"}, lasts=timedelta(days=9))
        async with opened(host, token) as gitlab:
            identity = await gitlab.identity()
            assert await gitlab.missing_scopes(list(Feature), workflows=True) == []
        assert token.expires_at is not None
        assert identity.account == "erin"
        assert identity.kind == "user"
        assert identity.scopes == frozenset({"api", "write_repository"})
        assert identity.expires_at == datetime.combine(
            token.expires_at.date(), datetime.min.time(), UTC
        )

    async def test_knows_the_bot_of_a_group_and_of_a_project(
        self, host: Host, shop: HostRepository
    ) -> None:
        group = add_bot_token(host.world, "acme", {"api"})
        project = add_bot_token(host.world, stored(host, shop), {"api"})
        for token, kind in ((group, "group"), (project, "project")):
            async with opened(host, token) as gitlab:
                assert (await gitlab.identity()).kind == kind

    async def test_names_the_scope_that_is_missing(self, host: Host) -> None:
        token = host.world.add_token("erin", {"read_api"})
        async with opened(host, token) as gitlab:
            assert await gitlab.missing_scopes([], workflows=False) == ["api"]
            error = await refused(gitlab.create_repository(spec()))
        assert error.reason is Reason.SCOPE_MISSING
        assert "api" in error.message
        assert "credential set forge" in error.remedy

    @pytest.mark.parametrize("state", ["wrong", "revoked", "expired"])
    async def test_says_that_a_token_is_not_valid(self, host: Host, state: str) -> None:
        token = host.world.add_token("erin", {"api"})
        token.revoked = state == "revoked"
        if state == "expired":
            token.expires_at = datetime.now(UTC) - timedelta(days=1)
        async with opened(host, "glpat-none" if state == "wrong" else token) as gitlab:
            error = await refused(gitlab.identity())
        assert error.reason is Reason.UNAUTHORIZED
        assert "credential set forge" in error.remedy
        assert {"wrong": "401 Unauthorized"}.get(state, state) in error.message


class TestCreation:
    async def test_creates_an_empty_marked_project(self, host: Host, gitlab: GitHost) -> None:
        wanted = spec(
            owner="acme/platform",
            description="Sells things",
            visibility=Visibility.INTERNAL,
            topics=("python", "web shop"),
            default_branch="trunk",
        )
        made = await gitlab.create_repository(wanted)
        assert (made.owner, made.name) == ("acme/platform", "shop")
        assert made.project_id == wanted.project_id
        assert made.visibility is Visibility.INTERNAL
        assert made.default_branch == "trunk"
        assert made.empty
        assert made.web_url == f"{host.url}/acme/platform/shop"
        kept = stored(host, made)
        assert kept.topics == [topic_of(wanted.project_id), "python", "web shop"]
        assert kept.description == "Sells things"
        assert await gitlab.find_repository("ACME/platform", "shop") == made.__class__(
            **{**made.__dict__, "default_branch": "main"}
        )

    async def test_creates_for_a_person(self, gitlab: GitHost) -> None:
        assert (await gitlab.create_repository(spec(owner="erin"))).owner == "erin"

    async def test_returns_what_an_earlier_attempt_created(
        self, host: Host, gitlab: GitHost
    ) -> None:
        wanted = spec()
        first = await gitlab.create_repository(wanted)
        assert await gitlab.create_repository(wanted) == first
        assert len(host.world.repositories) == 1

    @pytest.mark.parametrize("answer", [Answer(502, "<html>Bad Gateway</html>"), None])
    async def test_looks_it_up_after_an_answer_that_did_not_arrive(
        self, host: Host, gitlab: GitHost, answer: Answer | None
    ) -> None:
        host.faults.add("POST /api/v4/projects$", answer, lost=answer is None, effect=True)
        wanted = spec()
        made = await gitlab.create_repository(wanted)
        assert made.project_id == wanted.project_id
        assert len(host.requests("POST /api/v4/projects$")) == 1

    async def test_raises_the_error_of_a_request_that_did_nothing(
        self, host: Host, gitlab: GitHost
    ) -> None:
        host.faults.add("POST /api/v4/projects$", Answer(503, "<html>Down</html>"))
        error = await refused(gitlab.create_repository(spec()))
        assert error.reason is Reason.SERVER_ERROR
        assert error.may_succeed_later

    async def test_refuses_the_name_of_another_project(self, host: Host, gitlab: GitHost) -> None:
        other = await gitlab.create_repository(spec())
        error = await refused(gitlab.create_repository(spec()))
        assert error.reason is Reason.NAME_TAKEN
        assert other.web_url in error.message
        assert not error.may_succeed_later

    async def test_refuses_the_name_of_a_project_that_it_may_not_see(
        self, host: Host, gitlab: GitHost
    ) -> None:
        host.world.add_repository("acme", "shop").hidden = 99
        error = await refused(gitlab.create_repository(spec()))
        assert error.reason is Reason.NAME_TAKEN
        assert "may not see" in error.message

    async def test_says_that_the_token_may_not_create_there(
        self, host: Host, shop: HostRepository
    ) -> None:
        token = add_bot_token(host.world, stored(host, shop), {"api"})
        host.world.accounts["acme"].members[token.account] = "guest"
        async with opened(host, token) as gitlab:
            error = await refused(gitlab.create_repository(spec("second")))
        assert error.reason is Reason.FORBIDDEN
        assert "project access token" in error.remedy

    async def test_says_that_the_group_is_unknown(self, gitlab: GitHost) -> None:
        error = await refused(gitlab.create_repository(spec(owner="nowhere")))
        assert error.reason is Reason.NOT_FOUND
        assert "nowhere" in error.message

    async def test_says_that_the_group_allows_no_such_visibility(self, gitlab: GitHost) -> None:
        error = await refused(gitlab.create_repository(spec(visibility=Visibility.PUBLIC)))
        assert error.reason is Reason.INVALID
        assert "public is not allowed in a internal group" in error.message

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(429, "Retry later", {"Content-Type": "text/plain"}),
            Answer(429, {"message": {"error": "This endpoint has been requested too many times."}}),
        ],
    )
    async def test_waits_a_minute_where_the_limit_names_no_time(
        self, host: Host, gitlab: GitHost, answer: Answer
    ) -> None:
        host.faults.add("POST /api/v4/projects$", answer)
        error = await refused(gitlab.create_repository(spec()))
        assert error.reason is Reason.RATE_LIMITED
        assert error.retry_after == 60.0

    async def test_may_succeed_later_while_a_row_is_locked(
        self, host: Host, gitlab: GitHost
    ) -> None:
        locked = Answer(409, {"message": "409 Conflict: Resource lock"})
        host.faults.add("POST /api/v4/projects$", locked)
        error = await refused(gitlab.create_repository(spec()))
        assert error.reason is Reason.CONFLICT
        assert error.may_succeed_later

    async def test_waits_while_the_name_is_still_being_deleted(
        self, host: Host, gitlab: GitHost
    ) -> None:
        said = "The project is still being deleted. Please try again later."
        host.faults.add("POST /api/v4/projects$", Answer(400, {"message": {"base": [said]}}))
        error = await refused(gitlab.create_repository(spec()))
        assert error.may_succeed_later
        assert error.retry_after == 10.0


class TestDeletion:
    async def test_frees_the_name_and_keeps_the_project_for_its_owners(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        assert await gitlab.delete_repository(shop)
        assert stored(host, shop).options["marked_for_deletion_on"]
        # A lookup by the old path follows the renaming.
        assert await gitlab.find_repository("acme", "shop") is None
        assert (await gitlab.create_repository(spec())).id != shop.id

    async def test_does_nothing_the_second_time(
        self, gitlab: GitHost, shop: HostRepository
    ) -> None:
        assert await gitlab.delete_repository(shop)
        assert not await gitlab.delete_repository(shop)

    async def test_deletes_at_once_where_the_name_would_stay_taken(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        host.world.options["renames_deleted"] = False
        assert await gitlab.delete_repository(shop)
        assert int(shop.id) not in host.world.repositories
        assert not await gitlab.delete_repository(shop)

    async def test_says_until_when_the_name_is_taken(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        host.world.options |= {"renames_deleted": False, "deletes_at_once": False}
        date = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
        for attempt in (gitlab.delete_repository(shop), gitlab.create_repository(spec())):
            error = await refused(attempt)
            assert date in error.message
            assert error.remedy
        assert error.reason is Reason.NAME_TAKEN
        assert await gitlab.find_repository("acme", "shop") is None

    async def test_needs_the_right(self, host: Host, shop: HostRepository) -> None:
        async with opened(host, host.world.add_token("dave", {"api"})) as gitlab:
            error = await refused(gitlab.delete_repository(shop))
        assert error.reason is Reason.FORBIDDEN


class TestPushes:
    async def test_reaches_the_project_and_finds_the_commit(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        assert await gitlab.branch_head(shop, "main") is None
        commit = push(await gitlab.remote(shop), {"README.md": b"Shop"})
        assert await gitlab.branch_head(shop, "main") == commit
        push(await gitlab.remote(shop), {"a": b""}, "feature/login")
        assert await gitlab.branch_head(shop, "feature/login")

    async def test_a_second_push_meets_the_protected_default_branch(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        push(await gitlab.remote(shop), {"README.md": b"Shop"})
        async with opened(host, host.world.add_token("dave", {"api"})) as other:
            with pytest.raises(PushRefused, match="protected branches"):
                push(await other.remote(shop), {"README.md": b"Mine"})

    async def test_a_developer_cannot_push_first(self, host: Host, shop: HostRepository) -> None:
        async with opened(host, host.world.add_token("dave", {"api"})) as gitlab:
            with pytest.raises(PushRefused, match="default branch"):
                push(await gitlab.remote(shop), {"README.md": b"Shop"})


class TestPeople:
    async def test_adds_changes_and_removes_a_member(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        await gitlab.put_collaborator(shop, "mallory", Permission.READ)
        await gitlab.put_collaborator(shop, "Mallory", Permission.WRITE)
        assert stored(host, shop).collaborators == {"mallory": "30"}
        assert await gitlab.remove_collaborator(shop, "mallory")
        assert not await gitlab.remove_collaborator(shop, "mallory")

    async def test_leaves_a_member_alone_that_has_more_by_the_group(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        await gitlab.put_collaborator(shop, "dave", Permission.READ)
        assert stored(host, shop).collaborators == {}

    async def test_names_an_unknown_user(self, gitlab: GitHost, shop: HostRepository) -> None:
        error = await refused(gitlab.put_collaborator(shop, "nobody", Permission.READ))
        assert error.reason is Reason.NOT_FOUND
        assert "nobody" in error.message

    async def test_shares_with_a_group(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        for permission in (Permission.READ, Permission.READ, Permission.MAINTAIN):
            await gitlab.put_team(shop, "acme/platform", permission)
        assert stored(host, shop).teams == {"acme/platform": "40"}
        assert await gitlab.remove_team(shop, "acme/platform")
        assert not await gitlab.remove_team(shop, "acme/platform")
        error = await refused(gitlab.put_team(shop, "acme/none", Permission.READ))
        assert error.reason is Reason.NOT_FOUND


class TestPipelines:
    async def test_keeps_variables_of_environments_apart(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        await gitlab.put_variable(shop, "URL", "a $HOME b")
        await gitlab.put_variable(shop, "URL", "https://live", "production")
        await gitlab.put_variable(shop, "URL", "https://new", "production")
        assert stored(host, shop).variables == {
            (None, "URL"): "a $HOME b",
            ("production", "URL"): "https://new",
        }
        assert all(one["raw"] for one in stored(host, shop).options["variables"].values())
        assert await gitlab.remove_variable(shop, "URL", "production")
        assert not await gitlab.remove_variable(shop, "URL", "production")
        assert stored(host, shop).variables == {(None, "URL"): "a $HOME b"}

    async def test_masks_and_hides_secrets(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        await gitlab.put_secret(shop, "TOKEN", "s3cret$value")
        await gitlab.put_secret(shop, "TOKEN", "another-value", "staging")
        await gitlab.put_secret(shop, "TOKEN", "another-value2", "staging")
        assert stored(host, shop).secrets == {
            (None, "TOKEN"): "s3cret$value",
            ("staging", "TOKEN"): "another-value2",
        }
        for variable in stored(host, shop).options["variables"].values():
            assert variable["masked"]
            assert variable["hidden"]
        assert await gitlab.remove_secret(shop, "TOKEN")

    @pytest.mark.parametrize("value", ["short", "two words here", "-----BEGIN\nKEY\nEND-----"])
    async def test_refuses_a_secret_that_would_appear_in_logs(
        self, host: Host, gitlab: GitHost, shop: HostRepository, value: str
    ) -> None:
        error = await refused(gitlab.put_secret(shop, "TOKEN", value))
        assert error.reason is Reason.INVALID
        assert "TOKEN" in error.message
        assert value not in error.message + error.remedy
        assert stored(host, shop).secrets == {}

    async def test_explains_a_secret_that_the_host_does_not_mask(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        older = Answer(400, {"message": {"value": ["is invalid"]}})
        host.faults.add("POST .*/variables", older)
        error = await refused(gitlab.put_secret(shop, "TOKEN", "s3cret$value"))
        assert "cannot mask" in error.message

    async def test_starts_a_pipeline(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        push(await gitlab.remote(shop), {"README.md": b"Shop"})
        error = await refused(gitlab.dispatch(shop, "", "main", {}))
        assert "Missing CI config file" in error.message
        push(await gitlab.remote(shop), {".gitlab-ci.yml": b"test: {script: make}"}, "ci")
        url = await gitlab.dispatch(shop, "", "ci", {"size": 3})
        assert url.startswith(f"{host.url}/acme/shop/-/pipelines/")
        assert stored(host, shop).dispatches == [{"ref": "ci", "inputs": {"size": 3}}]

    async def test_starts_one_pipeline_where_the_answer_is_lost(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        push(await gitlab.remote(shop), {".gitlab-ci.yml": b"test: {script: make}"})
        first = await gitlab.dispatch(shop, "", "main", {})
        (old,) = stored(host, shop).options["pipelines"]
        old["created_at"] = "2026-01-01T00:00:00.000Z"
        host.faults.add("POST .*/pipeline$", lost=True, effect=True)
        assert await gitlab.dispatch(shop, "", "main", {}) != first
        assert len(stored(host, shop).dispatches) == 2
        host.faults.add("POST .*/pipeline$", lost=True)
        stored(host, shop).options["pipelines"] = [old]
        assert (await refused(gitlab.dispatch(shop, "", "main", {}))).may_succeed_later

    async def test_reports_a_status_twice(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        commit = push(await gitlab.remote(shop), {"README.md": b"Shop"})
        for state in ("pending", "pending", "failure"):
            await gitlab.set_commit_status(shop, commit, CommitStatus("stepway", state, "Fine"))
        assert [one["state"] for one in stored(host, shop).statuses[commit]] == [
            "pending",
            "failed",
        ]
        error = await refused(
            gitlab.set_commit_status(shop, "0" * 40, CommitStatus("a", "success"))
        )
        assert error.reason is Reason.NOT_FOUND


class TestEnvironments:
    async def test_creates_and_removes_them(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        for _ in range(2):
            await gitlab.put_environment(shop, DeployEnvironment("review/main"))
        assert list(stored(host, shop).environments) == ["review/main"]
        assert await gitlab.remove_environment(shop, "review/main")
        assert not await gitlab.remove_environment(shop, "review/main")

    async def test_asks_reviewers(self, host: Host, gitlab: GitHost, shop: HostRepository) -> None:
        world, reviewed = host.world, DeployEnvironment("live", ("dave", "@acme/platform"), 2)
        for _ in range(2):
            await gitlab.put_environment(shop, reviewed)
        rules = stored(host, shop).options["protected_environments"]["live"]["approval_rules"]
        assert [(one["user_id"], one["group_id"], one["required_approvals"]) for one in rules] == [
            (world.accounts["dave"].id, None, 1),
            (None, world.accounts["acme/platform"].id, 2),
        ]
        assert await gitlab.remove_environment(shop, "live")
        assert stored(host, shop).options["protected_environments"] == {}

    async def test_says_what_the_plan_and_the_host_lack(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        host.world.accounts["acme"].plan = "free"
        await gitlab.put_environment(shop, DeployEnvironment("test"))
        assert await gitlab.remove_environment(shop, "test")
        for wanted, words in (
            (gitlab.put_environment(shop, DeployEnvironment("a", ("dave",))), "Premium"),
            (gitlab.put_environment(shop, DeployEnvironment("a", wait=5)), "waiting time"),
            (gitlab.protect_branch(shop, BranchRules(approvals=1)), "Premium"),
        ):
            error = await refused(wanted)
            assert error.reason is Reason.UNSUPPORTED
            assert words in error.message
            assert error.remedy
        assert Feature.ENVIRONMENT_WAIT not in gitlab.features


class TestKeysAndWebhooks:
    async def test_adds_a_deploy_key_once(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        number = await gitlab.add_deploy_key(shop, "flux", f"{KEY} flux@cluster")
        assert await gitlab.add_deploy_key(shop, "flux", KEY) == number
        assert not stored(host, shop).keys[int(number)]["can_push"]
        assert await gitlab.add_deploy_key(shop, "flux", KEY, read_only=False) == number
        assert stored(host, shop).keys[int(number)]["can_push"]
        assert await gitlab.remove_deploy_key(shop, number)
        assert not await gitlab.remove_deploy_key(shop, number)

    async def test_adds_a_webhook_once_for_the_events_asked_for(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        url = "https://ci.example.org/hook"
        number = await gitlab.add_webhook(shop, WebhookSpec(url, secret="one"))
        again = WebhookSpec(url, ("merge_requests", "tag_push_events"), "two")
        assert await gitlab.add_webhook(shop, again) == number
        hook = stored(host, shop).hooks[int(number)]
        assert hook["token"] == "two"
        assert {name for name, value in hook.items() if value is True} == {
            "merge_requests_events",
            "tag_push_events",
        }
        error = await refused(gitlab.add_webhook(shop, WebhookSpec(url, ("pull_request",))))
        assert error.reason is Reason.INVALID
        assert "merge_requests" in error.remedy
        assert await gitlab.remove_webhook(shop, number)
        assert not await gitlab.remove_webhook(shop, number)

    async def test_finds_a_webhook_on_a_later_page(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        for number in range(150):
            stored(host, shop).hooks[number] = {"id": number, "url": f"https://a/{number}"}
        assert await gitlab.add_webhook(shop, WebhookSpec("https://a/149")) == "149"


class TestChanges:
    async def test_replaces_the_protection_from_the_start(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        push(await gitlab.remote(shop), {"README.md": b"Shop"})
        assert stored(host, shop).protections["main"]["push_access_levels"][0]["access_level"] == 40
        rules = BranchRules(approvals=2, checks=("test",))
        for _ in range(2):
            await gitlab.protect_branch(shop, rules)
        assert len(host.requests("DELETE .*/protected_branches/")) == 1
        kept = stored(host, shop)
        assert kept.protections["main"]["push_access_levels"][0]["access_level"] == 0
        assert kept.options["pipeline_must_succeed"]
        assert [one["approvals_required"] for one in kept.options["approval_rules"].values()] == [2]
        with pytest.raises(PushRefused, match="protected branches"):
            push(await gitlab.remote(shop), {"README.md": b"Other"})
        assert await gitlab.unprotect_branch(shop, "main")
        assert not await gitlab.unprotect_branch(shop, "main")

    async def test_opens_one_merge_request(
        self, host: Host, gitlab: GitHost, shop: HostRepository
    ) -> None:
        push(await gitlab.remote(shop), {"README.md": b"Shop"})
        push(await gitlab.remote(shop), {"README.md": b"Better"}, "better")
        wanted = PullRequestSpec("better", "main", "Better", "Much")
        made = await gitlab.open_pull_request(shop, wanted)
        assert await gitlab.open_pull_request(shop, wanted) == made
        assert made.state == "open"
        assert made.url == f"{host.url}/acme/shop/-/merge_requests/{made.number}"
        assert await gitlab.close_pull_request(shop, made.number)
        assert not await gitlab.close_pull_request(shop, made.number)
        assert (await gitlab.find_pull_request(shop, made.number)).state == "closed"
        stored(host, shop).pulls[made.number]["state"] = "merged"
        assert (await gitlab.find_pull_request(shop, made.number)).state == "merged"
        error = await refused(gitlab.open_pull_request(shop, PullRequestSpec("no", "main", "No")))
        assert error.reason is Reason.INVALID
        assert "does not exist" in error.message
