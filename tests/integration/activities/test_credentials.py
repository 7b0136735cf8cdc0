"""resolve_credentials uses the credential once, on the Git host for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from stepway.activities.credentials.resolve_credentials import (
    ResolveCredentialsInput,
    ResolvedCredential,
)
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.hosts.host import Feature
from stepway.runtime.settings import Settings
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import Target
from stepway.vault.models import Credential
from stepway.vault.redaction import REDACTED, redact
from stepway.vault.vault import EVERYONE, Vault
from tests.integration.activities.conftest import Worker
from tests.support.githost.answers import Answer
from tests.support.githost.gitea.surface import GiteaSurface
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.gitlab.surface import GitLabSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.surface import Surface
from tests.support.inside import INTERNAL, private, proxy

KEY = new_key("activities")

Resolve = Callable[..., "asyncio.Future[ResolvedCredential]"]


@pytest.fixture
def resources(tmp_path: Path, engine: AsyncEngine) -> Resources:
    settings = Settings(data_dir=tmp_path / "data", secret_keys=SecretStr(KEY))
    return Resources(settings, engine)


@pytest.fixture
def worker(resources: Resources) -> Worker:
    return Worker(resources.settings.data_dir, load_steps(resources))


@pytest.fixture
async def vault(engine: AsyncEngine) -> AsyncIterator[Vault]:
    yield Vault(engine, Keyring(parse_keys(KEY)))
    async with engine.begin() as connection:
        await connection.execute(delete(Credential))


@pytest.fixture
def host() -> Iterator[Host]:
    """A GitHub with the person erin and the organization acme."""
    with running_host(GitHubSurface) as host:
        populate(host)
        yield host
        assert not host.violations


def populate(host: Host) -> None:
    host.world.add_account("erin")
    host.world.add_organization("acme", owner="erin")


@pytest.fixture
def resolve(worker: Worker, project: ProjectRef) -> Resolve:
    def run(credential: str = "forge", **more: object) -> object:
        given = ResolveCredentialsInput(project, credential, **more)  # type: ignore[arg-type]
        return worker.run("resolve_credentials", given)

    return run


def target(host: Host, kind: str = "github", **more: object) -> Target:
    return Target(kind, host.url, **more)  # type: ignore[arg-type]


async def test_it_tells_account_scopes_and_expiry_and_no_secret(
    vault: Vault, host: Host, resolve: Resolve
) -> None:
    token = host.world.add_token("erin", {"repo", "workflow"}, lasts=timedelta(days=30))
    await vault.put(EVERYONE, "forge", token.value, "", target(host))
    found = await resolve(workflows=True, needs=[Feature.ENVIRONMENTS])
    assert token.expires_at is not None
    assert found == ResolvedCredential(
        account="erin",
        credential="forge",
        kind="github",
        host=host.url,
        scopes=sorted(found.scopes or []),
        expires_at=token.expires_at.replace(microsecond=0).isoformat(),
    )
    assert {"repo", "workflow"} <= set(found.scopes or [])
    assert token.value not in repr(found)


@pytest.mark.parametrize(
    ("kind", "surface", "scopes", "missing"),
    [
        ("gitlab", GitLabSurface, {"api"}, {"read_api"}),
        ("gitea", GiteaSurface, {"write:repository", "write:user", "read:user"}, {"read:user"}),
    ],
)
async def test_other_hosts_tell_the_same(
    vault: Vault,
    resolve: Resolve,
    kind: str,
    surface: type[Surface],
    scopes: set[str],
    missing: set[str],
) -> None:
    with running_host(surface) as host:
        populate(host)
        token = host.world.add_token("erin", scopes, prefix="")
        await vault.put(EVERYONE, "forge", token.value, "", target(host, kind))
        found = await resolve(needs=[Feature.WEBHOOKS], workflows=True)
        assert (found.account, found.kind, found.host) == ("erin", kind, host.url)
        narrow = host.world.add_token("erin", missing, prefix="")
        await vault.put(EVERYONE, "forge", narrow.value, "", target(host, kind))
        with pytest.raises(ApplicationError, match="lacks the scope") as caught:
            await resolve()
        assert caught.value.non_retryable
        assert not host.violations


async def test_feature_that_a_host_lacks_is_named(vault: Vault, resolve: Resolve) -> None:
    with running_host(GiteaSurface) as host:
        populate(host)
        token = host.world.add_token("erin", None, prefix="")
        await vault.put(EVERYONE, "forge", token.value, "", target(host, "gitea"))
        with pytest.raises(ApplicationError, match="uses environments, which the host"):
            await resolve(needs=[Feature.ENVIRONMENTS])


async def test_it_names_the_account_that_owns_new_repositories(
    vault: Vault, host: Host, resolve: Resolve
) -> None:
    token = host.world.add_token("erin", {"repo"})
    await vault.put(EVERYONE, "forge", token.value, "acme", target(host))
    assert (await resolve()).account == "acme"


async def test_it_asks_the_host_in_each_attempt(vault: Vault, host: Host, resolve: Resolve) -> None:
    token = host.world.add_token("erin", {"repo"})
    await vault.put(EVERYONE, "forge", token.value, "", target(host))
    await resolve()
    token.revoked = True
    with pytest.raises(ApplicationError) as caught:
        await resolve()
    assert caught.value.non_retryable
    assert "stepway credential set forge" in caught.value.details[0]["remedy"]
    newer = host.world.add_token("erin", {"repo"})
    await vault.put(EVERYONE, "forge", newer.value, "", target(host))
    assert (await resolve()).account == "erin"


@pytest.mark.parametrize("scopes", [{"workflow"}, {"repo"}])
async def test_scope_that_is_missing_for_what_the_blueprint_does_is_named(
    vault: Vault, host: Host, resolve: Resolve, scopes: set[str]
) -> None:
    [missing] = {"repo", "workflow"} - scopes
    token = host.world.add_token("erin", scopes)
    await vault.put(EVERYONE, "forge", token.value, "", target(host))
    with pytest.raises(ApplicationError, match=f"lacks the scope {missing}$") as caught:
        await resolve(workflows=True)
    assert caught.value.non_retryable
    assert caught.value.details[0]["remedy"]


async def test_host_that_does_not_answer_is_asked_again(
    vault: Vault, host: Host, resolve: Resolve
) -> None:
    token = host.world.add_token("erin", {"repo"})
    await vault.put(EVERYONE, "forge", token.value, "", target(host))
    host.faults.add("GET /api/v3/user", Answer(502, {"message": "Server Error"}))
    with pytest.raises(ApplicationError) as caught:
        await resolve()
    assert not caught.value.non_retryable
    assert (await resolve()).account == "erin"


async def test_app_acts_as_its_installation_with_a_token_that_nobody_sees(
    vault: Vault, host: Host, resolve: Resolve, resources: Resources, project: ProjectRef
) -> None:
    assert isinstance(host.surface, GitHubSurface)
    rights = {"contents": "write", "administration": "write"}
    number, key = host.surface.add_app("stepway", "acme", **rights)
    app = target(host, "github-app", options={"app_id": number})
    await vault.put(EVERYONE, "forge", key, "acme", app)
    found = await resolve()
    assert (found.account, found.kind) == ("acme", "github-app")
    async with resources.git_hosts.open("forge", project) as opened:
        assert (await opened.identity()).kind == "app"
    [made] = {token.value for token in host.world.tokens.values() if token.kind == "installation"}
    assert redact(f"sent {made}") == f"sent {REDACTED}"
    assert len(host.requests("POST .*/access_tokens")) == 1
    with pytest.raises(ApplicationError, match="lacks the scope workflows:write"):
        await resolve(workflows=True)


async def test_credential_that_is_none_of_a_git_host_is_refused_where_one_is_needed(
    vault: Vault, resolve: Resolve
) -> None:
    await vault.put(EVERYONE, "forge", "a-plain-secret", "bot")
    found = await resolve()
    assert found == ResolvedCredential(account="bot", credential="forge", kind="")
    with pytest.raises(ApplicationError, match="has no kind") as caught:
        await resolve(needs=[Feature.WEBHOOKS])
    assert caught.value.non_retryable


async def test_feature_that_the_local_host_lacks_is_named(resolve: Resolve) -> None:
    with pytest.raises(ApplicationError, match="uses webhooks, which the host") as caught:
        await resolve("local", needs=[Feature.WEBHOOKS])
    assert caught.value.non_retryable


async def test_private_authority_is_trusted_if_it_is_stored(
    vault: Vault, tmp_path: Path, resolve: Resolve
) -> None:
    context, authority = private(tmp_path, "127.0.0.1")
    with running_host(GitHubSurface, tls=context) as host:
        populate(host)
        token = host.world.add_token("erin", {"repo"})
        await vault.put(EVERYONE, "forge", token.value, "", target(host))
        with pytest.raises(ApplicationError, match="is not trusted") as caught:
            await resolve()
        assert "--ca FILE" in caught.value.details[0]["remedy"]
        await vault.put(EVERYONE, "forge", token.value, "", target(host, ca=authority))
        assert (await resolve()).account == "erin"


async def test_proxy_of_the_environment_is_used(
    vault: Vault, tmp_path: Path, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = private(tmp_path, INTERNAL)
    with running_host(GitHubSurface, tls=context) as host:
        populate(host)
        token = host.world.add_token("erin", {"repo"})
        there = Target("github", f"https://{INTERNAL}", authority)
        await vault.put(EVERYONE, "forge", token.value, "", there)
        async with proxy(int(host.url.rpartition(":")[2])) as (address, asked):
            monkeypatch.setenv("HTTPS_PROXY", address)
            assert (await resolve()).account == "erin"
            assert set(asked) == {f"CONNECT {INTERNAL}:443 HTTP/1.1"}
