"""Each check of what is on Git hosts finds what goes wrong without the guard that it is for.

A twin with the guard on shows that the scenario itself is sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from dulwich.objects import Commit
from dulwich.repo import Repo
from pydantic import SecretStr
from temporalio.client import Client

from stepway.activities.git import remote
from stepway.activities.git.repositories import Change, changed_tree
from stepway.activities.gitops import in_repository
from stepway.activities.repository import push_template
from stepway.hosts.errors import HostError
from stepway.hosts.gitea.host import GiteaHost
from stepway.hosts.host import HostRepository, WebhookSpec
from stepway.hosts.http import HostHttp
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway.vault.keys import new_key
from stepway.vault.redaction import PROCESS
from tests.faults.checks import record_faults
from tests.faults.collecting import collect
from tests.faults.hosts.blueprint import NAME, parameters_of, write_hosted_blueprint
from tests.faults.hosts.checks import TOLERATED, host_faults
from tests.faults.hosts.forges import Forge, running_forge
from tests.faults.hosts.injections import CREATIONS, PUSHES
from tests.faults.hosts.search import search
from tests.faults.hosts.seen import seen_on
from tests.support.canaries import Canaries, overheard
from tests.support.controls import until_ended
from tests.support.githost.answers import Answer
from tests.support.servers import Stepway, eventually, running_stepway

Patch = pytest.MonkeyPatch

KIND = "gitea"
HOOKS = r"^POST .*/hooks$"
ERROR = Answer(502, "<html><h1>502 Bad Gateway</h1></html>")


@dataclass
class Ground:
    """A Stepway with one Git host; a scenario runs one project on it."""

    stepway: Stepway
    forge: Forge
    pool: asyncpg.Pool
    temporal: Client
    canaries: Canaries
    folder: Path
    projects: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.stepway.settings

    @property
    def forges(self) -> dict[str, Forge]:
        return {self.forge.kind: self.forge}

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        found: list[Any] = await self.pool.fetch(query, *arguments)
        return found

    async def start(self) -> str:
        """Start a project on the host; return its ID."""
        folder = self.folder / uuid4().hex
        folder.mkdir()
        given = parameters_of(self.forge, self.forge.credentials[0], folder)
        self.projects.append(await self.stepway.create(NAME, **given))
        return self.projects[-1]

    async def settled(self, project: str) -> None:
        """Wait until the project is active or has failed."""

        async def done() -> bool:
            found = await self.stepway.initialization(project)
            return found["project"]["status"] in ("active", "failed")

        await eventually(done)

    async def faults(self, project: str) -> list[str]:
        """Return what the fault run's checks find."""
        record = await collect(self, project, TOLERATED)
        seen = seen_on(self.forge, record.project)
        return record_faults(record) + host_faults(record, seen, self.forge.secrets, KIND)


@asynccontextmanager
async def ground(servers: Settings, pool: asyncpg.Pool, folder: Path) -> AsyncIterator[Ground]:
    write_hosted_blueprint(folder)
    settings = servers.model_copy(update={"secret_keys": SecretStr(new_key("ablations"))})
    canaries = Canaries()
    async with (
        running_forge(KIND, settings, canaries) as forge,
        running_stepway(settings, folder) as stepway,
    ):
        temporal = await connect_temporal(stepway.settings)
        yield Ground(stepway, forge, pool, temporal, canaries, folder)


@pytest.fixture
async def place(servers: Settings, pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(servers, pool, tmp_path) as found:
        yield found


Scenario = Callable[[Ground], Awaitable[list[str]]]


async def lost_answer_to_a_webhook(place: Ground) -> list[str]:
    place.forge.host.faults.add(HOOKS, ERROR, effect=True)
    return await to_the_end(place)


async def lost_answer_to_a_creation(place: Ground) -> list[str]:
    place.forge.host.faults.add(CREATIONS, ERROR, effect=True)
    return await to_the_end(place)


async def lost_answer_to_a_push(place: Ground) -> list[str]:
    # Of the template, not of the manifests, which come later.
    place.forge.host.faults.add(PUSHES, lost=True, effect=True)
    return await to_the_end(place)


async def limit(place: Ground) -> list[str]:
    answer = Answer(429, {"message": "Retry later"}, {"Retry-After": "1"})
    place.forge.host.faults.add(CREATIONS, answer)
    return await to_the_end(place)


async def to_the_end(place: Ground) -> list[str]:
    project = await place.start()
    await place.settled(project)
    return await place.faults(project)


async def rollback(place: Ground) -> list[str]:
    """Cancel when the manifests are written; the last steps wait for the host."""
    place.forge.host.faults.add(r"branch_protections", delay=5.0, times=2)
    project = await place.start()
    await place.stepway.until_step(project, "setup_gitops", "completed")
    answer = await place.stepway.control(project, "cancel", {"undo": True})
    assert answer.status_code == 202, answer.text
    await until_ended(place.stepway, project, "cancelled")
    return await place.faults(project)


async def _new_webhook(self: Any, repository: HostRepository, webhook: WebhookSpec) -> str:
    """Add a webhook without a look at those that are there."""
    config = {"url": webhook.url, "content_type": "json", "secret": webhook.secret}
    body = {"type": "gitea", "config": config, "events": list(webhook.events), "active": True}
    path = f"repos/{repository.owner}/{repository.name}/hooks"
    return str((await self.http.call("POST", path, body))["id"])


async def _nothing_found(self: Any, error: HostError, spec: Any) -> Any:
    raise error


def _new_commit(self: Any, repo: Repo, changes: list[Change], head: Commit | None) -> Any:
    """Commit on top of whatever is there."""
    tree = changed_tree(repo, None, changes)
    return self._add(repo, tree, head, self._main, head.id if head else None)


async def _not_deleted(self: Any, repository: HostRepository) -> bool:
    return True


def forget_webhooks(patch: Patch) -> None:
    patch.setattr(GiteaHost, "add_webhook", _new_webhook)


def forget_repositories(patch: Patch) -> None:
    patch.setattr(GiteaHost, "_after", _nothing_found)


def forget_commits(patch: Patch) -> None:
    patch.setattr(push_template._Pushing, "_commit_to_main", _new_commit)
    patch.setattr(remote, "UNCERTAIN", frozenset())


def give_up_at_a_limit(patch: Patch) -> None:
    patch.setattr(HostError, "may_succeed_later", False)


def keep_the_repository(patch: Patch) -> None:
    patch.setattr(GiteaHost, "delete_repository", _not_deleted)


def keep_the_manifests(patch: Patch) -> None:
    patch.setattr(in_repository, "_take_out", lambda repo, head, project, made: [])


@pytest.mark.parametrize(
    ("scenario", "remove", "finds"),
    [
        (lost_answer_to_a_webhook, forget_webhooks, "not exactly one of each"),
        (lost_answer_to_a_creation, forget_repositories, "failed for a reason that is not its own"),
        (lost_answer_to_a_push, forget_commits, "not exactly one initial commit"),
        (limit, give_up_at_a_limit, "failed for a reason that is not its own"),
        (rollback, keep_the_repository, "left after the rollback: the repository"),
        (rollback, keep_the_manifests, "left after the rollback: entries"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_host_is_left_wrong_without_a_guard_and_with_it_is_not(
    place: Ground,
    monkeypatch: Patch,
    scenario: Scenario,
    remove: Callable[[Patch], None],
    finds: str,
) -> None:
    assert await scenario(place) == []
    remove(monkeypatch)
    found = await scenario(place)
    assert any(finds in fault for fault in found), found


async def talkative_host(place: Ground) -> list[str]:
    """The host refuses a request with the token and the webhook's secret in its words."""
    secrets = [token.value for token in place.forge.tokens] + list(place.forge.secrets.values())
    place.forge.host.faults.add(HOOKS, Answer(422, {"message": f"refused: {' '.join(secrets)}"}))
    async with overheard(place.settings.redis_url) as heard:
        project = await place.start()
        await place.settled(project)
        await place.stepway.until_step(project, "create_webhook", "failed")
    return await search(place, heard, f"WorkflowId = 'initialize-{project}'")


async def test_secret_in_an_error_is_found_unless_it_is_redacted(
    place: Ground, monkeypatch: Patch
) -> None:
    assert await talkative_host(place) == []
    monkeypatch.setattr(type(PROCESS), "text", lambda self, text: text)
    monkeypatch.setattr(type(PROCESS), "value", lambda self, value: value)
    monkeypatch.setattr(type(PROCESS.known), "replaced", lambda self, text, by: text)
    found = await talkative_host(place)
    for where in ("Postgres", "Valkey's commands", "Temporal"):
        assert any(f"in {where}" in each for each in found), (where, found)
    assert any("the credential gitea-hook" in each for each in found), found


async def test_secret_in_a_file_or_in_the_hosts_log_is_found(place: Ground) -> None:
    secret = place.forge.secrets["gitea-hook"]
    left = place.folder / "data" / "left"
    await asyncio.to_thread(left.write_text, f"x{secret}x")
    async with httpx.AsyncClient(base_url=place.forge.host.url) as http:
        await http.get(f"/api/v1/version?token={secret}")
    found = await search(place, [], "WorkflowId = 'none'")
    assert sorted(found) == [
        "secret found: the credential gitea-hook in data/left",
        "secret found: the credential gitea-hook in host-gitea.log",
    ]


async def test_request_that_does_not_fit_is_found(place: Ground, monkeypatch: Patch) -> None:
    if place.forge.host.surface.shapes is None:
        pytest.skip("this machine has no OpenAPI documents of the hosts")
    assert await to_the_end(place) == []
    assert place.forge.host.violations == []
    call = HostHttp.call

    async def wrong(self: HostHttp, method: str, path: str, body: Any = None, **more: Any) -> Any:
        if method == "POST" and path.endswith("/hooks"):
            body = {**body, "active": "yes"}
        return await call(self, method, path, body, **more)

    monkeypatch.setattr(HostHttp, "call", wrong)
    await to_the_end(place)
    assert any("hooks" in each for each in place.forge.host.violations)
