"""A canary: steps leak a secret through every channel, and it must not be found anywhere."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import yaml
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.errors import KeyMissing, Undecipherable
from stepway.vault.keyring import Encrypted, Keyring, open_keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.payload_codec import ENCODING, EncryptionCodec
from stepway.vault.redaction import REDACTED, RedactingFormatter
from stepway.vault.vault import CredentialRefused, Vault
from tests.security.conftest import Secured
from tests.support.canaries import Canaries, everything_in, overheard, raw_history
from tests.support.processes import run
from tests.support.servers import Stepway, eventually, running_stepway, write_blueprint

CANARY = f"canary {uuid4()}"
CANARIES = Canaries()
CANARIES.add("the secret", CANARY)


DRIPS = """
printf '%s' "$(printf '%s' "$TOKEN" | cut -c1-20)"; sleep 0.3
printf '%s\\n' "$(printf '%s' "$TOKEN" | cut -c21-)"
printf '%s' "$TOKEN" | base64 -w 0; echo
printf '10%% %s\\r' "$TOKEN"; sleep 2.5; printf '20%% %s' "$TOKEN"; sleep 2.5; printf 'x\\n'
printf '%20000s%s%20000s\\n' '' "$TOKEN" ''
echo the end
"""
"""Prints the secret in two parts, in base64, in a progress bar, and in a line that is cut."""

URL = f"https://bot:{CANARY}@git.example/x"


def handed_on(reference: str, expected: str) -> dict[str, str]:
    """The arguments of a step that checks a secret without showing it."""
    return {"value": reference, "sha256": sha256(expected.encode()).hexdigest()}


def assert_silent(where: str, text: str) -> None:
    """Assert that the text is not empty and does not contain the canary."""
    assert text, f"nothing was read from {where}"
    assert not CANARIES.in_text(text), f"{where} tells the secret"


@pytest.fixture(scope="session")
async def engine(servers: Settings) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(servers.sqlalchemy_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def vault(engine: AsyncEngine, secured_settings: Settings) -> Vault:
    return Vault(engine, open_keyring(secured_settings.keys))


@asynccontextmanager
async def logged() -> AsyncIterator[StringIO]:
    """Collect log lines of all levels, formatted as by the roles."""
    text = StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


async def whole_log(stepway: Stepway, project: str, step: str) -> str:
    """Return the log of a step, once it is complete."""
    path = f"/api/projects/{project}/initialization/steps/{step}/logs?follow=true"
    log = (await stepway.http.get(path)).text
    assert '{"end":' in log, log
    assert REDACTED in log
    return log


async def test_secret_of_careless_steps_is_found_nowhere(
    secured: Secured,
    vault: Vault,
    pool: asyncpg.Pool,
    temporal: Client,
    folder_of: Path,
) -> None:
    await vault.put("alice", "canary", CANARY, account="bot")
    echo = ["sh", "-c", 'echo "$TOKEN"; echo "$TOKEN" >&2; exit 3']
    steps = [
        {"step": "blurts", "uses": "blurt", "with": {"credential": "canary"}},
        {
            "step": "echoes",
            "uses": "run_command",
            "needs": [],
            "with": {"command": echo, "environment": {"TOKEN": {"credential": "canary"}}},
            "retry": {"maximum_attempts": 1},
        },
        {
            "step": "drips",
            "uses": "run_command",
            "needs": [],
            "with": {
                "command": ["sh", "-c", DRIPS],
                "environment": {"TOKEN": {"credential": "canary"}},
            },
        },
        {
            "step": "chokes",
            "uses": "choke",
            "needs": ["blurts"],
            "with": {"credential": "${{ parameters.credential }}"},
            "retry": {"maximum_attempts": 2, "initial_interval": 0.1},
        },
        {
            "step": "models",
            "uses": "blurt_model",
            "needs": [],
            "with": {"credential": "canary"},
            "retry": {"maximum_attempts": 2, "initial_interval": 0.1},
        },
        *(
            {"step": step, "uses": "receive", "needs": ["blurts", "models"], "with": given}
            for step, given in {
                "gets_result": handed_on("${{ steps.blurts.result.url }}", URL),
                "gets_text": handed_on(
                    "git clone ${{ steps.blurts.result.url }}", f"git clone {URL}"
                ),
                "gets_model": handed_on("${{ steps.models.result.url }}", CANARY),
                "gets_list": handed_on("${{ steps.models.result.seen.0 }}", f"ends with {CANARY}"),
            }.items()
        ),
        {
            "step": "gets_typed",
            "uses": "receive_typed",
            "needs": ["blurts", "models"],
            "with": {
                "token": "${{ steps.models.result.url }}",
                "url": "${{ steps.blurts.result.url }}",
                "short": "${{ steps.models.result.url }}",
                "sha256": [
                    sha256(each.encode()).hexdigest()
                    for each in (CANARY, URL.replace(" ", "%20"), CANARY)
                ],
            },
            "retry": {"maximum_attempts": 1},
        },
        {
            "step": "gets_narrow",
            "uses": "receive_narrow",
            "needs": ["blurts"],
            "with": {"short": "${{ steps.blurts.result.url }}"},
            "optional": True,
        },
    ]
    parameters = {"type": "object", "properties": {"credential": {"type": "string"}}}
    careless = {"name": "careless", "parameters": parameters, "steps": steps}
    (folder_of / "careless.yaml").write_text(yaml.safe_dump(careless))
    async with (
        logged() as log,
        overheard(secured.stepway.settings.redis_url) as commands,
        running_stepway(
            secured.stepway.settings,
            folder_of,
            modules=["tests.support.steps", "tests.security.steps"],
        ) as stepway,
    ):
        stepway.http.headers.update(secured.headers("controller"))
        project = await stepway.create("careless", credential="canary")
        await stepway.until(project, "failed")
        await stepway.until_step(project, "gets_list", "completed")
        await stepway.until_step(project, "gets_typed", "completed")
        await stepway.until_step(project, "gets_narrow", "failed")
        done = await stepway.initialization(project)
        answers = [
            (await stepway.http.get(f"/api/projects/{project}{path}")).text
            for path in (
                "",
                "/initialization",
                "/initialization/history?progress=true&limit=1000",
                "/initialization/steps/chokes/attempts",
                "/initialization/steps/echoes/attempts",
                "/initialization/steps/blurts/attempts",
            )
        ]
        answers += [await whole_log(stepway, project, step) for step in ("echoes", "drips")]
        answers.append(await first_events(stepway, project))
        shown = await on_the_command_line(stepway, secured.tokens["controller"], project)

    by_step = {step["step"]: step for step in done["steps"]}
    for step in ("gets_result", "gets_text", "gets_model", "gets_list"):
        assert by_step[step]["status"] == "completed", by_step[step]["error"]
    assert by_step["gets_narrow"]["error"] == (
        "The arguments in `with` do not fit the step's input: "
        "argument 'short' is invalid: String should have at most 5 characters, not text"
    )
    assert by_step["gets_narrow"]["attempt"] == 1
    made = by_step["models"]["metadata"]
    assert (made["url"], made["seen"]) == (REDACTED, [f"ends with {REDACTED}"])
    assert by_step["blurts"]["metadata"]["url"] == f"https://bot:{REDACTED}@git.example/x"
    assert by_step["blurts.part"]["display_name"] == f"Part {REDACTED}"
    assert by_step["chokes"]["error"] == f"RuntimeError: cannot push with {REDACTED}"
    assert f"ValueError: refused {REDACTED}" in by_step["chokes"]["error_stack"]
    assert REDACTED in by_step["echoes"]["error"]
    assert REDACTED in log.getvalue()
    history = await raw_history(temporal, project)
    assert b64encode(ENCODING).decode() in history
    for where, text in {
        "the API": "\n".join(answers),
        "the log": log.getvalue(),
        "Valkey": "\n".join(commands),
        "Postgres": await everything_in(pool),
        "Temporal": history,
        "the command line": shown,
    }.items():
        assert_silent(where, text)
    # The other output of the steps is not readable in Temporal either: it is encrypted.
    assert "cannot push" not in history


async def test_attempt_is_repeated_until_a_lost_credential_is_back(
    secured: Secured, vault: Vault, folder_of: Path
) -> None:
    secret = f"fleeting-{uuid4()}"
    await vault.put("alice", "fleeting", secret, account="bot")
    url = f"https://bot:{secret}@git.example/x"
    result = "${{ steps.blurts.result.url }}"
    digests = [sha256(url.encode()).hexdigest()] * 3
    steps = [
        {"step": "blurts", "uses": "blurt", "with": {"credential": "fleeting"}},
        {"step": "waits", "uses": "gate", "with": {"folder": str(folder_of), "name": "waits"}},
        {
            "step": "takes",
            "uses": "receive_typed",
            "with": {"token": result, "url": result, "short": result, "sha256": digests},
            "retry": {"maximum_attempts": 30, "initial_interval": 0.1},
        },
    ]
    (folder_of / "fleeting.yaml").write_text(yaml.safe_dump({"name": "fleeting", "steps": steps}))
    async with running_stepway(
        secured.stepway.settings,
        folder_of,
        modules=["tests.support.steps", "tests.security.steps"],
    ) as stepway:
        stepway.http.headers.update(secured.headers("controller"))
        project = await stepway.create("fleeting")
        await stepway.until_step(project, "blurts", "completed")
        await vault.remove("alice", "fleeting")
        (folder_of / "waits.open").touch()

        async def failed_once() -> dict[str, Any] | None:
            path = f"/api/projects/{project}/initialization/steps/takes/attempts"
            attempts = (await stepway.http.get(path)).json()
            return attempts[0] if attempts and attempts[0]["error"] else None

        attempt = await eventually(failed_once)
        assert "'fleeting' no longer exists" in attempt["error"]
        step = (await stepway.steps(project))["takes"]
        assert "restore the credential" in step["metadata"]["remedy"]
        await vault.put("alice", "fleeting", secret, account="bot")
        await stepway.until_step(project, "takes", "completed")


async def first_events(stepway: Stepway, project: str) -> str:
    """Read a stream from the beginning up to the failure."""
    url = f"/api/projects/{project}/initialization/events?after=0"
    text = ""
    async with asyncio.timeout(30), stepway.http.stream("GET", url) as stream:
        async for part in stream.aiter_text():
            text += part
            if '"status": "failed"' in text or '"status":"failed"' in text:
                return text
    return text


async def on_the_command_line(stepway: Stepway, token: str, project: str) -> str:
    """Return the output of all read commands."""
    environment = {"STEPWAY_API_URL": str(stepway.http.base_url), "STEPWAY_API_TOKEN": token}
    shown = ""
    for command in (
        ["steps", project],
        ["steps", project, "--json"],
        ["attempts", project, "chokes", "--json"],
        ["history", project, "--progress"],
        ["watch", project],
    ):
        stepway = Path(sys.executable).with_name("stepway")
        shown += (await run(stepway, *command, env=os.environ | environment))[1]
    return shown


@pytest.fixture
def folder_of(tmp_path: Path) -> Path:
    return tmp_path


async def test_secret_of_somebody_else_cannot_be_used(vault: Vault) -> None:
    await vault.put("alice", "hers", "a secret of alice's")
    await vault.put("*", "shared", "a secret of everyone's")
    assert await vault.find("bob", "hers") is None
    shared = await vault.find("bob", "shared")
    assert shared is not None
    assert "everyone" not in repr(shared)
    assert {"hers", "shared"} <= {entry.name for entry in await vault.entries()}


async def test_own_secret_comes_before_everyones(vault: Vault) -> None:
    await vault.put("*", "both", "that of everyone")
    await vault.put("alice", "both", "that of alice")
    found = await vault.find("alice", "both")
    assert found and found.value == "that of alice"


@pytest.mark.parametrize("value", ["short", "x" * 70_000, "with\0nul-in-it"], ids=str.__len__)
async def test_secret_that_could_not_be_redacted_is_not_kept(vault: Vault, value: str) -> None:
    with pytest.raises(CredentialRefused):
        await vault.put("alice", "bad", value)


async def test_without_a_key_no_credential_is_kept(engine: AsyncEngine) -> None:
    with pytest.raises(CredentialRefused, match="STEPWAY_SECRET_KEYS"):
        await Vault(engine, None).put("alice", "x", "a secret of alice's")


async def test_ciphertext_that_was_moved_to_another_name_is_not_opened(
    vault: Vault, pool: asyncpg.Pool
) -> None:
    await vault.put("alice", "moved", "a secret of alice's")
    await pool.execute("UPDATE credentials SET owner = 'bob' WHERE name = 'moved'")
    with pytest.raises(Undecipherable):
        await vault.find("bob", "moved")


def keyring(*keys: str) -> Keyring:
    return Keyring(parse_keys(",".join(keys)))


async def test_older_key_still_reads_and_the_newest_writes(engine: AsyncEngine) -> None:
    old, new = new_key("2025"), new_key("2026")
    await Vault(engine, keyring(old)).put("kim", "token", "a secret of kim's")
    rotated = Vault(engine, keyring(new, old))
    found = await rotated.find("kim", "token")
    assert found and found.value == "a secret of kim's"
    with pytest.raises(KeyMissing, match="'2025'"):
        await Vault(engine, keyring(new)).find("kim", "token")


def test_missing_key_of_an_old_ciphertext_is_named() -> None:
    sealed = keyring(new_key("2024")).encrypt(b"x", b"")
    with pytest.raises(KeyMissing, match=r"'2024'.*STEPWAY_SECRET_KEYS"):
        keyring(new_key("2026")).decrypt(sealed, b"")
    with pytest.raises(Undecipherable):
        keyring(new_key("2024")).decrypt(Encrypted("2024", sealed.data), b"")


async def test_keys_are_rotated_while_an_initialization_runs(
    servers: Settings, tmp_path: Path, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepway.worker.GRACE", timedelta(seconds=0.1))
    old, new = new_key("old"), new_key("new")
    steps: list[dict[str, Any]] = [
        {"step": "made", "with": {"value": "kept over the rotation"}},
        {"step": "waits", "uses": "gate"},
        {"step": "uses_it", "with": {"value": "${{ steps.made.result.value }}"}},
    ]
    blueprint = write_blueprint(tmp_path, steps)
    queue = f"rotation-{uuid4().hex[:8]}"
    before = servers.model_copy(update={"secret_keys": SecretStr(old)})
    after = servers.model_copy(update={"secret_keys": SecretStr(f"{new},{old}")})
    async with running_stepway(before, tmp_path, queue=queue) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "waits", "running")
    async with running_stepway(after, tmp_path, queue=queue) as stepway:
        stepway.open_gate("waits")
        done = await stepway.until(project, "active")
    assert done["steps"][2]["metadata"]["value"] == "kept over the rotation"
    history = await raw_history(temporal, project)
    assert b64encode(b"old").decode() in history
    assert b64encode(b"new").decode() in history
    assert "kept over the rotation" not in history


async def test_codec_reads_what_was_plain_before_there_was_a_key(temporal: Client) -> None:
    plain = await temporal.data_converter.encode(["from before"])
    assert await EncryptionCodec(keyring(new_key("k"))).decode(plain) == list(plain)
