"""`stepway token` and `stepway credential`, as an operator uses them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from stepway.api.auth.tokens import Tokens
from stepway.cli.client.errors import ClientError
from stepway.cli.main import load_command
from stepway.runtime.setting_types import SettingsError
from stepway.runtime.settings import Settings, load_settings
from stepway.vault.keys import new_key

SECRET = "an operator's secret"

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(servers: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the session's database. Raises ClientError."""
    monkeypatch.setenv("STEPWAY_DATABASE_URL", servers.database_url)
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", new_key("ops"))

    async def invoke(*words: str, input: str | None = None) -> Result:
        invoked = partial(CliRunner().invoke, load_command(words[0]), words[1:], input)
        # In a new event loop, as on the command line.
        result = await asyncio.to_thread(invoked)
        if isinstance(result.exception, ClientError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return invoke


async def test_token_is_made_used_listed_and_revoked(run: Run, tokens: Tokens) -> None:
    made = await run("token", "create", "ci", "--owner", "dora", "--scope", "read")
    token = made.stdout.strip()
    person = await tokens.person(token)
    assert person is not None
    assert (person.name, sorted(person.scopes)) == ("dora", ["read"])
    assert person.expires_at is not None

    listed = (await run("token", "list", "--json")).stdout
    [entry] = [each for each in json.loads(listed) if each["owner"] == "dora"]
    assert entry["prefix"] == token[:14]
    assert token not in listed + (await run("token", "list")).stdout

    with pytest.raises(ClientError, match="no active token"):
        await run("token", "revoke", token[:14], "--owner", "nobody")
    assert "Revoked" in (await run("token", "revoke", token[:14])).stdout
    assert await tokens.person(token) is None
    with pytest.raises(ClientError, match="no active token"):
        await run("token", "revoke", token[:14])


async def test_token_for_a_name_that_owns_nothing_is_refused(run: Run) -> None:
    with pytest.raises(ClientError, match="is not a valid owner name"):
        await run("token", "create", "x", "--owner", "../etc")


async def test_credential_is_kept_encrypted_listed_without_its_secret_and_removed(
    run: Run, pool: asyncpg.Pool
) -> None:
    kept = await run("credential", "set", "forge", "--account", "bot", input=SECRET + "\n")
    row = await pool.fetchrow("SELECT * FROM credentials WHERE name = 'forge'")
    assert (row["owner"], row["account"], row["key_id"]) == ("*", "bot", "ops")
    assert SECRET.encode() not in row["ciphertext"]
    listed = (await run("credential", "list")).output
    assert "forge" in listed
    assert SECRET not in listed + kept.output
    await run("credential", "remove", "forge")
    with pytest.raises(ClientError, match="no credential 'forge'"):
        await run("credential", "remove", "forge")


async def test_credential_of_a_kind_is_listed_with_its_address(run: Run) -> None:
    words = ("credential", "set", "forge", "--kind", "gitlab", "--account", "acme")
    kept = await run(*words, "--url", "https://git.example.com/api/v4", input="a-token-of-gitlab\n")
    assert "gitlab at https://git.example.com" in kept.output
    assert "stepway credential check forge" in kept.output
    listed = json.loads((await run("credential", "list", "--json")).stdout)
    [entry] = [each for each in listed if each["name"] == "forge"]
    assert (entry["kind"], entry["url"]) == ("gitlab", "https://git.example.com")
    assert "https://git.example.com" in (await run("credential", "list")).output
    await run("credential", "remove", "forge")


@pytest.mark.parametrize(
    ("words", "secret", "reason"),
    [
        (["--kind", "gitea"], "a-token-of-gitea", "--url URL"),
        (["--kind", "github", "--url", "http://git.example.com"], "a-token-1", "https://"),
        (["--kind", "github-app", "--account", "acme"], "a-token-of-github", "--app-id"),
        (["--kind", "github", "--ca", "/nowhere/ca.pem"], "a-token-of-github", "cannot read"),
        (["--kind", "basic", "--known-hosts", "/nowhere"], "a-token-1", "belongs to --kind ssh"),
        (["--kind", "ssh", "--ca", "/nowhere"], "a-token-1", "use --known-hosts"),
        (["--kind", "github", "--in-cluster"], "a-token-1", "belongs to --kind kubernetes"),
        (["--url", "https://git.example.com"], "a-plain-secret", "needs --kind"),
    ],
)
async def test_credential_that_would_not_work_is_refused_and_not_kept(
    run: Run, words: list[str], secret: str, reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as caught:
        await run("credential", "set", "refused", *words, input=secret)
    assert secret not in str(caught.value)
    assert "refused" not in (await run("credential", "list")).output


async def test_rotation_brings_every_credential_under_the_newest_key(
    run: Run, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key("ops-1"), new_key("ops-2")
    await pool.execute("DELETE FROM credentials")
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", old)
    await run("credential", "set", "rotated", input=SECRET)
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", f"{new},{old}")
    assert "Re-encrypted: 1 credential" in (await run("credential", "rotate")).output
    assert await pool.fetchval("SELECT key_id FROM credentials") == "ops-2"
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", old)
    with pytest.raises(ClientError, match="'ops-2'"):
        await run("credential", "rotate")
    await run("credential", "remove", "rotated")


async def test_key_is_printed_fresh_each_time(run: Run) -> None:
    keys = {(await run("credential", "new-key", "2026")).output for _ in range(2)}
    assert len(keys) == 2
    assert all(key.startswith("2026:") for key in keys)


async def test_without_a_database_it_is_said_what_to_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPWAY_DATABASE_URL")
    monkeypatch.setenv("STEPWAY_DATA_DIR", str(tmp_path))
    with pytest.raises(ClientError, match="STEPWAY_DATABASE_URL"):
        await run("token", "list")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGN_IN", "passwords"),
        ("OIDC_ISSUER", "http://login.example"),
        ("OIDC_SCOPES", "read,everything"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://portal.example/"),
        ("SECRET_KEYS", "2026:c2hvcnQ"),
        ("SECRET_KEYS", "2026"),
        ("SECRET_KEYS_FILE", "/nowhere/keys"),
        ("STARTS_PER_MINUTE", "0"),
    ],
)
def test_setting_that_makes_no_sense_stops_the_start_with_its_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"STEPWAY_{name}", value)
    with pytest.raises(SettingsError, match=f"^STEPWAY_{name}: ") as caught:
        load_settings()
    assert "c2hvcnQ" not in str(caught.value)


def test_sign_in_by_openid_needs_its_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWAY_SIGN_IN", "oidc")
    with pytest.raises(SettingsError, match=r"^STEPWAY_OIDC_ISSUER: must be set"):
        load_settings()


def test_keys_of_the_file_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text(f"{new_key('of-the-file')}\n")
    monkeypatch.setenv("STEPWAY_SECRET_KEYS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", new_key("of-the-environment"))
    assert list(load_settings().keys) == ["of-the-file", "of-the-environment"]
    assert "of-the-environment:" not in repr(load_settings())


async def test_name_that_tokens_of_several_owners_have_revokes_none(
    run: Run, tokens: Tokens
) -> None:
    name = "nightly job"
    made = {
        owner: (await run("token", "create", name, "--owner", owner)).stdout.strip()
        for owner in ("dora", "emil")
    }
    with pytest.raises(ClientError, match="several owners") as caught:
        await run("token", "revoke", name)
    assert "of dora" in str(caught.value)
    assert "of emil" in str(caught.value)
    for token in made.values():
        assert await tokens.person(token)
    assert "owner emil" in (await run("token", "revoke", name, "--owner", "emil")).stdout
    assert await tokens.person(made["emil"]) is None
    assert await tokens.person(made["dora"])
    # With one owner left the name says enough.
    assert "owner dora" in (await run("token", "revoke", name)).stdout
