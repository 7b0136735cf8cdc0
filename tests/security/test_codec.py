"""The codec's endpoint, as Temporal's UI uses it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.payload_codec import EncryptionCodec
from tests.security.conftest import Secured
from tests.security.test_sessions import signed_in

PLAIN = {
    "metadata": {"encoding": b64encode(b"json/plain").decode()},
    "data": b64encode(b'"hello"').decode(),
}
UI = {"Origin": "http://temporal-ui.example:8080"}


def as_json(payload: Payload) -> dict[str, Any]:
    return {
        "metadata": {name: b64encode(value).decode() for name, value in payload.metadata.items()},
        "data": b64encode(payload.data).decode(),
    }


async def test_admin_reads_what_was_encrypted(secured: Secured) -> None:
    async with secured.client("admin") as client:
        encrypted = await client.post("/api/codec/encode", json={"payloads": [PLAIN]})
        [payload] = encrypted.json()["payloads"]
        assert b"hello" not in b64decode(payload["data"])
        plain = await client.post("/api/codec/decode", json=encrypted.json(), headers=UI)
        assert plain.json() == {"payloads": [PLAIN]}
        assert plain.headers["access-control-allow-origin"] == UI["Origin"]


async def test_encoded_payload_is_not_signed(secured: Secured) -> None:
    async with secured.client("admin") as client:
        answer = await client.post("/api/codec/encode", json={"payloads": [PLAIN]})
    assert set(answer.json()["payloads"][0]["metadata"]) == {"encoding", "encryption-key-id"}


async def test_key_that_is_missing_is_named(secured: Secured) -> None:
    codec = EncryptionCodec(Keyring(parse_keys(new_key("lost"))))
    [payload] = await codec.encode([Payload(data=b"x")])
    async with secured.client("admin") as client:
        answer = await client.post("/api/codec/decode", json={"payloads": [as_json(payload)]})
    assert answer.status_code == 503
    assert "'lost'" in answer.json()["detail"]


@pytest.mark.parametrize(
    "payload",
    [{"data": "no base64!"}, {"data": 7}, {"metadata": {"encoding": None}}, "text", None],
    ids=str,
)
async def test_invalid_payload_is_refused(secured: Secured, payload: Any) -> None:
    async with secured.client("admin") as client:
        answer = await client.post("/api/codec/decode", json={"payloads": [payload]})
    assert answer.status_code == 422


async def test_damaged_payload_is_said_to_be_so(secured: Secured) -> None:
    async with secured.client("admin") as client:
        sealed = (await client.post("/api/codec/encode", json={"payloads": [PLAIN]})).json()
        sealed["payloads"][0]["data"] = b64encode(b"nonsense").decode()
        answer = await client.post("/api/codec/decode", json=sealed)
    assert answer.status_code == 503
    assert "damaged" in answer.json()["detail"]


async def test_payload_that_says_it_is_encrypted_and_names_no_key_is_no_fault_of_ours(
    secured: Secured,
) -> None:
    claims = {"metadata": {"encoding": b64encode(b"binary/encrypted").decode()}, "data": ""}
    async with secured.client("admin") as client:
        answer = await client.post("/api/codec/decode", json={"payloads": [claims]})
    assert answer.status_code == 503


async def test_only_the_temporal_uis_own_origin_may_ask(secured: Secured) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }
    async with secured.client() as client:
        for origin in ("http://temporal-ui.example:8080", "http://temporal-ui.example", "null"):
            answer = await client.options("/api/codec/decode", headers={"Origin": origin, **asks})
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (origin if origin == UI["Origin"] else None)
        elsewhere = await client.options("/api/projects", headers={**UI, **asks})
        assert "access-control-allow-origin" not in elsewhere.headers


async def test_temporal_uis_page_may_use_an_admins_session_here_and_nowhere_else(
    secured: Secured,
) -> None:
    payloads = {"payloads": [PLAIN]}
    async with signed_in(secured, "admin") as client:
        sealed = await client.post("/api/codec/encode", json=payloads, headers=UI)
        assert sealed.status_code == 200, sealed.text
        plain = await client.post("/api/codec/decode", json=sealed.json(), headers=UI)
        assert plain.json() == payloads
        for origin in ("https://evil.example", "http://temporal-ui.example", "null"):
            answer = await client.post(
                "/api/codec/decode", json=sealed.json(), headers={"Origin": origin}
            )
            assert answer.status_code == 403
        elsewhere = await client.post("/api/projects", json={"name": "shop"}, headers=UI)
        assert elsewhere.status_code == 403
