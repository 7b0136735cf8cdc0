"""Stored formats: an upgrade must read data of earlier versions.

The first version has written the data of these tests. If one of them fails, existing credentials,
histories or tokens can no longer be read.
"""

from __future__ import annotations

from base64 import b64decode

import asyncpg
import pytest
from temporalio.api.common.v1 import Payload

from stepway.api.auth.policy import Scope
from stepway.api.auth.tokens import Tokens, digest
from stepway.vault.errors import KeyMissing, Undecipherable
from stepway.vault.keyring import Encrypted, Keyring
from stepway.vault.keys import parse_keys
from stepway.vault.payload_codec import EncryptionCodec
from stepway.vault.sealing import SEAL, Seals

KEY = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
KEYRING = Keyring(parse_keys(KEY))
CONTEXT = b"credential\nalice\ntoken"
CREDENTIAL = "FmnDKyK91Gnm7RwPicqjfR1ChFudfBv5eeZyuFvk+N6ZNr+8bFEGQi6zWJbZ9ig="
PAYLOAD = "4OILLue1IzvBuVviMVCH38fxexEY1RQvndTt1h2uzT+G9/L3X855g4QqSNdFGkJfJlYwVw030LWs++PtdQ=="
SEALED = (
    "[stepway-secret:old:m9wY0lsGptrZ9bdhbHW0We0vTm2dCjdOPP1luPdr"
    "ueIDOBGA4ZQTnX9rgw9RNEJA4HtUvF0I0Rj65ck]"
)
TOKEN = "stepway_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
HASH = "2ddeacb5a63985a46bf3de47b66c67da3ffa65df8615f2e25ccce4b478712616"


def test_stored_credential_is_read() -> None:
    sealed = Encrypted("old", b64decode(CREDENTIAL))
    assert KEYRING.decrypt(sealed, CONTEXT) == b"a secret of alice's"
    with pytest.raises(Undecipherable):
        KEYRING.decrypt(sealed, b"credential\nbob\ntoken")


def test_ciphertext_has_the_length_of_its_parts() -> None:
    # A nonce of 96 bits, the text, and a tag of 128.
    assert len(KEYRING.encrypt(b"x" * 10, CONTEXT).data) == 12 + 10 + 16


async def test_stored_payload_is_read() -> None:
    payload = Payload(
        metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"old"},
        data=b64decode(PAYLOAD),
    )
    [plain] = await EncryptionCodec(KEYRING).decode([payload])
    assert (plain.metadata["encoding"], plain.data) == (b"json/plain", b'"hello"')


def test_stored_seal_is_read() -> None:
    seal = SEAL.fullmatch(SEALED)
    assert seal
    assert Seals(KEYRING).open(seal, "parameters\np") == "postgresql://app:s3cr3t@db/shop"


@pytest.mark.parametrize("length", [0, 1, 11, 12, 20, 27])
def test_ciphertext_that_was_cut_off_is_said_to_be_damaged(length: int) -> None:
    with pytest.raises(Undecipherable, match="damaged"):
        KEYRING.decrypt(Encrypted("old", b64decode(CREDENTIAL)[:length]), CONTEXT)


@pytest.mark.parametrize("data", ["x", "####", "AAAA"])
def test_seal_that_was_damaged_is_said_to_be(data: str) -> None:
    seal = SEAL.fullmatch(f"[stepway-secret:old:{data.replace('#', 'A')}]") or SEAL.fullmatch(
        "[stepway-secret:old:AAAAA]"
    )
    assert seal
    with pytest.raises(Undecipherable):
        Seals(KEYRING).open(seal, "parameters\np")


def test_seal_without_its_key_names_it() -> None:
    seal = SEAL.fullmatch(SEALED)
    assert seal
    with pytest.raises(KeyMissing, match="'old'"):
        Seals(None).open(seal, "parameters\np")


async def test_stored_token_signs_in(pool: asyncpg.Pool) -> None:
    assert digest(TOKEN).hex() == HASH
    await pool.execute(
        "INSERT INTO tokens (name, prefix, hash, owner, groups, scopes) "
        "VALUES ('pinned', $1, decode($2, 'hex'), 'pia', '{}', '{read}') ON CONFLICT DO NOTHING",
        TOKEN[:14],
        HASH,
    )
    person = await Tokens(pool).person(TOKEN)
    assert person
    assert (person.name, person.scopes) == ("pia", {Scope.READ})
