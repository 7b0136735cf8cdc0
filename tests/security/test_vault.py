"""The table of credentials, without a running Stepway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.errors import KeyMissing
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import Target
from stepway.vault.vault import EVERYONE, CredentialRefused, Secret, Vault
from tests.support.secrets_of_kinds import app_key, certificate, ec_key

KEY = new_key("vault-first")
SECRET = "a secret value"


@pytest.fixture
async def engine(servers: Settings, pool: asyncpg.Pool) -> AsyncIterator[AsyncEngine]:
    """An engine on a table without credentials."""
    engine = open_engine(servers.sqlalchemy_url)
    kept = await pool.fetch("DELETE FROM credentials RETURNING *")
    yield engine
    await pool.execute("DELETE FROM credentials")
    for row in kept:
        names = ", ".join(row.keys())
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await pool.execute(f"INSERT INTO credentials ({names}) VALUES ({places})", *row.values())
    await engine.dispose()


@pytest.fixture
async def vault(engine: AsyncEngine) -> Vault:
    return Vault(engine, Keyring(parse_keys(KEY)))


async def test_credential_is_found_with_its_account_or_its_name_for_one(vault: Vault) -> None:
    await vault.put("alice", "token", SECRET)
    await vault.put("alice", "login", SECRET, account="bot")
    assert await vault.find("alice", "token") == Secret("token", SECRET)
    assert await vault.find("alice", "login") == Secret("bot", SECRET)
    assert await vault.find("alice", "none") is None
    assert await vault.find("bob", "token") is None


async def test_everyones_credential_is_found_unless_the_owner_has_one(vault: Vault) -> None:
    await vault.put(EVERYONE, "token", "that of everyone")
    assert await vault.find("bob", "token") == Secret("token", "that of everyone")
    await vault.put("bob", "token", "that of bob")
    await vault.put("alice", "token", SECRET)
    assert await vault.find("bob", "token") == Secret("token", "that of bob")


def test_secret_is_not_shown() -> None:
    assert repr(Secret("bot", SECRET)) == "Secret(account='bot')"


async def test_credential_is_replaced_under_its_name(vault: Vault, pool: asyncpg.Pool) -> None:
    await vault.put("alice", "token", SECRET, account="bot")
    long_ago = datetime.now(UTC) - timedelta(days=1)
    await pool.execute("UPDATE credentials SET updated_at = $1", long_ago)
    await vault.put("alice", "token", "another value", account="robot")
    assert await vault.find("alice", "token") == Secret("robot", "another value")
    [entry] = await vault.entries()
    assert entry.updated_at > long_ago
    assert (entry.owner, entry.name, entry.account) == ("alice", "token", "robot")
    assert entry.key_id == "vault-first"


async def test_entries_are_in_order(vault: Vault) -> None:
    for owner, name in (("bob", "a"), ("alice", "b"), (EVERYONE, "c"), ("alice", "a")):
        await vault.put(owner, name, SECRET)
    found = [(entry.owner, entry.name) for entry in await vault.entries()]
    assert found == [(EVERYONE, "c"), ("alice", "a"), ("alice", "b"), ("bob", "a")]


async def test_removed_credential_is_gone_and_no_other(vault: Vault) -> None:
    for owner, name in (("alice", "a"), ("alice", "b"), ("bob", "a")):
        await vault.put(owner, name, SECRET)
    assert await vault.remove("alice", "a") is True
    assert await vault.remove("alice", "a") is False
    assert [(each.owner, each.name) for each in await vault.entries()] == [
        ("alice", "b"),
        ("bob", "a"),
    ]


async def test_usable_are_ones_own_and_everyones_but_those_that_cannot_be_opened(
    vault: Vault, engine: AsyncEngine, pool: asyncpg.Pool
) -> None:
    await Vault(engine, Keyring(parse_keys(new_key("lost")))).put("alice", "a-lost", SECRET)
    for owner, name in (("alice", "moved"), ("bob", "his"), ("alice", "own"), (EVERYONE, "all")):
        await vault.put(owner, name, SECRET)
    await pool.execute("UPDATE credentials SET name = 'b-moved' WHERE name = 'moved'")
    usable = {(each.owner, each.name, each.value) for each in await vault.usable_by("alice")}
    assert usable == {("alice", "own", SECRET), (EVERYONE, "all", SECRET)}
    assert SECRET not in repr(await vault.usable_by("alice"))
    assert await Vault(engine, None).usable_by("alice") == []
    with pytest.raises(KeyMissing):
        await vault.find("alice", "a-lost")


async def test_rotation_encrypts_what_has_an_older_key(vault: Vault, engine: AsyncEngine) -> None:
    await vault.put("alice", "token", SECRET, account="bot")
    await vault.put(EVERYONE, "token", "that of everyone")
    rotated = Vault(engine, Keyring(parse_keys(f"{new_key('vault-second')},{KEY}")))
    await rotated.put("bob", "token", SECRET)
    assert await rotated.encrypt_again() == 2
    assert {entry.key_id for entry in await rotated.entries()} == {"vault-second"}
    assert await rotated.find("alice", "token") == Secret("bot", SECRET)
    assert await rotated.find(EVERYONE, "token") == Secret("token", "that of everyone")
    assert await rotated.encrypt_again() == 0
    with pytest.raises(CredentialRefused, match="STEPWAY_SECRET_KEYS"):
        await Vault(engine, None).encrypt_again()


@pytest.mark.parametrize("value", ["x" * 8, "x" * 65_536])
async def test_secret_of_an_allowed_length_is_kept(vault: Vault, value: str) -> None:
    await vault.put("alice", "a" * 63, value)
    assert await vault.find("alice", "a" * 63) == Secret("a" * 63, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a" * 64, SECRET, "not a credential name"),
        ("", SECRET, "not a credential name"),
        ("-a", SECRET, "not a credential name"),
        ("a", "x" * 7, "8 to 65536 characters"),
        ("a", "x" * 65_537, "8 to 65536 characters"),
        ("a", "with\0nul-in-it", "without NUL"),
    ],
)
async def test_credential_that_cannot_be_kept_is_refused(
    vault: Vault, name: str, value: str, message: str
) -> None:
    with pytest.raises(CredentialRefused, match=message):
        await vault.put("alice", name, value)
    assert await vault.entries() == []


GITLAB = "https://git.example.com"


async def test_kind_and_address_are_kept_with_the_secret(vault: Vault) -> None:
    authority = certificate(ec_key(), "git.example.com")
    given = Target("gitlab", f"{GITLAB}/api/v4", authority)
    form = await vault.put("alice", "forge", "a-token-of-gitlab", "acme", given)
    kept = Target("gitlab", GITLAB, authority)
    assert form.target == kept
    assert await vault.find("alice", "forge") == Secret("acme", "a-token-of-gitlab", kept)
    app = Target("github-app", options={"app_id": "123"})
    await vault.put("alice", "app", app_key(), "acme", app)
    found = await vault.find("alice", "app")
    assert found is not None
    assert found.value == app_key()
    assert found.target == Target("github-app", "https://github.com", None, {"app_id": "123"})
    entries = {each.name: (each.kind, each.url) for each in await vault.entries()}
    assert entries == {"forge": ("gitlab", GITLAB), "app": ("github-app", "https://github.com")}


async def test_plain_secret_in_place_of_one_with_a_kind_has_none(vault: Vault) -> None:
    await vault.put("alice", "forge", "a-token-of-gitlab", "acme", Target("gitlab"))
    await vault.put("alice", "forge", SECRET)
    assert await vault.find("alice", "forge") == Secret("forge", SECRET, Target())


async def test_rotation_keeps_the_kind(vault: Vault, engine: AsyncEngine) -> None:
    target = Target("gitlab", GITLAB, certificate(ec_key(), "git.example.com"))
    await vault.put("alice", "forge", "a-token-of-gitlab", "", target)
    rotated = Vault(engine, Keyring(parse_keys(f"{new_key('vault-second')},{KEY}")))
    assert await rotated.encrypt_again() == 1
    assert await rotated.find("alice", "forge") == Secret("", "a-token-of-gitlab", target)


async def test_process_of_the_version_before_stores_and_reads_without_kinds(
    vault: Vault, pool: asyncpg.Pool
) -> None:
    await vault.put("alice", "new", "a-token-of-gitlab", "", Target("gitlab"))
    await vault.put("alice", "old", SECRET, account="bot")
    await pool.execute(
        """INSERT INTO credentials (owner, name, account, key_id, ciphertext)
           SELECT owner, 'older', account, key_id, ciphertext FROM credentials WHERE name = 'old'
           ON CONFLICT (owner, name) DO UPDATE SET account = excluded.account"""
    )
    kinds = {each.name: each.kind for each in await vault.entries()}
    assert kinds == {"new": "gitlab", "old": None, "older": None}
    assert await vault.find("alice", "old") == Secret("bot", SECRET)


async def test_changed_value_is_that_of_the_row_that_is_found(vault: Vault) -> None:
    target = Target("gitlab", GITLAB)
    await vault.put(EVERYONE, "forge", "the-first-token", "acme", target)
    await vault.change("alice", "forge", lambda value: f"{value}-changed")
    assert await vault.find("bob", "forge") == Secret("acme", "the-first-token-changed", target)
    await vault.put("alice", "forge", "the-token-of-alice")
    await vault.change("alice", "forge", lambda _: "the-new-token-of-alice")
    await vault.change("alice", "forge", lambda _: None)
    await vault.change("alice", "none", lambda _: "nothing-to-change")
    assert (await vault.find("bob", "forge")).value == "the-first-token-changed"
    assert (await vault.find("alice", "forge")).value == "the-new-token-of-alice"


async def test_changes_at_the_same_time_follow_one_another(vault: Vault) -> None:
    await vault.put("alice", "count", "number-0")

    def next_number(value: str) -> str:
        return f"number-{int(value.rpartition('-')[2]) + 1}"

    await asyncio.gather(*(vault.change("alice", "count", next_number) for _ in range(10)))
    assert (await vault.find("alice", "count")).value == "number-10"
