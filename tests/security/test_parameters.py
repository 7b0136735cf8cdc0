"""A secret among the parameters is refused, and the answer helps nobody to guess it; other values
are never changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from stepway.api.auth.limits import SECRETS
from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import Keyring, open_keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.redaction import REDACTED, learn
from stepway.vault.vault import Vault
from tests.security.conftest import Secured
from tests.support.canaries import everything_in
from tests.support.servers import Stepway, running_stepway, write_blueprint

ANYTHING: dict[str, Any] = {"a": {}, "b": {}}
URL = "postgresql://app:s3cr3t@db.example/shop"
LIKE_A_SEAL = "[stepway-secret::aGVsbG8]"


@dataclass
class Given:
    """A Stepway, people's clients of it, its vault, and a blueprint that takes anything."""

    stepway: Stepway
    alice: httpx.AsyncClient
    carol: httpx.AsyncClient
    vault: Vault
    blueprint: str

    async def start(self, who: httpx.AsyncClient, **more: Any) -> httpx.Response:
        """Ask for a project."""
        body = {"name": f"p-{uuid4().hex[:12]}", "blueprint": self.blueprint, **more}
        return await who.post("/api/projects", json=body)


@pytest.fixture(scope="module")
async def given(
    secured: Secured, secured_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Given]:
    folder: Path = tmp_path_factory.mktemp("parameters")
    broken = write_blueprint(
        folder,
        [{"step": "doomed", "uses": "broken"}],
        parameters={"type": "object", "properties": ANYTHING, "additionalProperties": False},
    )
    digest = sha256(f"{URL} {LIKE_A_SEAL}".encode()).hexdigest()
    (folder / "default.yaml").write_text(
        f"""
name: default
parameters:
  type: object
  properties:
    url: {{type: string, default: "{URL}"}}
    seal: {{type: string, default: "{LIKE_A_SEAL}"}}
    fix: {{type: string, default: "bad"}}
editable: [fix]
steps:
  - {{step: first, uses: fixable, with: {{folder: {folder}, value: "${{{{ parameters.fix }}}}"}}}}
  - step: receives
    uses: receive
    with: {{value: "${{{{ parameters.url }}}} ${{{{ parameters.seal }}}}", sha256: {digest}}}
"""
    )
    engine = open_engine(secured_settings.sqlalchemy_url)
    modules = ["tests.support.steps", "tests.security.steps"]
    async with running_stepway(secured_settings, folder, modules=modules) as stepway:

        def client(who: str) -> httpx.AsyncClient:
            url = stepway.http.base_url
            return httpx.AsyncClient(
                base_url=url, headers=secured.headers(who), timeout=30, trust_env=False
            )

        async with client("controller") as alice, client("member") as carol:
            vault = Vault(engine, open_keyring(secured_settings.keys))
            yield Given(Stepway(stepway.settings, folder, alice), alice, carol, vault, broken)
    await engine.dispose()


async def test_secret_as_a_parameter_is_refused_and_kept_nowhere(
    given: Given, pool: asyncpg.Pool
) -> None:
    unseen = f"unseen {uuid4()}"
    await given.vault.put("alice", "unseen", unseen)
    project = await given.stepway.create(given.blueprint)
    await given.stepway.until(project, "failed")
    refused = await given.start(given.alice, parameters={"a": unseen})
    retry = f"/api/projects/{project}/initialization/steps/doomed/retry"
    again = await given.alice.post(retry, json={"parameters": {"a": {"b": f"x{unseen}"}}})
    for answer, pointer in ((refused, "/parameters/a"), (again, "/parameters/a/b")):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert answer.json()["errors"][0]["name"] == "a"
        assert "the secret of the credential unseen" in answer.json()["detail"]
        assert unseen not in answer.text
    assert unseen not in await everything_in(pool)


@pytest.mark.parametrize("parameters", [{"a": URL}, {"a": [{"b": "ghp_" + "a1B2" * 9}]}], ids=str)
async def test_what_looks_like_a_secret_is_refused(given: Given, parameters: Any) -> None:
    answer = await given.start(given.alice, parameters=parameters)
    assert answer.status_code == 422
    assert "looks like a secret" in answer.json()["detail"]
    assert "s3cr3t" not in answer.text


async def test_ordinary_words_are_no_secret(given: Given) -> None:
    parameters = {"a": "A basic microservice-template-v2"}
    answer = await given.start(given.alice, parameters=parameters)
    assert answer.status_code == 201
    assert answer.json()["project"]["parameters"] == parameters


async def test_value_with_the_beginning_or_end_of_a_secret_is_stored_as_it_is(
    given: Given,
) -> None:
    secret = str(uuid4())
    learn(secret)
    parameters = {"a": f"shop-{secret[:8]}", "b": f"{secret[-8:]}-shop"}
    answer = await given.start(given.alice, parameters=parameters)
    assert answer.status_code == 201
    assert answer.json()["project"]["parameters"] == parameters


async def test_schema_comes_before_secrets(given: Given) -> None:
    answer = await given.start(given.alice, parameters={"c": URL, "a": URL})
    assert answer.status_code == 422
    [wrong] = answer.json()["errors"]
    assert (wrong["name"], wrong["pointer"]) == ("c", "/parameters/c")
    assert wrong["detail"].startswith("is unknown")


async def test_credential_is_named_to_its_owner_only(given: Given) -> None:
    everyones = f"of everyone {uuid4()}"
    teams = f"of the team {uuid4()}"
    await given.vault.put("*", "everyones", everyones)
    await given.vault.put("group.team", "teams", teams)
    for who, secret, owner, named in (
        (given.alice, everyones, "alice", False),
        (given.carol, everyones, "group.team", False),
        (given.carol, teams, "group.team", True),
    ):
        answer = await given.start(who, parameters={"a": secret}, owner=owner)
        assert answer.status_code == 422
        assert ("of the credential" in answer.text) is named
        assert ("looks like a secret" in answer.text) is not named
        assert "everyones" not in answer.text
    # What somebody else keeps is not told from any other text.
    assert (await given.start(given.alice, parameters={"a": teams})).status_code == 201


async def test_secret_that_could_be_guessed_is_not_compared_with(given: Given) -> None:
    await given.vault.put("alice", "short", "13572468")
    await given.vault.put("alice", "longer", "135724680135")
    assert (await given.start(given.alice, parameters={"a": "13572468"})).status_code == 201
    assert (await given.start(given.alice, parameters={"a": "135724680135"})).status_code == 422
    # A part of a secret is not told either.
    assert (await given.start(given.alice, parameters={"a": "35724680135"})).status_code == 201


async def test_credential_under_a_lost_key_keeps_nobody_from_starting(
    given: Given, secured_settings: Settings
) -> None:
    engine = open_engine(secured_settings.sqlalchemy_url)
    other = Vault(engine, Keyring(parse_keys(new_key("lost"))))
    value = f"under a lost key {uuid4()}"
    kept = f"under a kept key {uuid4()}"
    await other.put("*", "a-lost", value)
    await other.put("alice", "a-lost", value)
    await given.vault.put("alice", "b-kept", kept)
    try:
        assert (await given.start(given.alice, parameters={"a": "x"})).status_code == 201
        refused = await given.start(given.alice, parameters={"a": kept})
        assert "of the credential b-kept" in refused.json()["detail"]
    finally:
        for owner in ("*", "alice"):
            await other.remove(owner, "a-lost")
        await engine.dispose()


async def test_many_credentials_are_read_in_one_statement(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        await given.vault.put("alice", f"many-{number}", f"a secret of many {uuid4()}")
    reads: list[str] = []
    execute = AsyncConnection.execute

    async def counting(self: AsyncConnection, statement: Any, *more: Any, **options: Any) -> Any:
        if "FROM credentials" in str(statement):
            reads.append(str(statement))
        return await execute(self, statement, *more, **options)

    parameters = {"a": {f"p{number}": "x" * 500 for number in range(100)}}
    with monkeypatch.context() as patch:
        patch.setattr(AsyncConnection, "execute", counting)
        assert (await given.start(given.alice, parameters=parameters)).status_code == 201
    assert len(reads) == 1
    usable = await given.vault.usable_by("alice")
    assert {"many-0", "many-29"} <= {each.name for each in usable}
    for number in range(30):
        await given.vault.remove("alice", f"many-{number}")


async def test_whoever_keeps_coming_with_secrets_has_to_wait(given: Given) -> None:
    secret = f"of the team {uuid4()}"
    await given.vault.put("group.team", "guessed", secret)
    for _ in range(SECRETS):
        answer = await given.start(given.carol, parameters={"a": secret}, owner="group.team")
        if answer.status_code == 429:
            break
        assert answer.status_code == 422
    # Then nothing is compared any more, whether it holds one or not.
    for text in (secret, "nothing"):
        answer = await given.start(given.carol, parameters={"a": text}, owner="group.team")
        assert answer.status_code == 429
        assert 60 < int(answer.headers["Retry-After"]) <= 360
    assert (await given.start(given.carol, owner="group.team")).status_code == 201
    assert (await given.start(given.carol, parameters={"a": "x"})).status_code == 201
    assert (await given.start(given.alice, parameters={"a": "x"})).status_code == 201


async def test_text_that_is_hard_to_search_keeps_nobody_waiting(given: Given) -> None:
    hard = asyncio.create_task(given.start(given.alice, parameters={"a": "eyJ-" * 60_000}))
    started = time.monotonic()
    await asyncio.sleep(0.01)
    assert (await given.alice.get("/healthz")).status_code == 200
    assert (await hard).status_code == 422
    assert time.monotonic() - started < 3


async def cancelled_after_a_failure(stepway: Stepway) -> str:
    """Start a project whose first step fails, and cancel it; return its ID."""
    project = await stepway.create("default")
    await stepway.until(project, "failed")
    await stepway.control(project, "cancel", {})
    await stepway.until(project, "cancelled")
    return project


async def test_default_that_looks_like_a_secret_is_planned_with_again_and_shown_to_nobody(
    given: Given, pool: asyncpg.Pool
) -> None:
    stepway = given.stepway
    project = await cancelled_after_a_failure(stepway)
    path = f"/api/projects/{project}"
    shown = {"url": REDACTED, "fix": "bad", "seal": REDACTED}
    assert (await given.alice.get(path)).json()["parameters"] == shown
    # Sent back as it is shown, it stays as it was.
    retry = {"parameters": {"fix": "good", "url": REDACTED}}
    answer = await stepway.control(project, "steps/first/retry", retry)
    assert answer.status_code == 202, answer.text
    await stepway.until(project, "active")
    history = await given.alice.get(f"{path}/initialization/history?limit=1000")
    events = await stepway.watch(project, after=0)
    for text in (history.text, str(events), await everything_in_projects(pool, project)):
        assert "s3cr3t" not in text
    for text in (history.text, str(events)):
        assert REDACTED in text
        assert "stepway-secret" not in text


async def test_parameter_that_an_earlier_version_has_redacted_is_asked_for(
    given: Given, pool: asyncpg.Pool
) -> None:
    stepway = given.stepway
    project = await cancelled_after_a_failure(stepway)
    old = "postgresql://app:[redacted]@db.example/shop"
    await pool.execute(
        "UPDATE projects SET parameters = parameters || jsonb_build_object('url', $2::text) "
        "WHERE id = $1::uuid",
        project,
        old,
    )
    for path, body in (("retry", {}), ("steps/first/retry", {"parameters": {"fix": "good"}})):
        answer = await stepway.control(project, path, body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["name"] == "url"
        assert "earlier version" in answer.json()["detail"]
    given_again = {"parameters": {"fix": "good", "url": "https://db.example/shop"}}
    answer = await stepway.control(project, "steps/first/retry", given_again)
    assert answer.status_code == 202, answer.text
    # Another value than the first one, so that its step says no; but it was planned with.
    await stepway.until_step(project, "receives", "failed")


async def everything_in_projects(pool: asyncpg.Pool, project: str) -> str:
    """The project's row and events, as a dump would have them, but the blueprint itself."""
    row = await pool.fetchrow("SELECT * FROM projects WHERE id = $1::uuid", project)
    events = await pool.fetch(
        "SELECT * FROM project_initialization_events WHERE project_id = $1::uuid", project
    )
    return str([value for name, value in row.items() if name != "definition"]) + str(events)


async def test_a_repeat_is_answered_when_a_parameter_has_become_a_secret(given: Given) -> None:
    value, key = f"harmless-{uuid4().hex}", {"Idempotency-Key": uuid4().hex}
    body = {
        "name": f"p-{uuid4().hex[:12]}",
        "blueprint": given.blueprint,
        "parameters": {"a": value},
    }
    made = await given.alice.post("/api/projects", json=body, headers=key)
    assert made.status_code == 201, made.text
    await given.vault.put("alice", f"late-{uuid4().hex[:8]}", value)
    again = await given.alice.post("/api/projects", json=body, headers=key)
    assert again.status_code == 200, again.text
    assert (await given.start(given.alice, parameters={"a": value})).status_code == 422
