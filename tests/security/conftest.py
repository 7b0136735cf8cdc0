"""Fixtures: a Stepway with sign-in, people with tokens, projects, and an OpenID provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from stepway.api.auth.tokens import Tokens
from stepway.runtime.scopes import Scope
from stepway.runtime.settings import Settings
from stepway.vault.keys import new_key
from tests.security.provider import AUDIENCE, Provider, serving_provider
from tests.support.servers import Stepway, running_stepway, write_blueprint

READ, CREATE, CONTROL, ADMIN = Scope


@dataclass
class Secured:
    """A running Stepway with sign-in. Alice owns `project` (failed) and `done` (active)."""

    stepway: Stepway
    tokens: dict[str, str]
    blueprint: str
    project: str
    done: str

    @property
    def http(self) -> httpx.AsyncClient:
        """A client without a token."""
        return self.stepway.http

    @property
    def events(self) -> str:
        """The path of the event stream of alice's project."""
        return f"/api/projects/{self.project}/initialization/events"

    def headers(self, who: str) -> dict[str, str]:
        """Return the headers with that person's token."""
        token = self.tokens.get(who)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def client(self, who: str = "") -> httpx.AsyncClient:
        """Return a client with that person's token; the caller closes it."""
        return httpx.AsyncClient(
            base_url=self.http.base_url, headers=self.headers(who), timeout=30, trust_env=False
        )


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with serving_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def secured_settings(servers: Settings, provider: Provider) -> Settings:
    """The session's servers, with sign-in and a key."""
    return servers.model_copy(
        update={
            "sign_in": ["tokens", "oidc"],
            "oidc_issuer": provider.issuer,
            "oidc_audience": AUDIENCE,
            "admins": ["group.operators"],
            "secret_keys": SecretStr(new_key("first")),
            "temporal_ui_url": "http://temporal-ui.example:8080",
            "cors_origins": ["https://portal.example"],
            "starts_per_minute": 10_000,
        }
    )


@pytest.fixture(scope="session")
async def tokens(pool: asyncpg.Pool) -> Tokens:
    return Tokens(pool)


@pytest.fixture(scope="session")
async def people(tokens: Tokens) -> dict[str, str]:
    """Create the tokens; return them by name."""
    past = datetime.now(UTC) - timedelta(minutes=1)
    everything = (READ, CREATE, CONTROL)
    return {
        "wrong": "stepway_" + "x" * 43,
        "expired": await tokens.create("t", "alice", everything, expires_at=past),
        "other": await tokens.create("t", "bob", everything),
        "reader": await tokens.create("t", "alice", [READ]),
        "creator": await tokens.create("t", "alice", [CREATE]),
        "controller": await tokens.create("t", "alice", everything),
        "neighbour": await tokens.create("t", "zoe", everything),
        "member": await tokens.create("t", "carol", everything, groups=["group.team"]),
        "admin": await tokens.create("t", "root", [ADMIN]),
    }


@pytest.fixture(scope="session")
async def secured(
    secured_settings: Settings,
    people: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Secured]:
    folder: Path = tmp_path_factory.mktemp("secured")
    broken = write_blueprint(folder, [{"step": "doomed", "uses": "broken", "optional": True}])
    works = write_blueprint(folder, [{"step": "fine"}])
    modules = ["tests.support.steps", "tests.security.steps"]
    # All tests use one address, and many of their sign-ins fail.
    patient = pytest.MonkeyPatch()
    patient.setattr("stepway.api.auth.limits.FAILURES", 10_000)
    async with running_stepway(secured_settings, folder, modules=modules) as stepway:
        patient.undo()
        secured = Secured(stepway, people, broken, "", "")
        async with secured.client("controller") as alice:
            stepway = Stepway(stepway.settings, folder, alice)
            secured.project = await stepway.create(broken)
            secured.done = await stepway.create(works)
            await stepway.until(secured.project, "failed")
            await stepway.until(secured.done, "active")
        yield secured
