"""The table of credentials, without a running Stepway."""

from __future__ import annotations

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
from stepway.vault.vault import EVERYONE, CredentialRefused, Secret, Vault

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
