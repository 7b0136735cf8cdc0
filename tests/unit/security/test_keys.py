"""Keys as settings spell them."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest

from stepway.vault.errors import KeyMissing
from stepway.vault.keyring import Keyring, open_keyring
from stepway.vault.keys import new_key, parse_keys, parse_signing_key


def encoded(byte: int, length: int = 32) -> str:
    return urlsafe_b64encode(bytes([byte]) * length).decode()


def test_keys_stay_in_their_order_however_they_are_separated() -> None:
    text = f" b:{encoded(255)},a:{encoded(1).rstrip('=')}\n\tc:{encoded(2)} "
    assert list(parse_keys(text).items()) == [
        ("b", b"\xff" * 32),
        ("a", b"\x01" * 32),
        ("c", b"\x02" * 32),
    ]
    assert parse_keys(" , ") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a:{encoded(1)} {encoded(2)}", "key 2 must be ID:KEY"),
        (f":{encoded(1)}", "key 1 must be ID:KEY"),
        (f"-a:{encoded(1)}", "key 1 must be ID:KEY"),
        (f"{'a' * 33}:{encoded(1)}", "key 1 must be ID:KEY"),
        (f"a:{encoded(1)},b:{encoded(2)},a:{encoded(3)}", "duplicate key ID 'a'"),
        (f"a:{encoded(1, 31)}", "key 'a' must be 32 random bytes"),
        (f"a:{encoded(1, 33)}", "key 'a' must be 32 random bytes"),
        (f"a:b:{encoded(1)}", "key 'a' must be 32 random bytes"),
        ("a:A", "key 'a' must be 32 random bytes"),
        ("a:ü", "key 'a' must be 32 random bytes"),
        ("a:", "key 'a' must be 32 random bytes"),
    ],
)
def test_text_that_is_no_key_is_refused_without_being_shown(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse_keys(text)
    assert "AQEB" not in str(refused.value) and "AgIC" not in str(refused.value)


@pytest.mark.parametrize("key_id", ["a", "a" * 32, "2026-01.a_B"])
def test_new_key_is_fresh_and_can_be_parsed(key_id: str) -> None:
    first, second = new_key(key_id), new_key(key_id)
    assert first != second and "=" not in first
    assert list(parse_keys(first)) == [key_id]


@pytest.mark.parametrize("key_id", ["", "a" * 33, ".a", "a:b", "a b"])
def test_new_key_needs_an_id_that_can_be_parsed(key_id: str) -> None:
    with pytest.raises(ValueError, match="not a key ID"):
        new_key(key_id)


def test_signing_key_has_32_characters_or_more() -> None:
    assert parse_signing_key(f" {'k' * 32}\n") == b"k" * 32
    with pytest.raises(ValueError, match="at least 32"):
        parse_signing_key("k" * 31 + "\n")


def test_the_first_key_encrypts() -> None:
    keyring = open_keyring(parse_keys(f"new:{encoded(1)},old:{encoded(2)}"))
    assert keyring
    sealed = keyring.encrypt(b"x", b"here")
    assert (sealed.key_id, keyring.current) == ("new", "new")
    assert keyring.decrypt(sealed, b"here") == b"x"
    assert keyring.encrypt(b"x", b"here") != sealed
    assert open_keyring({}) is None


def test_key_that_is_missing_is_named() -> None:
    old, new = (Keyring(parse_keys(f"{key_id}:{encoded(1)}")) for key_id in ("old", "new"))
    with pytest.raises(KeyMissing, match=r"'old' .* STEPWAY_SECRET_KEYS"):
        new.decrypt(old.encrypt(b"x", b""), b"")


def test_key_of_the_usual_base64_is_read_if_it_has_no_sign_that_differs() -> None:
    assert parse_keys(f"a:{b64encode(bytes(32)).decode()}") == {"a": bytes(32)}
