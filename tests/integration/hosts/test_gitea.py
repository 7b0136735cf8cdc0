"""The client of Gitea and Forgejo against hosts that answer as they do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from stepway.hosts.access import HostKind
from stepway.hosts.errors import Reason
from stepway.hosts.gitea.host import open_gitea
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
    marked_description,
    topic_of,
)
from tests.integration.hosts.clients import KEY, access_to, refused, spec, stored
from tests.integration.hosts.places import SOON, PushRefused, push
from tests.support.githost.answers import Answer
from tests.support.githost.gitea import ForgejoSurface, GiteaSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.state import Token

SCOPES = {"write:repository", "write:organization", "write:user"}
WORKFLOW = b"on:\n  workflow_dispatch: {}\n"


@pytest.fixture(params=[GiteaSurface, ForgejoSurface], ids=["gitea", "forgejo"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with running_host(request.param) as host:
        for name in ("erin", "dave"):
            host.world.add_account(name)
        host.world.add_organization("acme", owner="erin")
        host.world.add_team("acme", "builders", "dave")
        yield host
        assert host.violations == []


def opened(
    host: Host, token: Token | str, account: str = "acme"
) -> AbstractAsyncContextManager[GitHost]:
    return open_gitea(access_to(host, HostKind.GITEA, token, account), patience=SOON)


@pytest.fixture
async def gitea(host: Host) -> AsyncIterator[GitHost]:
    async with opened(host, host.world.add_token("erin", SCOPES, prefix="")) as gitea:
        yield gitea


@pytest.fixture
async def shop(gitea: GitHost) -> HostRepository:
    return await gitea.create_repository(spec())


class TestTokens:
    async def test_tells_the_account_but_no_scopes(self, host: Host, gitea: GitHost) -> None:
        identity = await gitea.identity()
        assert identity.account == "erin"
        assert identity.scopes is None
        assert await gitea.missing_scopes(list(Feature), workflows=True) == []
        assert not host.world.repositories

    @pytest.mark.parametrize(
        ("scopes", "account", "missing"),
        [
            ({"read:user", "write:organization"}, "acme", ["write:repository"]),
            ({"read:user", "read:repository"}, "acme", ["write:repository", "write:organization"]),
            ({"write:repository", "read:user"}, "erin", ["write:user"]),
            ({"write:repository", "write:organization"}, "acme", []),
            ({"all"}, "erin", []),
        ],
    )
    async def test_finds_missing_scopes_without_a_change(
        self, host: Host, scopes: set[str], account: str, missing: list[str]
    ) -> None:
        token = host.world.add_token("erin", scopes, prefix="")
        async with opened(host, token, account) as gitea:
            assert await gitea.missing_scopes([], workflows=False) == missing
        assert not host.world.repositories

    async def test_names_the_scope_that_a_request_lacks(self, host: Host) -> None:
        token = host.world.add_token("erin", {"read:user", "read:organization"}, prefix="")
        async with opened(host, token) as gitea:
            error = await refused(gitea.create_repository(spec()))
        assert error.reason is Reason.SCOPE_MISSING
        assert "write:organization" in error.message
        assert "credential set forge" in error.remedy
        if type(host.surface) is GiteaSurface:
            assert "it has read:organization,read:user" in error.message

    async def test_takes_the_credentials_account_without_the_scope_to_read_it(
        self, host: Host
    ) -> None:
        token = host.world.add_token("erin", {"write:repository"}, prefix="")
        async with opened(host, token) as gitea:
            assert (await gitea.identity()).account == "acme"
        async with opened(host, token, "") as gitea:
            assert (await refused(gitea.identity())).reason is Reason.SCOPE_MISSING

    async def test_says_that_a_token_is_for_public_repositories_only(
        self, host: Host, shop: HostRepository
    ) -> None:
        token = host.world.add_token("erin", SCOPES | {"public-only"}, prefix="")
        async with opened(host, token) as gitea:
            error = await refused(gitea.find_repository("acme", "shop"))
        assert error.reason is Reason.SCOPE_MISSING
        assert "public" in error.message

    @pytest.mark.parametrize("lasts", [None, timedelta(days=-1)])
    async def test_says_that_a_token_is_not_valid(
        self, host: Host, lasts: timedelta | None
    ) -> None:
        token = host.world.add_token("erin", SCOPES, lasts=lasts) if lasts else "none"
        async with opened(host, token) as gitea:
            error = await refused(gitea.identity())
        assert error.reason is Reason.UNAUTHORIZED
        assert "credential set forge" in error.remedy


class TestCreation:
    async def test_creates_an_empty_marked_repository(self, host: Host, gitea: GitHost) -> None:
        wanted = spec(description="Sells", topics=("python", "shop.one"), default_branch="trunk")
        made = await gitea.create_repository(wanted)
        assert (made.owner, made.name, made.default_branch) == ("acme", "shop", "trunk")
        assert made.project_id == wanted.project_id
        assert made.visibility is Visibility.PRIVATE
        assert made.empty
        assert made.web_url == f"{host.url}/acme/shop"
        assert stored(host, made).topics == [topic_of(wanted.project_id), "python", "shop.one"]
        assert stored(host, made).description == "Sells"
        assert await gitea.find_repository("ACME", "Shop") == made

    async def test_creates_for_a_person(self, gitea: GitHost) -> None:
        made = await gitea.create_repository(spec(owner="erin", visibility=Visibility.PUBLIC))
        assert made.owner == "erin"
        assert made.visibility is Visibility.PUBLIC

    async def test_internal_needs_a_limited_organization(self, host: Host, gitea: GitHost) -> None:
        for owner in ("acme", "erin"):
            wanted = spec(owner=owner, visibility=Visibility.INTERNAL)
            error = await refused(gitea.create_repository(wanted))
            assert error.reason is Reason.INVALID
            assert "limited" in error.remedy
        host.world.accounts["acme"].visibility = "limited"
        made = await gitea.create_repository(spec(visibility=Visibility.INTERNAL))
        assert made.visibility is Visibility.INTERNAL

    async def test_leaves_alone_what_an_earlier_attempt_completed(
        self, host: Host, gitea: GitHost
    ) -> None:
        wanted = spec(description="Sells")
        first = await gitea.create_repository(wanted)
        stored(host, first).description = "Sells more"
        stored(host, first).topics.append("added")
        assert await gitea.create_repository(wanted) == first
        assert stored(host, first).description == "Sells more"
        assert "added" in stored(host, first).topics

    @pytest.mark.parametrize("step", ["PUT .*/topics", "PATCH /api/v1/repos/acme/shop"])
    async def test_completes_what_an_earlier_attempt_began(
        self, host: Host, gitea: GitHost, step: str
    ) -> None:
        host.faults.add(step, Answer(502, "<html>Bad Gateway</html>"))
        wanted = spec(description="Sells")
        assert (await refused(gitea.create_repository(wanted))).may_succeed_later
        (begun,) = host.world.repositories.values()
        assert begun.description == marked_description("Sells", wanted.project_id)
        found = await gitea.find_repository("acme", "shop")
        assert found is not None
        assert found.project_id == wanted.project_id
        made = await gitea.create_repository(wanted)
        assert made.id == found.id
        assert stored(host, made).description == "Sells"
        assert stored(host, made).topics == [topic_of(wanted.project_id)]

    async def test_looks_it_up_after_an_answer_that_did_not_arrive(
        self, host: Host, gitea: GitHost
    ) -> None:
        host.faults.add("POST /api/v1/orgs/acme/repos", lost=True, effect=True)
        wanted = spec()
        assert (await gitea.create_repository(wanted)).project_id == wanted.project_id
        assert len(host.requests("POST /api/v1/orgs/acme/repos")) == 1

    async def test_refuses_the_name_of_another_repository(
        self, gitea: GitHost, shop: HostRepository
    ) -> None:
        error = await refused(gitea.create_repository(spec()))
        assert error.reason is Reason.NAME_TAKEN
        assert shop.web_url in error.message

    async def test_hints_at_left_over_files(self, host: Host, gitea: GitHost) -> None:
        host.world.options["left_over"] = {"acme/shop"}
        error = await refused(gitea.create_repository(spec()))
        assert error.reason is Reason.SERVER_ERROR
        assert "Unadopted Repositories" in error.remedy
        said = "repository files already exist [uname: acme, name: shop]"
        host.faults.add("POST /api/v1/orgs/acme/repos", Answer(500, {"message": said}))
        error = await refused(gitea.create_repository(spec()))
        assert error.reason is Reason.NAME_TAKEN
        assert "Unadopted Repositories" in error.remedy

    async def test_explains_what_the_host_refuses(self, host: Host, gitea: GitHost) -> None:
        for wanted, reason, words in (
            (spec(owner="nowhere"), Reason.NOT_FOUND, "no organization nowhere"),
            (spec("-"), Reason.INVALID, "name is reserved"),
            (spec("shop.git"), Reason.INVALID, "name pattern is not allowed"),
            (spec(topics=("Shop",)), Reason.INVALID, "no such topics: Shop"),
            (spec(topics=("a" * 36,)), Reason.INVALID, "no such topics"),
            (spec(topics=tuple(f"t{n}" for n in range(25))), Reason.INVALID, "25 topics"),
        ):
            error = await refused(gitea.create_repository(wanted))
            assert error.reason is reason
            assert words in error.message
        assert not host.world.repositories
        host.world.options["limit"] = 0
        error = await refused(gitea.create_repository(spec()))
        assert error.reason is Reason.FORBIDDEN
        assert "quota" in error.remedy

    async def test_says_that_the_account_may_not_create_there(self, host: Host) -> None:
        async with opened(host, host.world.add_token("dave", SCOPES)) as gitea:
            error = await refused(gitea.create_repository(spec()))
        assert error.reason is Reason.FORBIDDEN
        assert "not allowed to create repository" in error.message


class TestRenamingAndDeletion:
    async def test_an_old_name_finds_nothing_but_changes_reach_the_repository(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        host.world.rename(stored(host, shop), "acme", "market")
        assert await gitea.find_repository("acme", "shop") is None
        await gitea.put_variable(shop, "SIZE", "3")
        assert stored(host, shop).variables == {(None, "SIZE"): "3"}
        await gitea.put_secret(shop, "TOKEN", "x")
        assert stored(host, shop).secrets == {(None, "TOKEN"): "x"}
        status = 301 if type(host.surface) is GiteaSurface else 307
        assert [one.status for one in host.requests("PUT .*/shop/actions/secrets")] == [status]

    async def test_deletes_it_under_its_new_name_and_nothing_else(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        host.world.rename(stored(host, shop), "acme", "market")
        other = await gitea.create_repository(spec())
        assert await gitea.delete_repository(shop)
        assert list(host.world.repositories) == [int(other.id)]
        assert not await gitea.delete_repository(shop)

    async def test_frees_the_name(self, gitea: GitHost, shop: HostRepository) -> None:
        assert await gitea.delete_repository(shop)
        assert (await gitea.create_repository(spec())).id != shop.id

    async def test_refuses_changes_of_an_archived_repository(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        stored(host, shop).archived = True
        error = await refused(gitea.put_secret(shop, "TOKEN", "x"))
        assert error.reason is Reason.ARCHIVED
        assert error.remedy


class TestPushes:
    async def test_reaches_the_repository_and_finds_the_commit(
        self, gitea: GitHost, shop: HostRepository
    ) -> None:
        assert await gitea.branch_head(shop, "main") is None
        commit = push(await gitea.remote(shop), {"README.md": b"Shop"})
        assert await gitea.branch_head(shop, "main") == commit
        push(await gitea.remote(shop), {"a": b""}, "feature/login")
        assert await gitea.branch_head(shop, "feature/login")


class TestPeople:
    async def test_adds_changes_and_removes_a_collaborator(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        await gitea.put_collaborator(shop, "dave", Permission.TRIAGE)
        assert stored(host, shop).collaborators == {"dave": "read"}
        await gitea.put_collaborator(shop, "dave", Permission.MAINTAIN)
        assert stored(host, shop).collaborators == {"dave": "write"}
        assert await gitea.remove_collaborator(shop, "dave")
        assert not await gitea.remove_collaborator(shop, "dave")
        error = await refused(gitea.put_collaborator(shop, "nobody", Permission.READ))
        assert error.reason is Reason.NOT_FOUND
        assert "nobody" in error.message

    async def test_adds_a_team_once(self, host: Host, gitea: GitHost, shop: HostRepository) -> None:
        for permission in (Permission.WRITE, Permission.READ):
            await gitea.put_team(shop, "builders", permission)
        assert list(stored(host, shop).teams) == ["builders"]
        error = await refused(gitea.put_team(shop, "builders", Permission.ADMIN))
        assert error.reason is Reason.INVALID
        assert "less than admin" in error.message
        assert await gitea.remove_team(shop, "builders")
        assert not await gitea.remove_team(shop, "builders")
        error = await refused(gitea.put_team(shop, "nobody", Permission.READ))
        assert error.reason is Reason.NOT_FOUND

    async def test_a_persons_repository_has_no_teams(self, gitea: GitHost) -> None:
        made = await gitea.create_repository(spec(owner="erin"))
        error = await refused(gitea.put_team(made, "builders", Permission.READ))
        assert "not owned by an organization" in error.message


class TestPipelines:
    async def test_stores_secrets_and_variables(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        for value in ("one", "two"):
            await gitea.put_secret(shop, "TOKEN", value)
            await gitea.put_variable(shop, "SIZE", value)
        assert stored(host, shop).secrets == {(None, "TOKEN"): "two"}
        assert stored(host, shop).variables == {(None, "SIZE"): "two"}
        for remove in (gitea.remove_secret, gitea.remove_variable):
            name = "TOKEN" if remove == gitea.remove_secret else "SIZE"
            assert await remove(shop, name)
            assert not await remove(shop, name)

    async def test_has_no_environments(self, gitea: GitHost, shop: HostRepository) -> None:
        for call in (
            gitea.put_environment(shop, DeployEnvironment("live")),
            gitea.remove_environment(shop, "live"),
            gitea.put_secret(shop, "TOKEN", "x", "live"),
            gitea.remove_variable(shop, "TOKEN", "live"),
        ):
            error = await refused(call)
            assert error.reason is Reason.UNSUPPORTED
            assert error.remedy
        assert not any(feature.startswith("environment") for feature in gitea.features)

    async def test_starts_a_workflow(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        files = {".gitea/workflows/ci.yml": WORKFLOW, ".gitea/workflows/no.yml": b"on: [push]"}
        push(await gitea.remote(shop), files)
        url = await gitea.dispatch(shop, "ci.yml", "main", {"size": 3, "fast": True, "a": "b"})
        run = "101" if type(host.surface) is GiteaSurface else "1"
        assert url == f"{host.url}/acme/shop/actions/runs/{run}"
        assert stored(host, shop).dispatches == [
            {
                "workflow": "ci.yml",
                "ref": "main",
                "inputs": {"size": "3", "fast": "true", "a": "b"},
            }
        ]
        assert (await refused(gitea.dispatch(shop, "b.yml", "main", {}))).reason is Reason.NOT_FOUND
        error = await refused(gitea.dispatch(shop, "no.yml", "main", {}))
        assert error.reason is Reason.INVALID
        assert "workflow_dispatch" in error.message

    async def test_starts_one_workflow_where_the_answer_is_lost(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        push(await gitea.remote(shop), {".gitea/workflows/ci.yml": WORKFLOW})
        await gitea.dispatch(shop, "ci.yml", "main", {})
        host.faults.add("POST .*/dispatches", lost=True, effect=True)
        url = await gitea.dispatch(shop, "ci.yml", "main", {})
        assert url == f"{host.url}/acme/shop/actions/runs/102"
        host.faults.add("POST .*/dispatches", lost=True)
        error = await refused(gitea.dispatch(shop, "ci.yml", "main", {}))
        assert error.may_succeed_later
        assert len(stored(host, shop).dispatches) == 2
        host.faults.add("GET .*/actions/runs", Answer(404, {"message": "not found"}))
        assert await gitea.dispatch(shop, "ci.yml", "main", {})

    async def test_reports_a_status(self, host: Host, gitea: GitHost, shop: HostRepository) -> None:
        commit = push(await gitea.remote(shop), {"README.md": b"Shop"})
        for state in ("pending", "failure"):
            await gitea.set_commit_status(shop, commit, CommitStatus("stepway", state))
        assert [one["state"] for one in stored(host, shop).statuses[commit]] == [
            "pending",
            "failure",
        ]


class TestKeysAndWebhooks:
    async def test_adds_a_deploy_key_once(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        number = await gitea.add_deploy_key(shop, "flux", f"{KEY} flux@cluster")
        assert await gitea.add_deploy_key(shop, "flux", KEY) == number
        other = await gitea.add_deploy_key(shop, "flux", KEY, read_only=False)
        assert [one["read_only"] for one in stored(host, shop).keys.values()] == [False]
        assert not await gitea.remove_deploy_key(shop, number)
        assert await gitea.remove_deploy_key(shop, other)

    async def test_adds_a_webhook_once(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        url = "https://ci.example.org/hook"
        number = await gitea.add_webhook(shop, WebhookSpec(url, secret="one"))
        again = WebhookSpec(url, ("pull_request", "release"), "two")
        assert await gitea.add_webhook(shop, again) == number
        hook = stored(host, shop).hooks[int(number)]
        assert hook["config"] == {"url": url, "content_type": "json", "secret": "two"}
        assert hook["events"] == ["pull_request", "release"]
        assert hook["active"]
        assert await gitea.remove_webhook(shop, number)
        assert not await gitea.remove_webhook(shop, number)

    async def test_finds_a_webhook_on_a_later_page(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        await gitea.add_webhook(shop, WebhookSpec("https://a/0"))
        (first,) = stored(host, shop).hooks.values()
        for number in range(1000, 1100):
            config = {"url": f"https://a/{number}"}
            stored(host, shop).hooks[number] = {**first, "id": number, "config": config}
        assert await gitea.add_webhook(shop, WebhookSpec("https://a/1099")) == "1099"


class TestChanges:
    async def test_protects_a_branch(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        push(await gitea.remote(shop), {"README.md": b"Shop"}, "release/1")
        await gitea.protect_branch(shop, BranchRules("release/1", pull_request=False))
        await gitea.protect_branch(shop, BranchRules("release/1", 2, ("ci / test",)))
        rule = stored(host, shop).protections["release/1"]
        assert not rule["enable_push"]
        assert rule["required_approvals"] == 2
        assert rule["enable_status_check"]
        assert rule["status_check_contexts"] == ["ci / test"]
        with pytest.raises(PushRefused, match="Not allowed to push to protected branch"):
            push(await gitea.remote(shop), {"README.md": b"Other"}, "release/1")
        assert await gitea.unprotect_branch(shop, "release/1")
        assert not await gitea.unprotect_branch(shop, "release/1")

    async def test_refuses_what_forgejo_does_not_know(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        rules = BranchRules(allow_force_push=True)
        if type(host.surface) is GiteaSurface:
            await gitea.protect_branch(shop, rules)
            assert stored(host, shop).protections["main"]["enable_force_push"]
        else:
            error = await refused(gitea.protect_branch(shop, rules))
            assert error.reason is Reason.UNSUPPORTED
            assert "Forgejo 14.0.2" in error.message
            assert stored(host, shop).protections == {}

    async def test_opens_one_pull_request(
        self, host: Host, gitea: GitHost, shop: HostRepository
    ) -> None:
        push(await gitea.remote(shop), {"README.md": b"Shop"})
        push(await gitea.remote(shop), {"README.md": b"Better"}, "better")
        wanted = PullRequestSpec("better", "main", "Better", "Much")
        made = await gitea.open_pull_request(shop, wanted)
        assert await gitea.open_pull_request(shop, wanted) == made
        assert made.state == "open"
        assert made.url == f"{host.url}/acme/shop/pulls/{made.number}"
        assert await gitea.close_pull_request(shop, made.number)
        assert not await gitea.close_pull_request(shop, made.number)
        assert (await gitea.find_pull_request(shop, made.number)).state == "closed"
        stored(host, shop).pulls[made.number]["merged"] = True
        assert (await gitea.find_pull_request(shop, made.number)).state == "merged"
        assert (await refused(gitea.find_pull_request(shop, 99))).reason is Reason.NOT_FOUND
